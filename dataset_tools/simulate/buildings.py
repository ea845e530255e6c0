"""Houses: facades with recessed windows and doors, gabled or flat roofs, chimneys.

A house stands in its own frame: x along the facade, y to the back, z up, the middle of the facade's foot at the origin.
"""

from dataclasses import dataclass

import numpy as np

from heatnet.calib.rigid import Rigid
from heatnet.dataset_tools.simulate import colours
from heatnet.dataset_tools.simulate.materials import BUILDING, Material, MaterialTable
from heatnet.dataset_tools.simulate.mesh import Mesh, box, join, quads

Corner = tuple[float, float, float]
REVEAL_M = 0.14


@dataclass(frozen=True)
class House:
    """Measures in metres and materials by number."""

    width: float
    depth: float
    floors: int
    floor_height: float
    columns: int
    window: tuple[float, float]  # width, height
    sill: float
    roof: str  # gable or flat
    wall: int
    base: int
    trim: int
    tiles: int
    door: int
    metal: int

    @property
    def height(self) -> float:
        """Of the eaves."""
        return self.floors * self.floor_height + 0.4


class Glass:
    """Draws window panes: by night some are lit, each in its own way."""

    def __init__(self, table: MaterialTable, night: bool, rng: np.random.Generator) -> None:
        self._rng = rng
        self._panes = [table.add(_pane(night, rng)) for _ in range(24)]

    def pane(self) -> int:
        """The material of the next window."""
        return int(self._rng.choice(self._panes))


def make_house(width: float, table: MaterialTable, rng: np.random.Generator) -> House:
    """A house of a given width."""
    storey = float(rng.uniform(2.7, 3.4))
    spacing = rng.uniform(2.0, 3.4)
    columns = max(2, round(width / spacing))
    cell = width / columns
    window = (float(min(rng.uniform(0.8, 1.5), cell - 0.6)), float(rng.uniform(1.2, min(1.9, storey - 1.0))))
    warm = float(rng.normal(0, 0.8))
    return House(
        width,
        float(rng.uniform(9, 13)),
        int(rng.choice([2, 3, 4, 5], p=[0.3, 0.4, 0.2, 0.1])),
        storey,
        columns,
        window,
        float(rng.uniform(0.75, 1.0)),
        str(rng.choice(["gable", "flat"], p=[0.7, 0.3])),
        table.add(_wall(rng, warm)),
        table.add(_base(rng, warm)),
        table.add(_trim(rng)),
        table.add(_roof(rng)),
        table.add(_door(rng)),
        table.add(Material(BUILDING, (0.25, 0.26, 0.27), gloss=0.1, gain_k=9, cooling_k=5, emissivity=0.6)),
    )


def build_house(house: House, glass: Glass, rng: np.random.Generator) -> Mesh:
    """The mesh of a house."""
    parts = [_front(house, glass, rng), _flanks(house, glass), _roof_mesh(house)]
    if house.roof == "gable" and rng.random() < 0.7:
        x = float(rng.uniform(-0.3, 0.3)) * house.width
        top = house.height + _rise(house) + 0.7
        middle = house.depth / 2
        parts.append(box((x, middle - 1.2, house.height), (x + 0.7, middle - 0.5, top), house.base))
    x = house.width / 2 - 0.12
    parts.append(box((x - 0.09, -0.1, 0), (x, -0.01, house.height), house.metal))
    return join(parts)


def _front(house: House, glass: Glass, rng: np.random.Generator) -> Mesh:
    cell = house.width / house.columns
    door_column = int(rng.integers(house.columns))
    shop = rng.random() < 0.2
    parts: list[Mesh] = []
    for floor in range(house.floors):
        for column in range(house.columns):
            low = (column * cell - house.width / 2, floor * house.floor_height + 0.4 * (floor > 0))
            high = (low[0] + cell, (floor + 1) * house.floor_height + 0.4)
            wall = house.base if floor == 0 else house.wall
            middle = (low[0] + high[0]) / 2
            if floor == 0 and column == door_column:
                opening = (middle - 0.55, 0.02, middle + 0.55, 2.35)
                parts += _cell(low, high, opening, wall, house.trim) + _door_leaf(opening, house, glass)
                continue
            opening = _opening(house, middle, floor, cell, shop)
            parts += _cell(low, high, opening, wall, house.trim) + _window(opening, house.trim, glass.pane())
    if rng.random() < 0.5:
        z = house.floor_height + 0.4
        parts.append(box((-house.width / 2, -0.06, z - 0.1), (house.width / 2, 0.0, z + 0.1), house.trim))
    return join(parts)


