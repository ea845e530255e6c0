"""Where things stand along the street."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.simulate.buildings import Glass, build_house, make_house
from heatnet.dataset_tools.simulate.drive import Street
from heatnet.dataset_tools.simulate.furniture import (
    LAMP_HEIGHT_M,
    LAMP_REACH_M,
    make_bin,
    make_bollard,
    make_fence,
    make_lamp,
    make_sign,
)
from heatnet.dataset_tools.simulate.materials import MaterialTable
from heatnet.dataset_tools.simulate.mesh import Mesh, join
from heatnet.dataset_tools.simulate.street import CURB_WIDTH, LANE_EDGE_M, SIDEWALK_Z, Markings, Side
from heatnet.dataset_tools.simulate.vegetation import make_bush, make_hedge, make_tree
from heatnet.dataset_tools.simulate.vehicles import PARKED, STOPPED, make_bicycle, make_car

LAMP_PITCH_M = 27.0


@dataclass(frozen=True)
class Site:
    """What furnishing needs to know."""

    street: Street
    markings: Markings
    table: MaterialTable
    night: bool
    rng: np.random.Generator


@dataclass(frozen=True)
class Furnished:
    """One side of the street: its mesh, and where its lamps shine from (N, 3)."""

    mesh: Mesh
    lamps: NDArray[np.float64]


def furnish(site: Site, side: Side) -> Furnished:
    """Everything that stands on one side."""
    lamps, lamp_mesh = _lamps(site, side)
    parts = [_houses(site, side), lamp_mesh, _street_trees(site, side), _small_things(site, side)]
    if side.parking:
        parts.append(_parked(site, side))
    return Furnished(join(parts), lamps)


def _at(site: Site, mesh: Mesh, s: float, side: Side, offset: float, turn: float = 0.0, z: float = SIDEWALK_Z) -> Mesh:
    """A mesh at a distance from the centre line on a side; unturned, x runs along the street and y away from it."""
    facing = 0.0 if side.sign > 0 else np.pi
    return mesh.moved(site.street.frame(s, side.sign * offset, facing + turn, z))


def _houses(site: Site, side: Side) -> Mesh:
    rng, parts = site.rng, []
    glass = Glass(site.table, site.night, rng)
    plants = [make_tree(rng, site.table) for _ in range(3)], [make_bush(rng, site.table) for _ in range(3)]
    s, garden = site.street.start_m + 2, 0.0
    while s < site.street.end_m - 8:
        width = float(rng.uniform(8, 15))
        if rng.random() < 0.3:
            garden = 0.0 if rng.random() < 0.45 else float(rng.uniform(2.5, 5))
        parts.append(
            _at(
                site,
                build_house(make_house(width, site.table, rng), glass, rng),
                s + width / 2,
                side,
                side.walk + garden,
            )
        )
        if garden:
            parts += _garden(site, side, s, width, garden, plants[1])
        s += width
        if rng.random() < 0.35:
            gap = float(rng.uniform(3, 12))
            parts += _gap(site, side, s, gap, plants)
            s += gap
    return join(parts)


def _garden(site: Site, side: Side, s: float, width: float, depth: float, bushes: list[Mesh]) -> list[Mesh]:
    rng = site.rng
    parts = [
        _at(site, bushes[int(rng.integers(3))], s + float(x), side, side.walk + float(y))
        for x, y in _spots(rng, width, depth)
    ]
    return [*parts, *_boundary(site, side, s, width - 1.6)]


def _spots(rng: np.random.Generator, width: float, depth: float) -> Iterator[tuple[float, float]]:
    for _ in range(int(rng.integers(1, 5))):
        yield rng.uniform(0.8, width - 0.8), rng.uniform(0.8, depth - 0.7)


def _boundary(site: Site, side: Side, s: float, length: float) -> list[Mesh]:
    """A fence or hedge along the sidewalk, in pieces that follow the bend."""
    rng = site.rng
    kind = str(rng.choice(["pickets", "rails", "boards", "hedge"], p=[0.32, 0.3, 0.14, 0.24]))
    pieces = max(1, round(length / 4))
    step = length / pieces
    state = int(rng.integers(1 << 30))

    def piece() -> Mesh:
        """One piece, its middle not yet at 0."""
        again = np.random.default_rng(state)  # all pieces alike
        if kind == "hedge":
            return make_hedge(step, float(again.uniform(0.8, 1.4)), again, site.table)
        return make_fence(step, kind, site.table, again)

    mesh = piece()
    mesh = Mesh(
        mesh.vertices - np.array([step / 2, 0, 0], np.float32), mesh.normals, mesh.uv, mesh.triangles, mesh.material
    )
    return [_at(site, mesh, s + (i + 0.5) * step, side, side.walk + 0.25) for i in range(pieces)]


def _gap(site: Site, side: Side, s: float, gap: float, plants: tuple[list[Mesh], list[Mesh]]) -> list[Mesh]:
    """Between two houses: a boundary, trees and bushes."""
    rng = site.rng
    parts = _boundary(site, side, s, gap)
    for _ in range(int(gap // 3) + 1):
        tree = plants[0][int(rng.integers(3))]
        turn, size = float(rng.uniform(0, 6)), float(rng.uniform(0.75, 1.15))
        where = s + float(rng.uniform(0, gap)), side.walk + float(rng.uniform(4, 22))
        parts.append(_at(site, tree.scaled(size), where[0], side, where[1], turn))
    for _ in range(int(gap // 2)):
        parts.append(
            _at(
                site,
                plants[1][int(rng.integers(3))],
                s + float(rng.uniform(0, gap)),
                side,
                side.walk + float(rng.uniform(0.9, 5)),
            )
        )
    return parts


def _lamps(site: Site, side: Side) -> tuple[NDArray[np.float64], Mesh]:
    lamp = make_lamp(site.table, site.night, float(site.rng.uniform(0.08, 0.4)))
    offset = side.road + CURB_WIDTH + 0.3
    start = site.street.start_m + (5 if side.sign > 0 else 5 + LAMP_PITCH_M / 2)
    parts, places = [], []
    for s in np.arange(start, site.street.end_m, LAMP_PITCH_M):
        parts.append(_at(site, lamp, float(s), side, offset, -np.pi / 2))  # the arm reaches over the road
        x, y = site.street.at(s, side.sign * (offset - LAMP_REACH_M))
        places.append((x, y, SIDEWALK_Z + LAMP_HEIGHT_M - 0.12))
    return np.array(places), join(parts)


def _street_trees(site: Site, side: Side) -> Mesh:
    rng = site.rng
    if rng.random() < 0.25:
        return join([])
    trees = [make_tree(rng, site.table) for _ in range(3)]
    offset = (side.road + CURB_WIDTH + side.verge) / 2 if side.verge > side.road + 1 else side.verge + 0.45
    parts, s = [], site.street.start_m + float(rng.uniform(8, 20))
    while s < site.street.end_m:
        tree = trees[int(rng.integers(3))].scaled(float(rng.uniform(0.7, 1.05)))
        parts.append(_at(site, tree, s, side, offset, float(rng.uniform(0, 6))))
        s += float(rng.uniform(11, 34))
    return join(parts)


def _parked(site: Site, side: Side) -> Mesh:
    rng, parts = site.rng, []
    kinds = ["hatch", "sedan", "estate", "offroader", "van"]
    s = site.street.start_m + 3.0
    while s < site.street.end_m:
        clear = not len(site.markings.crossings) or np.abs(site.markings.crossings - s).min() > 6
        if rng.random() < 0.62 and clear:
            kind = str(rng.choice(kinds, p=[0.32, 0.2, 0.2, 0.18, 0.1]))
            car = make_car(kind, STOPPED if rng.random() < 0.3 else PARKED, False, site.table, rng)
            turn = np.pi if rng.random() < 0.92 else 0.0  # parked with the traffic
            offset = (LANE_EDGE_M + side.road) / 2 + float(rng.normal(0.05, 0.06))
            parts.append(
                _at(site, car, s + float(rng.normal(0, 0.25)), side, offset, turn + float(rng.normal(0, 0.015)), 0.0)
            )
        s += 6.0
    return join(parts)


SMALL_THINGS = (0.34, 0.62, 0.75, 0.87)  # up to these of a draw from 0 to 1: sign, bicycles, bollards, bins


def _small_things(site: Site, side: Side) -> Mesh:
    """Signs, bollards, parked bicycles and bins."""
    rng, parts = site.rng, []
    edge = side.road + CURB_WIDTH + 0.35
    signs = [make_sign(site.table, rng) for _ in range(6)]
    bicycles = [make_bicycle(site.table, rng) for _ in range(5)]
    bollard = make_bollard(site.table, rng)
    bins = [make_bin(site.table, rng) for _ in range(3)]
    face = np.pi if side.sign > 0 else 0.0  # signs are seen by the traffic on their side
    turn = np.pi + face if side.sign < 0 else face
    makers: tuple[Callable[[float, float], list[Mesh]], ...] = (
        lambda s, off: [_at(site, signs[int(rng.integers(6))], s + off, side, edge, turn)],
        lambda s, off: _bicycles(site, side, bicycles, s + off),
        lambda s, off: [_at(site, bollard, s + 1.5 * k, side, edge) for k in range(4)],
        lambda s, off: [
            _at(site, bins[int(rng.integers(3))], s + off + 0.8 * k, side, side.walk - 0.4) for k in range(2)
        ],
    )
    for s in np.arange(site.street.start_m + 4, site.street.end_m, 9.0):
        draw, jitter = rng.random(), float(rng.uniform(-3, 3))
        kind = int(np.searchsorted(SMALL_THINGS, draw, side="right"))
        parts += makers[kind](s, jitter) if kind < len(makers) else []
    return join(parts)


def _bicycles(site: Site, side: Side, kinds: list[Mesh], s: float) -> list[Mesh]:
    """One to three of them, leaning beside each other."""
    rng, parts = site.rng, []
    for k in range(int(rng.integers(1, 4))):
        bicycle = kinds[int(rng.integers(5))]
        turn = float(rng.normal(0, 0.12)) + np.pi * (rng.random() < 0.5)
        parts.append(_at(site, bicycle, s + 0.15 * k, side, side.walk - 0.3 - 0.28 * k, turn))
    return parts
