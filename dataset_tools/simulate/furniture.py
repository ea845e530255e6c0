"""What stands beside a road: lamps, signs, bollards, bins and fences."""

import numpy as np
from numpy.typing import ArrayLike

from heatnet.dataset_tools.simulate import colours
from heatnet.dataset_tools.simulate.materials import BACKGROUND, FENCE, POLE, RGB, Material, MaterialTable
from heatnet.dataset_tools.simulate.mesh import Mesh, box, join, quads, tube

LAMP_HEIGHT_M, LAMP_REACH_M = 6.8, 1.3
LAMP_GLOW = np.array([1.0, 0.72, 0.42])  # warm white


def metal(table: MaterialTable, grey: float, label: int = POLE) -> int:
    """Painted or galvanised steel."""
    return table.add(
        Material(label, (grey, grey, grey * 1.03), gloss=0.06, gain_k=9, kept_k=0.5, cooling_k=3.5, emissivity=0.85)
    )


def make_lamp(table: MaterialTable, night: bool, grey: float) -> Mesh:
    """A street lamp whose arm reaches towards +x."""
    steel = metal(table, grey)
    shine = (9.0, 6.6, 3.9) if night else (0.0, 0.0, 0.0)
    glass = table.add(Material(POLE, (0.6, 0.6, 0.55), gloss=0.05, emission=shine, warmth_k=18.0 if night else 0.0))
    top = LAMP_HEIGHT_M
    post = tube([(0, 0, 0), (0, 0, 1.1), (0, 0, 1.15), (0, 0, top - 0.2)], [0.09, 0.09, 0.065, 0.045], steel, 10)
    arm = tube([(0, 0, top - 0.25), (0.25, 0, top), (LAMP_REACH_M - 0.2, 0, top + 0.06)], 0.035, steel, 6)
    head = box((LAMP_REACH_M - 0.35, -0.13, top + 0.03), (LAMP_REACH_M + 0.3, 0.13, top + 0.13), steel)
    bulb = box((LAMP_REACH_M - 0.28, -0.1, top - 0.02), (LAMP_REACH_M + 0.24, 0.1, top + 0.03), glass)
    return join([post, arm, head, bulb])


def make_sign(table: MaterialTable, rng: np.random.Generator) -> Mesh:
    """A traffic sign on a post, facing -x."""
    steel = metal(table, 0.35)
    height = float(rng.uniform(2.2, 2.7))
    parts = [tube([(0.04, 0, 0), (0.04, 0, height + 0.3)], 0.03, steel, 8)]
    back = metal(table, 0.45)
    for layer, (outline, colour) in enumerate(_face(rng)):
        material = table.add(Material(POLE, colour, gloss=0.02, gain_k=7, kept_k=0.3, cooling_k=3, emissivity=0.92))
        parts.append(_plate(outline, height, -0.004 * layer, material))
        if layer == 0:
            parts.append(_plate(outline * [-1, 1], height, 0.012, back, turned=True))
    return join(parts)


def _face(rng: np.random.Generator) -> list[tuple[np.ndarray, RGB]]:
    """Outlines (N, 2) and colours of a sign, from the ground plate up."""
    red, blue = colours.linear((0.75, 0.08, 0.1)), colours.linear((0.05, 0.25, 0.65))
    white, yellow, black = (0.85, 0.85, 0.85), colours.linear((0.95, 0.75, 0.1)), (0.03, 0.03, 0.03)
    circle, kind = _polygon(24), int(rng.integers(6))
    bar = np.array([[-0.7, -0.14], [0.7, -0.14], [0.7, 0.14], [-0.7, 0.14]]) * 0.3
    square = np.array([[-0.3, -0.3], [0.3, -0.3], [0.3, 0.3], [-0.3, 0.3]])
    if kind == 0:
        return [(circle * 0.32, red), (circle * 0.24, white), (bar * 0.5, black)]
    if kind == 1:
        return [(circle * 0.32, red), (bar, white)]
    if kind == 2:
        return [(_polygon(3, np.pi / 2) * 0.45, red), (_polygon(3, np.pi / 2) * 0.3, white)]
    if kind == 3:
        return [(square, blue), (square * [0.3, 0.75], white)]
    if kind == 4:
        return [(_polygon(4) * 0.42, white), (_polygon(4) * 0.34, yellow)]
    return [(circle * 0.32, white), (circle * 0.3, blue), (bar * [0.7, 1.0], white)]


