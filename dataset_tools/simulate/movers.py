"""What moves: cars, people and cyclists, where they are at any time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from heatnet.dataset_tools.simulate.config import SimulationConfig
from heatnet.dataset_tools.simulate.drive import Drive
from heatnet.dataset_tools.simulate.materials import MaterialTable
from heatnet.dataset_tools.simulate.mesh import Mesh, join
from heatnet.dataset_tools.simulate.people import Figure, make_figure, rider, walker
from heatnet.dataset_tools.simulate.street import SIDEWALK_Z, Markings, Side
from heatnet.dataset_tools.simulate.vehicles import DRIVING, make_bicycle, make_car

Place = tuple[float, float, float]  # s, d and the turn from the street's direction in radians
VIEW_BEHIND_M, VIEW_AHEAD_M = 8.0, 130.0


@dataclass(frozen=True)
class Mover:
    """Something on the move along the street."""

    place: Callable[[float], Place]  # by time in seconds
    mesh: Callable[[float], Mesh]  # by time in seconds, in its own frame
    z: float = 0.0
    headlights: bool = False


def moving_mesh(movers: Sequence[Mover], drive: Drive, t: float) -> Mesh:
    """All movers near the car at a time, in the world."""
    return join(m.mesh(t).moved(drive.street.frame(*m.place(t), z=m.z)) for m in near(movers, drive, t))


def near(movers: Sequence[Mover], drive: Drive, t: float) -> list[Mover]:
    """Those in view of the car."""
    here = float(drive.along(t))
    return [m for m in movers if -VIEW_BEHIND_M < m.place(t)[0] - here < VIEW_AHEAD_M]


def make_movers(
    drive: Drive,
    sides: tuple[Side, Side],
    markings: Markings,
    table: MaterialTable,
    config: SimulationConfig,
    rng: np.random.Generator,
) -> list[Mover]:
    """Traffic of a seed."""
    street, seconds = drive.street, config.frames * config.interval_s
    movers = _oncoming(drive, seconds, table, config, rng)
    if rng.random() < 0.75:
        movers.append(_leader(drive, table, config, rng))
    for side in sides:
        figures = [make_figure(table, rng, config.night) for _ in range(10)]
        count = round((street.end_m - street.start_m) / rng.uniform(13, 22))
        movers += [_pedestrian(side, figures[i % 10], street.start_m, street.end_m, rng) for i in range(count)]
        bicycles = [make_bicycle(table, rng, 3.0) for _ in range(3)]
        for i in range(max(2, round(seconds * 0.35))):
            movers.append(_cyclist(drive, side.sign, bicycles[i % 3], figures[i % 10], seconds, rng))
    movers += [
        _crosser(drive, float(s), make_figure(table, rng, config.night), rng) for s in markings.crossings if s > 45
    ]
    return movers


def _oncoming(
    drive: Drive, seconds: float, table: MaterialTable, config: SimulationConfig, rng: np.random.Generator
) -> list[Mover]:
    speed = float(rng.uniform(7, 10))
    movers, s = list[Mover](), 18.0
    meshes = [_car(table, config, rng) for _ in range(8)]
    while s < drive.street.end_m + speed * seconds:
        movers.append(Mover(_uniform(s, 1.85, -speed, np.pi), _fixed(meshes[len(movers) % 8]), headlights=config.night))
        s += float(rng.uniform(16, 60))
    return movers


def _leader(drive: Drive, table: MaterialTable, config: SimulationConfig, rng: np.random.Generator) -> Mover:
    gap, phase = float(rng.uniform(16, 32)), float(rng.uniform(0, 6))

    def place(t: float) -> Place:
        return float(drive.along(t)) + gap + 3 * np.sin(0.31 * t + phase), -1.75, 0.0

    return Mover(place, _fixed(_car(table, config, rng)), headlights=config.night)


def _pedestrian(side: Side, figure: Figure, low: float, high: float, rng: np.random.Generator) -> Mover:
    s0, d = float(rng.uniform(low, high)), side.sign * float(rng.uniform(side.verge + 0.35, side.walk - 0.35))
    if rng.random() < 0.2:
        pose = walker(figure, 0.3)
        turn = float(rng.uniform(-np.pi, np.pi))
        return Mover(lambda t: (s0, d, turn), _fixed(pose), SIDEWALK_Z)
    direction = int(rng.choice([-1, 1]))
    speed, phase = float(rng.uniform(1.0, 1.7)), float(rng.uniform(0, 2))
    place = _uniform(s0, d, direction * speed, 0.0 if direction > 0 else np.pi)
    return Mover(place, lambda t: walker(figure, speed * t + phase), SIDEWALK_Z)


def _cyclist(drive: Drive, sign: int, bicycle: Mesh, figure: Figure, seconds: float, rng: np.random.Generator) -> Mover:
    direction = -sign  # traffic keeps right
    speed = float(rng.uniform(3.5, 5.5))
    meet = float(rng.uniform(0, seconds))
    s0 = float(drive.along(meet)) + float(rng.uniform(8, 50)) - direction * speed * meet
    place = _uniform(s0, sign * 3.0, direction * speed, 0.0 if direction > 0 else np.pi)
    return Mover(place, lambda t: join([bicycle, rider(figure, speed * t)]))


def _crosser(drive: Drive, s: float, figure: Figure, rng: np.random.Generator) -> Mover:
    """Someone on a zebra crossing, off the car's lane well before it comes."""
    times = np.linspace(0, 1000, 20001)
    arrival = float(np.interp(s, drive.along(times), times))
    speed, sign = 1.4, int(rng.choice([-1, 1]))
    middle = arrival - 6.0
    where = s + float(rng.uniform(-1, 1))

    def place(t: float) -> Place:
        return where, float(np.clip(sign * speed * (t - middle), -7.0, 7.0)), sign * np.pi / 2

    return Mover(place, lambda t: walker(figure, speed * t))


def _car(table: MaterialTable, config: SimulationConfig, rng: np.random.Generator) -> Mesh:
    kind = str(rng.choice(["hatch", "sedan", "estate", "offroader", "van"], p=[0.3, 0.2, 0.2, 0.18, 0.12]))
    return make_car(kind, DRIVING, config.night, table, rng)


def _uniform(s0: float, d: float, speed: float, turn: float) -> Callable[[float], Place]:
    return lambda t: (s0 + speed * t, d, turn)


def _fixed(mesh: Mesh) -> Callable[[float], Mesh]:
    return lambda t: mesh
