"""People who stand, walk or ride a bicycle: x forwards, y left, z up, the ground at the origin."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.rigid import Rigid
from heatnet.dataset_tools.simulate import colours
from heatnet.dataset_tools.simulate.materials import PERSON, Material, MaterialTable
from heatnet.dataset_tools.simulate.mesh import Mesh, ellipsoid, join, tube

Array = NDArray[np.float64]
STRIDE_M = 1.35  # both steps


@dataclass(frozen=True)
class Outfit:
    """Materials of one person, and their height relative to 1.75 m."""

    size: float
    skin: int
    hair: int
    top: int
    trousers: int
    shoes: int


def make_outfit(table: MaterialTable, rng: np.random.Generator, night: bool) -> Outfit:
    """Someone dressed at random: skin is warmest, clothes lie between it and the air."""
    warm = 11.0 if night else 6.0

    def cloth(warmth: float) -> int:
        colour = colours.cloth(rng)
        return table.add(
            Material(PERSON, colour, "fabric", 0.8, warmth_k=warmth, gain_k=5, kept_k=0, cooling_k=1, patchy_k=1.2)
        )

    skin = Material(
        PERSON,
        colours.skin(rng),
        "plain",
        0.5,
        warmth_k=warm * 1.75,
        gain_k=1,
        kept_k=0,
        cooling_k=0.3,
        emissivity=0.98,
    )
    hair_colour = colours.pick(rng, (0.05, 0.09), (0.2, 0.6), (0.05, 0.5))
    hair = Material(PERSON, hair_colour, "fabric", 0.4, warmth_k=warm * 1.1, gain_k=4, kept_k=0, cooling_k=0.8)
    return Outfit(
        float(np.clip(rng.normal(1.0, 0.06), 0.85, 1.12)),
        table.add(skin),
        table.add(hair),
        cloth(warm * rng.uniform(0.6, 0.95)),
        cloth(warm * rng.uniform(0.6, 0.85)),
        cloth(warm * 0.35),
    )


def walker(outfit: Outfit, way_m: float) -> Mesh:
    """A person in the pose that belongs to a way walked; at a whole stride the legs pass each other."""
    phase = 2 * np.pi * way_m / STRIDE_M
    parts = _trunk(outfit)
    for side in (-1, 1):
        swing = side * np.sin(phase)
        hip = np.array([0, side * 0.095, 0.92])
        thigh, shin = 0.5 * swing, 0.5 * swing - 0.55 * max(0.0, float(side * np.cos(phase)))
        knee = hip + 0.45 * np.array([np.sin(thigh), 0, -np.cos(thigh)])
        ankle = knee + 0.42 * np.array([np.sin(shin), 0, -np.cos(shin)])
        parts += _leg(outfit, hip, knee, ankle)
        arm = -0.45 * swing
        shoulder = np.array([0, side * 0.215, 1.41])
        elbow = shoulder + 0.29 * np.array([np.sin(arm), side * 0.12, -np.cos(arm)])
        parts += _arm(outfit, shoulder, elbow, elbow + 0.26 * np.array([np.sin(arm + 0.35), 0, -np.cos(arm + 0.35)]))
    return join(parts).scaled(outfit.size)


def rider(outfit: Outfit, way_m: float) -> Mesh:
    """A person on a bicycle made by `make_bicycle`."""
    phase = way_m / 0.34 / 2.5
    parts = [p.moved(_lean(0.45, np.array([-0.22, 0, 0.98]), 0.92)) for p in _trunk(outfit)]
    for side in (-1, 1):
        hip = np.array([-0.2, side * 0.1, 0.98])
        pedal = np.array([0.17 * np.cos(phase), side * 0.12, 0.3 - side * 0.17 * np.sin(phase)])
        if side < 0:
            pedal[0] = -pedal[0]
        ankle = pedal + np.array([-0.03, 0, 0.1])
        parts += _leg(outfit, hip, _knee(hip, ankle, 0.46, 0.44), ankle)
        shoulder, hand = np.array([0.02, side * 0.2, 1.43]), np.array([0.38, side * 0.26, 1.0])
        parts += _arm(outfit, shoulder, (shoulder + hand) / 2 + [-0.02, side * 0.06, -0.06], hand)
    return join(parts)


def _trunk(outfit: Outfit) -> list[Mesh]:
    spine = np.array([[0, 0, 0.86], [0, 0, 1.0], [0, 0, 1.25], [0, 0, 1.42], [0, 0, 1.48]])
    return [
        tube(spine, [0.105, 0.11, 0.125, 0.11, 0.05], outfit.top, 12, flatten=1.6),
        tube([(0, 0, 1.45), (0.01, 0, 1.56)], 0.055, outfit.skin, 8),
        ellipsoid((0.015, 0, 1.63), (0.095, 0.078, 0.12), outfit.skin, 9, 12),
        ellipsoid((-0.012, 0, 1.665), (0.1, 0.086, 0.1), outfit.hair, 8, 12),
    ]


def _leg(outfit: Outfit, hip: Array, knee: Array, ankle: Array) -> list[Mesh]:
    return [
        tube([hip, 0.5 * (hip + knee), knee], [0.092, 0.085, 0.065], outfit.trousers, 9),
        tube([knee, 0.6 * knee + 0.4 * ankle, ankle], [0.065, 0.062, 0.045], outfit.trousers, 9),
        ellipsoid(ankle + np.array([0.06, 0, -0.035]), (0.135, 0.05, 0.05), outfit.shoes, 6, 9),
    ]


def _arm(outfit: Outfit, shoulder: Array, elbow: Array, hand: Array) -> list[Mesh]:
    return [
        tube([shoulder, 0.5 * (shoulder + elbow), elbow], [0.06, 0.052, 0.045], outfit.top, 8),
        tube([elbow, hand], [0.045, 0.036], outfit.top, 8),
        ellipsoid(hand + 0.05 * (hand - elbow), (0.05, 0.035, 0.06), outfit.skin, 6, 8),
    ]


def _knee(hip: Array, ankle: Array, thigh: float, shin: float) -> Array:
    """Where two links meet that join hip and ankle, bent forwards."""
    way = ankle - hip
    length = min(float(np.linalg.norm(way)), 0.999 * (thigh + shin))
    along = (thigh**2 - shin**2 + length**2) / (2 * length)
    unit = way / np.linalg.norm(way)
    forwards = np.array([1.0, 0, 0]) - unit[0] * unit
    return hip + along * unit + np.sqrt(max(thigh**2 - along**2, 0)) * forwards / np.linalg.norm(forwards)


def _lean(angle: float, hip: Array, from_z: float) -> Rigid:
    rotation = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    return Rigid(rotation, hip - rotation @ np.array([0, 0, from_z]))