def make_bollard(table: MaterialTable, rng: np.random.Generator) -> Mesh:
    """A knee-high post."""
    return tube(
        [(0, 0, 0), (0, 0, 0.85), (0, 0, 0.93)], [0.055, 0.055, 0.03], metal(table, float(rng.uniform(0.05, 0.4))), 10
    )


def make_bin(table: MaterialTable, rng: np.random.Generator) -> Mesh:
    """A wheeled rubbish bin."""
    colour = colours.pick(rng, (0, 0.6), (0, 0.6), (0.12, 0.4))
    body = table.add(Material(BACKGROUND, colour, "plain", 2.0, gain_k=12, kept_k=0.5, cooling_k=3))
    lid = box((-0.3, -0.3, 1.0), (0.32, 0.3, 1.07), body)
    return join([box((-0.26, -0.27, 0.06), (0.26, 0.27, 1.0), body), lid])


def make_fence(length: float, kind: str, table: MaterialTable, rng: np.random.Generator) -> Mesh:
    """A fence along x from the origin: pickets, rails of steel, or boards."""
    height = float(rng.uniform(0.85, 1.2))
    if kind == "rails":
        return _rails(length, height, metal(table, float(rng.uniform(0.03, 0.35)), FENCE))
    colour = colours.pick(rng, (0.06, 0.1), (0.15, 0.55), (0.35, 0.8))
    wood = table.add(
        Material(FENCE, colour, "wood", 1.2, warmth_k=0.3, gain_k=12, kept_k=1.2, cooling_k=2.5, patchy_k=0.6)
    )
    pitch, width = (0.15, 0.085) if kind == "pickets" else (0.16, 0.155)
    height += 0.4 * (kind == "boards")
    x = np.arange(0, length - width, pitch)
    boards = [box((a, -0.012, 0.08), (a + width, 0.012, height + 0.03 * np.sin(9 * a)), wood) for a in x]
    rails = [box((0, 0.012, z), (length, 0.05, z + 0.09), wood) for z in (0.25, height - 0.25)]
    posts = [box((a, 0.02, 0), (a + 0.1, 0.12, height + 0.05), wood) for a in np.arange(0, length, 2.0)]
    return join([*boards, *rails, *posts])


def _rails(length: float, height: float, steel: int) -> Mesh:
    bars = [box((a - 0.009, -0.009, 0.1), (a + 0.009, 0.009, height), steel) for a in np.arange(0.1, length, 0.125)]
    rails = [box((0, -0.02, z), (length, 0.02, z + 0.04), steel) for z in (0.12, height - 0.1)]
    posts = [tube([(a, 0, 0), (a, 0, height + 0.08)], 0.03, steel, 6) for a in np.arange(0, length, 2.0)]
    return join([*bars, *rails, *posts])


def _polygon(sides: int, start: float = 0.0) -> np.ndarray:
    angle = start + np.arange(sides) * 2 * np.pi / sides
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def _plate(outline: ArrayLike, height: float, x: float, material: int, turned: bool = False) -> Mesh:
    """A flat polygon (N, 2) about a height, facing -x, or +x where `turned`."""
    points = np.asarray(outline, float)
    sign = 1.0 if turned else -1.0
    rim = np.stack([np.full(len(points), x), sign * points[:, 0], height + points[:, 1]], 1)
    centre = np.broadcast_to([x, 0.0, height], rim.shape)
    after = np.roll(rim, -1, axis=0)
    return quads(np.stack([centre, rim, after, after], 1), material)