def _opening(house: House, middle: float, floor: int, cell: float, shop: bool) -> tuple[float, float, float, float]:
    base = floor * house.floor_height + 0.4
    if shop and floor == 0:
        return middle - cell / 2 + 0.25, 0.5, middle + cell / 2 - 0.25, house.floor_height - 0.2
    half = house.window[0] / 2
    return middle - half, base + house.sill, middle + half, base + house.sill + house.window[1]


def _cell(
    low: tuple[float, float],
    high: tuple[float, float],
    opening: tuple[float, float, float, float],
    wall: int,
    trim: int,
) -> list[Mesh]:
    """A piece of wall with a recess in it."""
    (x0, z0), (x1, z1) = low, high
    u0, v0, u1, v1 = opening
    flat = [(x0, z0, x1, v0), (x0, v1, x1, z1), (x0, v0, u0, v1), (u1, v0, x1, v1)]
    around = quads([_upright(*r, 0.0) for r in flat if r[2] > r[0] and r[3] > r[1]], wall)
    r = REVEAL_M
    reveal: list[list[Corner]] = [
        [(u0, 0, v0), (u0, r, v0), (u0, r, v1), (u0, 0, v1)],
        [(u1, r, v0), (u1, 0, v0), (u1, 0, v1), (u1, r, v1)],
        [(u0, r, v1), (u1, r, v1), (u1, 0, v1), (u0, 0, v1)],
        [(u0, 0, v0), (u1, 0, v0), (u1, r, v0), (u0, r, v0)],
    ]
    return [around, quads(reveal, trim)]


def _window(opening: tuple[float, float, float, float], trim: int, pane: int) -> list[Mesh]:
    u0, v0, u1, v1 = opening
    f, y = 0.07, REVEAL_M - 0.03
    bars = [
        (u0, v0, u1, v0 + f),
        (u0, v1 - f, u1, v1),
        (u0, v0 + f, u0 + f, v1 - f),
        (u1 - f, v0 + f, u1, v1 - f),
        ((u0 + u1) / 2 - 0.03, v0 + f, (u0 + u1) / 2 + 0.03, v1 - f),
    ]
    sill = box((u0 - 0.08, -0.07, v0 - 0.06), (u1 + 0.08, 0.0, v0), trim)
    panel = _upright(u0, v0, u1, v1, REVEAL_M)
    corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    return [quads([_upright(*bar, y) for bar in bars], trim), quads([panel], pane, [corners]), sill]


def _door_leaf(opening: tuple[float, float, float, float], house: House, glass: Glass) -> list[Mesh]:
    u0, v0, u1, v1 = opening
    light = v1 - 0.42
    parts = [quads([_upright(u0, v0, u1, light, REVEAL_M)], house.door)]
    parts.append(quads([_upright(u0, light, u1, v1, REVEAL_M)], glass.pane(), [[(0, 0), (1, 0), (1, 0.4), (0, 0.4)]]))
    parts.append(box((u0 - 0.15, -0.35, 0.0), (u1 + 0.15, REVEAL_M, 0.08), house.base))
    return parts


def _flanks(house: House, glass: Glass) -> Mesh:
    """The two sides, with a window a floor, and the back."""
    w, d, h = house.width / 2, house.depth, house.height
    parts = []
    for floor in range(house.floors):
        z0, z1 = floor * house.floor_height + 0.4 * (floor > 0), (floor + 1) * house.floor_height + 0.4
        base = floor * house.floor_height + 0.4
        for middle in (0.3 * d, 0.7 * d):
            low, high = (
                (middle - 0.2 * d - 0.1 * d * (middle < d / 2), z0),
                (middle + 0.2 * d + 0.1 * d * (middle > d / 2), z1),
            )
            half = house.window[0] / 2
            opening = (middle - half, base + house.sill, middle + half, base + house.sill + house.window[1])
            side = join(
                [*_cell(low, high, opening, house.wall, house.trim), *_window(opening, house.trim, glass.pane())]
            )
            parts += [_turned(side, w, 1), _turned(side, w, -1, d)]
    back: list[Corner] = [(w, d, 0), (-w, d, 0), (-w, d, h), (w, d, h)]
    return join([*parts, quads([back], house.wall)])


def _turned(side: Mesh, w: float, sign: int, depth: float = 0.0) -> Mesh:
    """A flank drawn like a facade, turned to face right (sign 1) or left (-1)."""
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]) if sign > 0 else np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    return side.moved(Rigid(turn.astype(float), np.array([w, 0.0, 0.0] if sign > 0 else [-w, depth, 0.0])))


def _rise(house: House) -> float:
    return 0.42 * house.depth if house.roof == "gable" else 0.0


