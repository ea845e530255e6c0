"""Cars, vans and bicycles, each with x forwards, y left, z up and the ground below its middle at the origin."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from heatnet.dataset_tools.simulate import colours
from heatnet.dataset_tools.simulate.materials import BICYCLE, CAR, Material, MaterialTable
from heatnet.dataset_tools.simulate.mesh import Mesh, box, ellipsoid, join, quads, sheet, tube

HEADLIGHT_M = (0.62, 0.66)  # left of the middle, above the ground


@dataclass(frozen=True)
class Shape:
    """A car's outline: heights of its upper edge along x, and where glass is."""

    top: tuple[tuple[float, float], ...]  # (x, z) from rear to front
    belt: float
    width: float
    rear_glass: tuple[float, float]
    windscreen: tuple[float, float]
    side_glass: tuple[tuple[float, float], ...]

    @property
    def length(self) -> float:
        """Metres."""
        return self.top[-1][0] - self.top[0][0]


SHAPES = {
    "hatch": Shape(
        (
            (-2.0, 0.55), (-1.97, 0.95), (-1.7, 1.40), (-1.2, 1.48), (0.1, 1.47), (0.45, 1.40),
            (1.1, 1.0), (1.6, 0.92), (1.95, 0.76), (2.05, 0.5),
        ),
        0.93, 1.76, (-1.97, -1.7), (0.45, 1.1), ((-1.5, -0.75), (-0.65, 0.25), (0.32, 0.6)),
    ),
    "sedan": Shape(
        (
            (-2.35, 0.55), (-2.3, 0.98), (-1.65, 1.04), (-1.05, 1.38), (-0.5, 1.44), (0.2, 1.43),
            (0.5, 1.36), (1.15, 0.99), (1.8, 0.88), (2.25, 0.72), (2.35, 0.5),
        ),
        0.93, 1.82, (-1.65, -1.05), (0.5, 1.15), ((-1.0, -0.4), (-0.3, 0.45), (0.5, 0.7)),
    ),
    "estate": Shape(
        (
            (-2.3, 0.55), (-2.27, 1.0), (-2.05, 1.4), (-1.5, 1.5), (0.2, 1.5), (0.55, 1.42),
            (1.2, 1.02), (1.8, 0.93), (2.2, 0.75), (2.32, 0.5),
        ),
        0.95, 1.82, (-2.27, -2.05), (0.55, 1.2), ((-1.85, -1.0), (-0.9, -0.25), (-0.15, 0.6)),
    ),
    "offroader": Shape(
        (
            (-2.2, 0.6), (-2.18, 1.12), (-2.0, 1.6), (-1.5, 1.7), (0.2, 1.69), (0.5, 1.6),
            (1.05, 1.15), (1.8, 1.08), (2.15, 0.9), (2.25, 0.55),
        ),
        1.08, 1.9, (-2.18, -2.0), (0.5, 1.05), ((-1.75, -1.0), (-0.9, -0.25), (-0.15, 0.5)),
    ),
    "van": Shape(
        (
            (-2.7, 0.6), (-2.68, 1.2), (-2.62, 1.95), (-2.0, 2.05), (1.2, 2.03), (1.45, 1.92),
            (2.05, 1.2), (2.45, 1.05), (2.65, 0.85), (2.7, 0.55),
        ),
        1.2, 1.98, (-2.68, -2.62), (1.45, 2.05), ((0.75, 1.55),),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class CarHeat:
    """Kelvins above a cold car's temperature."""

    engine: float = 0.0
    tyres: float = 0.0
    exhaust: float = 0.0


PARKED = CarHeat()
STOPPED = CarHeat(engine=7, tyres=4, exhaust=6)  # a while ago
DRIVING = CarHeat(engine=13, tyres=13, exhaust=32)


def make_car(kind: str, heat: CarHeat, lights: bool, table: MaterialTable, rng: np.random.Generator) -> Mesh:
    """A car; `lights` for burning head and tail lights."""
    shape = SHAPES[kind]
    colour = colours.car_paint(rng)
    gain = 6 + 16 * (1 - float(np.mean(colour)))
    body = table.add(
        Material(CAR, colour, gloss=0.05, gain_k=gain, kept_k=-1.5, cooling_k=4, patchy_k=0.3, emissivity=0.9)
    )
    hood = table.add(
        Material(CAR, colour, gloss=0.05, warmth_k=heat.engine, gain_k=gain, kept_k=-1.5, cooling_k=4, emissivity=0.9)
    )
    glass = table.add(
        Material(
            CAR,
            (0.02, 0.025, 0.025),
            gloss=0.1,
            warmth_k=0.25 * heat.engine,
            gain_k=9,
            kept_k=-1,
            cooling_k=3.5,
            emissivity=0.85,
        )
    )
    parts = [_shell(shape, body, hood, glass)]
    parts += _wheels(shape, heat, table)
    parts += _ends(shape, heat, lights, body, hood, table)
    return join(parts)


def _shell(shape: Shape, body: int, hood: int, glass: int) -> Mesh:
    x = np.unique(np.round(np.concatenate([[p[0] for p in shape.top], *shape.side_glass]), 3))
    top = np.interp(x, *np.array(shape.top).T)
    end = np.clip((np.abs(x - x.mean()) - 0.36 * shape.length) / (0.14 * shape.length), 0, 1)
    half = shape.width / 2 * (1 - 0.14 * end**2)
    belt = np.minimum(shape.belt, top - 0.03)
    cabin = np.clip((top - shape.belt) / 0.45, 0, 1)
    roof = half * (0.95 - 0.17 * cabin)
    low = 0.22 + 0.12 * end
    right = [
        (0.9 * half, low), (half, low + 0.12), (half, 0.55 * belt + 0.2), (0.985 * half, belt),
        (roof, top - 0.05 * cabin - 0.015), (0.8 * roof, top),
    ]  # fmt: skip
    section = [(-y, z) for y, z in right] + [(y, z) for y, z in reversed(right)]
    points = np.stack([np.stack([x, y, z], 1) for y, z in [(y, np.broadcast_to(z, x.shape)) for y, z in section]], 1)
    middle = (x[:-1] + x[1:]) / 2
    kinds = np.full((len(middle), 11), body)
    kinds[middle > shape.windscreen[1]] = hood
    for low_x, high_x in (shape.rear_glass, shape.windscreen):
        kinds[(middle > low_x) & (middle < high_x), 4:7] = glass
    for low_x, high_x in shape.side_glass:
        inside = (middle > low_x) & (middle < high_x) & (np.interp(middle, x, top) > shape.belt + 0.2)
        kinds[np.ix_(inside, [3, 7])] = glass
    return sheet(points, kinds)


def _wheels(shape: Shape, heat: CarHeat, table: MaterialTable) -> list[Mesh]:
    tyre = table.add(Material(CAR, (0.02, 0.02, 0.02), warmth_k=heat.tyres, gain_k=12, kept_k=1.5, cooling_k=1.5))
    arch = table.add(
        Material(CAR, (0.008, 0.008, 0.008), warmth_k=0.5 * heat.tyres, gain_k=3, kept_k=1.5, cooling_k=0.5)
    )
    rim = table.add(
        Material(
            CAR, (0.35, 0.35, 0.36), gloss=0.08, warmth_k=1.3 * heat.tyres, gain_k=7, cooling_k=1.5, emissivity=0.6
        )
    )
    parts = []
    radius, half = 0.32, shape.width / 2
    for x in (-0.3 * shape.length, 0.31 * shape.length):
        for side in (-1, 1):
            outer = side * (half + 0.004)
            parts.append(
                tube(
                    [(x, 0.6 * outer, radius + 0.04), (x, outer - 0.002 * side, radius + 0.04)], radius + 0.06, arch, 18
                )
            )
            parts.append(tube([(x, 0.75 * outer, radius), (x, outer + 0.012 * side, radius)], radius, tyre, 20))
            parts.append(tube([(x, 0.8 * outer, radius), (x, outer + 0.017 * side, radius)], 0.2, rim, 14))
            parts += _spokes(x, outer + 0.019 * side, radius, arch)
    return parts


def _spokes(x: float, y: float, radius: float, dark: int) -> list[Mesh]:
    angle = np.arange(5) * 2 * np.pi / 5 + 0.3
    around = [np.array([[0.07, -0.05], [0.17, -0.05], [0.17, 0.05], [0.07, 0.05]]) @ _rotation(a).T for a in angle]
    corners = [[(x + p[0], y, radius + p[1]) for p in quad] for quad in around]
    return [quads(corners, dark)]


def _ends(shape: Shape, heat: CarHeat, lights: bool, body: int, hood: int, table: MaterialTable) -> list[Mesh]:
    front, rear, half = shape.top[-1][0], shape.top[0][0], shape.width / 2 * 0.86
    on = 1.0 if lights else 0.0
    lamp = table.add(
        Material(CAR, (0.75, 0.78, 0.8), gloss=0.08, emission=(7 * on, 6.6 * on, 5.6 * on), warmth_k=8 * on)
    )
    tail = table.add(
        Material(CAR, (0.35, 0.01, 0.01), gloss=0.06, emission=(1.3 * on, 0.03 * on, 0.02 * on), warmth_k=3 * on)
    )
    plate = table.add(Material(CAR, (0.8, 0.8, 0.76), gain_k=4))
    grille = table.add(Material(CAR, (0.012, 0.012, 0.012), warmth_k=1.4 * heat.engine, gain_k=4))
    under = table.add(Material(CAR, (0.01, 0.01, 0.01), warmth_k=1.1 * heat.engine, gain_k=0, kept_k=1, cooling_k=0))
    pipe = table.add(Material(CAR, (0.2, 0.2, 0.2), warmth_k=heat.exhaust, gain_k=2, emissivity=0.8))
    height = HEADLIGHT_M[1] + 0.12 * (shape.belt > 1)
    parts = [
        box((front - 0.3, -half, 0.26), (front + 0.01, half, 0.56), hood),
        box((rear - 0.02, -half, 0.28), (rear + 0.3, half, 0.64), body),
        box((front - 0.05, -0.45, 0.34), (front + 0.02, 0.45, 0.52), grille),
        box((front, -0.26, 0.4), (front + 0.03, 0.26, 0.5), plate),
        box((rear - 0.035, -0.26, 0.5), (rear, 0.26, 0.61), plate),
        box((rear + 0.4, -half + 0.1, 0.16), (front - 0.4, half - 0.1, 0.24), under),
        tube([(rear - 0.06, -0.5, 0.27), (rear + 0.3, -0.5, 0.27)], 0.04, pipe, 8),
    ]
    for side in (-1, 1):
        parts.append(ellipsoid((front - 0.12, side * (half - 0.16), height), (0.14, 0.2, 0.075), lamp, 6, 10))
        parts.append(
            box((rear - 0.03, side * (half - 0.1) - 0.1, 0.7), (rear + 0.12, side * (half - 0.1) + 0.1, 0.9), tail)
        )
        parts.append(
            ellipsoid(
                (shape.windscreen[1] - 0.25, side * (half + 0.2), shape.belt + 0.06), (0.07, 0.1, 0.07), body, 5, 8
            )
        )
    return parts


def make_bicycle(table: MaterialTable, rng: np.random.Generator, warm: float = 0.0) -> Mesh:
    """A bicycle, standing upright."""
    colour = colours.pick(rng, (0, 1), (0.3, 0.9), (0.15, 0.8))
    frame = table.add(Material(BICYCLE, colour, gloss=0.04, gain_k=8, kept_k=0.5, cooling_k=2.5, emissivity=0.88))
    rubber = table.add(Material(BICYCLE, (0.02, 0.02, 0.02), warmth_k=1 + warm, gain_k=10, kept_k=1, cooling_k=1.5))
    steel = table.add(Material(BICYCLE, (0.4, 0.4, 0.4), gloss=0.1, gain_k=6, cooling_k=2, emissivity=0.5))
    rear, front, crank = np.array([-0.52, 0, 0.34]), np.array([0.55, 0, 0.34]), np.array([0, 0, 0.3])
    seat, head = np.array([-0.2, 0, 0.85]), np.array([0.4, 0, 0.8])
    bars = [(rear, crank), (crank, seat), (seat, rear), (crank, head), (seat * 0.9 + crank * 0.1, head), (head, front)]
    parts = [tube(ends, 0.02, frame, 6) for ends in bars]
    parts += [_ring(hub, rubber) for hub in (rear, front)]
    for hub in (rear, front):
        angle = np.arange(8) * np.pi / 8
        rim = 0.32 * np.stack([np.cos(angle), 0 * angle, np.sin(angle)], 1)
        parts += [tube([hub - r, hub + r], 0.004, steel, 4) for r in rim]
    parts.append(tube([seat, seat + np.array([-0.03, 0, 0.12])], 0.016, steel, 6))
    parts.append(ellipsoid(seat + np.array([-0.03, 0, 0.14]), (0.13, 0.07, 0.035), rubber, 5, 8))
    parts.append(tube([head, head + np.array([-0.03, 0, 0.18])], 0.016, steel, 6))
    parts.append(tube([(0.36, -0.28, 0.98), (0.42, 0, 0.99), (0.36, 0.28, 0.98)], 0.016, steel, 6))
    return join(parts)


def _ring(hub: ArrayLike, material: int) -> Mesh:
    around, section = np.linspace(0, 2 * np.pi, 25), np.linspace(0, 2 * np.pi, 7)
    radius = 0.33 + 0.022 * np.cos(section)
    points = np.stack(
        [
            radius * np.cos(around)[:, None],
            0 * around[:, None] + 0.022 * np.sin(section),
            radius * np.sin(around)[:, None],
        ],
        -1,
    )
    mesh = sheet(points + np.asarray(hub), material)
    offset = points - 0.33 * np.stack([np.cos(around), 0 * around, np.sin(around)], 1)[:, None]
    return Mesh(
        mesh.vertices, (offset / 0.022).reshape(-1, 3).astype(np.float32), mesh.uv, mesh.triangles, mesh.material
    )


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
