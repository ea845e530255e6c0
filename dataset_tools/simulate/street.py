"""The ground: road with its paint, curbs, sidewalks, verges and the land beside them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.simulate import colours
from heatnet.dataset_tools.simulate.drive import Street
from heatnet.dataset_tools.simulate.materials import CURB, ROAD, SIDEWALK, TERRAIN, Material, MaterialTable
from heatnet.dataset_tools.simulate.mesh import Mesh, join, quads, sheet

Floats = NDArray[np.float32]
SIDEWALK_Z = 0.12
CURB_WIDTH = 0.18
LANE_EDGE_M = 3.5


@dataclass(frozen=True)
class Side:
    """One side of the street: distances from the centre line, metres, growing outwards."""

    sign: int  # 1 left, -1 right
    road: float  # where the road ends, parking lane included
    verge: float  # where the grass between curb and sidewalk ends (the curb's outer edge where there is none)
    walk: float  # where the sidewalk ends

    @property
    def parking(self) -> bool:
        """Whether there is a lane of parked cars."""
        return self.road > LANE_EDGE_M + 1


@dataclass(frozen=True)
class Markings:
    """Lane paint by street coordinates."""

    dash_m: float
    period_m: float
    edges: tuple[float, ...]  # d of the solid edge lines
    bays: tuple[float, ...]  # signed outer edge of each parking lane
    crossings: NDArray[np.float32]  # (N,) s of the zebra crossings
    half_road: float

    def cover(self, d: Floats, s: Floats, blur_d: Floats, blur_s: Floats) -> NDArray:
        """How much of each point (N,) is paint, 0 to 1, averaged over `blur` metres along and across."""
        on_dash = _band(np.mod(s, self.period_m) - self.dash_m / 2, self.dash_m / 2, blur_s)
        total = _band(d, 0.06, blur_d) * on_dash
        for edge in self.edges:
            total = np.maximum(total, _band(d - edge, 0.06, blur_d))
        for bay in self.bays:
            inner = np.sign(bay) * LANE_EDGE_M
            across = _band(np.mod(s, 6.0) - 3.0, 0.05, blur_s)
            total = np.maximum(total, across * _band(d - (inner + bay) / 2, abs(bay - inner) / 2, blur_d))
        if len(self.crossings):
            nearest = self.crossings[np.abs(s[:, None] - self.crossings).argmin(1)]
            zone = _band(s - nearest, 1.8, blur_s)
            bars = _band(np.mod(d, 1.0) - 0.5, 0.25, blur_d) * _band(d, self.half_road - 0.3, blur_d)
            total = total * (1 - _band(s - nearest, 3.2, blur_s)) + zone * bars
        return total


def make_sides(rng: np.random.Generator) -> tuple[Side, Side]:
    """The cross-section of a seed, left and right."""

    def one(sign: int) -> Side:
        road = LANE_EDGE_M + (2.2 if rng.random() < 0.6 else 0.35)
        verge = road + CURB_WIDTH + (rng.uniform(1.2, 2.0) if rng.random() < 0.4 else 0.0)
        return Side(sign, road, verge, verge + rng.uniform(1.9, 3.0))

    return one(1), one(-1)


def make_markings(street: Street, sides: tuple[Side, Side], rng: np.random.Generator) -> Markings:
    """The paint of a seed."""
    crossings = np.arange(street.start_m + rng.uniform(10, 60), street.end_m, rng.uniform(70, 120))
    edges = tuple(side.sign * (LANE_EDGE_M - 0.1) for side in sides if not side.parking or rng.random() < 0.5)
    bays = tuple(side.sign * side.road for side in sides if side.parking)
    half = max(side.road for side in sides)
    return Markings(3.0, float(rng.choice([6.0, 9.0])), edges, bays, crossings.astype(np.float32), half)


def make_ground(street: Street, sides: tuple[Side, Side], table: MaterialTable, rng: np.random.Generator) -> Mesh:
    """All ground as one mesh."""
    tone = rng.uniform(0.06, 0.12)
    asphalt = Material(
        ROAD, (tone, tone, tone * 1.04), "asphalt", 5.0, markings=True, gain_k=20, kept_k=6, cooling_k=4, patchy_k=0.8
    )
    road = table.add(asphalt)
    parts = [_strip(street, np.linspace(-sides[1].road, sides[0].road, 13), 0.0, road)]
    parts += [part for side in sides for part in _side(street, side, table, rng)]
    parts.append(_land(street, table.add(_grass(rng))))
    return join(parts)


def _side(street: Street, side: Side, table: MaterialTable, rng: np.random.Generator) -> list[Mesh]:
    grass = table.add(_grass(rng))
    curb_grey, walk_grey = rng.uniform(0.28, 0.42), rng.uniform(0.2, 0.4)
    curb = table.add(
        Material(CURB, (curb_grey,) * 3, "concrete", 2.0, gain_k=15, kept_k=7.5, cooling_k=3, patchy_k=0.6)
    )
    kind = str(rng.choice(["paving", "concrete", "asphalt", "brick"], p=[0.5, 0.15, 0.15, 0.2]))
    colour = colours.brick(rng) if kind == "brick" else (walk_grey, walk_grey * 0.98, walk_grey * 0.93)
    tile = {"paving": 4.0, "brick": 2.4}.get(kind, 4.0)
    walk = table.add(Material(SIDEWALK, colour, kind, tile, gain_k=14, kept_k=4, cooling_k=4.5, patchy_k=0.7))
    outer = side.road + CURB_WIDTH
    parts = [
        _strip(street, side.sign * np.array([side.road, side.road + 1e-3]), np.array([0.0, SIDEWALK_Z]), curb, True),
        _strip(street, side.sign * np.array([side.road, outer]), SIDEWALK_Z, curb),
        _strip(street, side.sign * np.linspace(side.verge, side.walk, 4), SIDEWALK_Z, walk),
        _strip(street, side.sign * np.linspace(side.walk, side.walk + 32, 17), SIDEWALK_Z - 0.01, grass),
    ]
    if side.verge > outer:
        parts.append(_strip(street, side.sign * np.linspace(outer, side.verge, 3), SIDEWALK_Z + 0.01, grass))
    return parts


def _strip(street: Street, d: NDArray, z: NDArray | float, material: int, face: bool = False) -> Mesh:
    """A strip of ground between offsets `d`; with `face` it is a step up, seen from the road."""
    s = np.arange(street.start_m, street.end_m, 1.0)
    heights = np.broadcast_to(np.asarray(z, float), d.shape)
    order = np.argsort(d)
    d, heights = d[order], heights[order]
    plan = street.at(s[:, None], d[None, :])
    points = np.concatenate([plan, np.broadcast_to(heights, plan.shape[:2])[..., None]], -1)
    across = heights if face else d
    uv = np.stack(np.broadcast_arrays(across[None, :], s[:, None]), -1)
    return sheet(points, material, uv)


def _land(street: Street, material: int) -> Mesh:
    """The plain below everything, out to where haze hides it."""
    centre = street.at((street.start_m + street.end_m) / 2)
    reach = (street.end_m - street.start_m) / 2 + 400
    corners = [(-reach, -reach), (reach, -reach), (reach, reach), (-reach, reach)]
    return quads([[(centre[0] + x, centre[1] + y, -0.2) for x, y in corners]], material)


def _grass(rng: np.random.Generator) -> Material:
    colour = colours.pick(rng, (0.16, 0.27), (0.35, 0.6), (0.3, 0.45))
    return Material(TERRAIN, colour, "grass", 3.0, gain_k=5, kept_k=-0.5, cooling_k=6.5, patchy_k=1.2)


def _band(x: NDArray, half: float, blur: NDArray) -> NDArray:
    """1 within `half` of 0, averaged over `blur`."""
    width = np.maximum(blur, 1e-3)
    return np.clip((half - np.abs(x)) / width + 0.5, 0, 1) * np.minimum(1, 2 * half / width)