def _roof_mesh(house: House) -> Mesh:
    w, d, h, out = house.width / 2, house.depth, house.height, 0.35
    if house.roof == "flat":
        parapet = box((-w - 0.05, -0.05, h), (w + 0.05, d + 0.05, h + 0.35), house.trim)
        deck = quads([[(-w, 0, h + 0.36), (w, 0, h + 0.36), (w, d, h + 0.36), (-w, d, h + 0.36)]], house.tiles)
        return join([parapet, deck])
    top, drop = h + _rise(house), out * 0.84
    slopes: list[list[Corner]] = [
        [(-w, -out, h - drop), (w, -out, h - drop), (w, d / 2, top), (-w, d / 2, top)],
        [(w, d + out, h - drop), (-w, d + out, h - drop), (-w, d / 2, top), (w, d / 2, top)],
    ]
    gables: list[list[Corner]] = [
        [(w, 0, h), (w, d, h), (w, d / 2, top), (w, d / 2, top)],
        [(-w, d, h), (-w, 0, h), (-w, d / 2, top), (-w, d / 2, top)],
    ]
    gutter = box((-w, -out - 0.12, h - drop - 0.05), (w, -out, h - drop + 0.07), house.metal)
    eaves: list[Corner] = [(-w, 0, h - 0.02), (w, 0, h - 0.02), (w, -out, h - drop - 0.02), (-w, -out, h - drop - 0.02)]
    return join([quads(slopes, house.tiles), quads(gables, house.wall), gutter, quads([eaves], house.trim)])


def _upright(x0: float, z0: float, x1: float, z1: float, y: float) -> list[Corner]:
    return [(x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)]


def _wall(rng: np.random.Generator, warm: float) -> Material:
    if rng.random() < 0.3:
        return Material(
            BUILDING,
            colours.brick(rng),
            "brick",
            2.2,
            warmth_k=1 + warm,
            gain_k=13,
            kept_k=5,
            cooling_k=2.5,
            patchy_k=0.8,
        )
    colour = colours.plaster(rng)
    gain = 5 + 14 * (1 - float(np.mean(colour)))
    return Material(
        BUILDING, colour, "plaster", 5.0, warmth_k=1 + warm, gain_k=gain, kept_k=4, cooling_k=2.5, patchy_k=0.6
    )


def _base(rng: np.random.Generator, warm: float) -> Material:
    kind = str(rng.choice(["plaster", "stone", "brick"]))
    colour = colours.brick(rng) if kind == "brick" else colours.pick(rng, (0.07, 0.12), (0.03, 0.2), (0.45, 0.8))
    tile = {"stone": 4.0, "brick": 2.2, "plaster": 5.0}[kind]
    return Material(
        BUILDING, colour, kind, tile, warmth_k=1.5 + warm, gain_k=11, kept_k=4.5, cooling_k=2.5, patchy_k=0.6
    )


def _trim(rng: np.random.Generator) -> Material:
    colour = colours.pick(rng, (0.05, 0.12), (0, 0.15), (0.75, 0.97)) if rng.random() < 0.75 else colours.cloth(rng)
    return Material(BUILDING, colour, "plain", 2.0, warmth_k=2.2, gain_k=8, kept_k=2.5, cooling_k=3, emissivity=0.92)


def _roof(rng: np.random.Generator) -> Material:
    colour = colours.pick(rng, (0.01, 0.06), (0.4, 0.65), (0.35, 0.55)) if rng.random() < 0.6 else (0.05, 0.05, 0.06)
    return Material(BUILDING, colour, "tiles", 4.0, gain_k=22, kept_k=1, cooling_k=7, patchy_k=0.8)


def _door(rng: np.random.Generator) -> Material:
    return Material(BUILDING, colours.cloth(rng), "wood", 1.6, warmth_k=2.5, gain_k=10, kept_k=2, cooling_k=2)


def _pane(night: bool, rng: np.random.Generator) -> Material:
    """Glass with what is behind it: darkness, a curtain, or a lit room."""
    warmth = float(rng.uniform(0.5, 5) if night else rng.uniform(-1, 2))
    curtain = rng.random() < 0.45
    value = float(rng.uniform(0.25, 0.55)) if curtain else float(rng.uniform(0.01, 0.04))
    emission = (0.0, 0.0, 0.0)
    if night and rng.random() < 0.3:
        glow = float(rng.uniform(0.03, 0.5))
        tint = colours.pick(rng, (0.08, 0.13), (0.25, 0.6), (1, 1))
        emission = (glow * tint[0], glow * tint[1], glow * tint[2])
        warmth += 2
    return Material(
        BUILDING,
        (value, value, value * 0.95),
        "curtain" if curtain or emission[0] else "plain",
        1.0,
        gloss=0.09,
        emission=emission,
        warmth_k=warmth,
        gain_k=3,
        kept_k=0.5,
        cooling_k=2,
        patchy_k=0.2,
        emissivity=0.84,
    )
