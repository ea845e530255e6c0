"""People who stand, walk or ride a bicycle: x forwards, y left, z up, the ground at the origin.

A person is made once, of stiff parts, and posed at any time by moving the parts.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.simulate import colours
from heatnet.dataset_tools.simulate.materials import PERSON, Material, MaterialTable
from heatnet.dataset_tools.simulate.mesh import Mesh, ellipsoid, join, tube

Array = NDArray[np.float64]
STRIDE_M = 1.35  # both steps
THIGH_M, SHIN_M, UPPER_ARM_M, FOREARM_M = 0.45, 0.43, 0.29, 0.26
HIP = np.array([0.0, 0.095, 0.92])
SHOULDER = np.array([0.0, 0.215, 1.41])
SADDLE = np.array([-0.2, 0.0, 0.98])  # where a rider's hips are
FORWARDS = np.array([1.0, 0, 0])


@dataclass(frozen=True)
class Figure:
    """A person's parts in one mesh. Part 0 is trunk and head, placed by the hips; the others are limbs that hang down
    from their joint at the origin: for each side thigh, shin with shoe, upper arm, forearm with hand."""

    mesh: Mesh
    part: NDArray[np.int64]  # (V,)
    size: float  # 1 is 1.75 m

    def posed(self, rotations: Array, places: Array) -> Mesh:
        """The mesh with its parts turned by (9, 3, 3) and put at (9, 3)."""
        turn = rotations.astype(np.float32)[self.part]
        vertices = np.einsum("vij,vj->vi", turn, self.mesh.vertices) + places.astype(np.float32)[self.part]
        normals = np.einsum("vij,vj->vi", turn, self.mesh.normals)
        return replace(self.mesh, vertices=vertices * np.float32(self.size), normals=normals)


def make_figure(table: MaterialTable, rng: np.random.Generator, night: bool) -> Figure:
    """Someone dressed at random: skin is warmest, clothes lie between it and the air."""
    warm = 11.0 if night else 6.0

    def cloth(warmth: float) -> int:
        colour = colours.cloth(rng)
        return table.add(
            Material(PERSON, colour, "fabric", 0.8, warmth_k=warmth, gain_k=5, kept_k=0, cooling_k=1, patchy_k=1.2)
        )

    tone = colours.skin(rng)
    skin = table.add(
        Material(PERSON, tone, "plain", 0.5, warmth_k=warm * 1.75, gain_k=1, kept_k=0, cooling_k=0.3, emissivity=0.98)
    )
    dark = colours.pick(rng, (0.05, 0.09), (0.2, 0.6), (0.05, 0.5))
    hair = table.add(Material(PERSON, dark, "fabric", 0.4, warmth_k=warm * 1.1, gain_k=4, kept_k=0, cooling_k=0.8))
    top, trousers = cloth(warm * rng.uniform(0.6, 0.95)), cloth(warm * rng.uniform(0.6, 0.85))
    leg, arm = _leg(trousers, cloth(warm * 0.35)), _arm(top, skin)
    parts = [_trunk(top, skin, hair), *leg, *arm, *leg, *arm]
    numbers = np.repeat(np.arange(len(parts)), [len(p.vertices) for p in parts])
    return Figure(join(parts), numbers, float(np.clip(rng.normal(1.0, 0.06), 0.85, 1.12)))


def walker(figure: Figure, way_m: float) -> Mesh:
    """A person in the pose that belongs to a way walked."""
    phase = 2 * np.pi * way_m / STRIDE_M
    turns, places = [np.eye(3)], [np.zeros(3)]
    for side in (-1.0, 1.0):
        mirror = np.array([1, side, 1])
        swing = side * np.sin(phase)
        thigh = 0.5 * swing
        shin = thigh - 0.55 * max(0.0, float(side * np.cos(phase)))
        arm = -0.45 * swing
        for joint, first, second, length in (
            (HIP * mirror, thigh, shin, THIGH_M),
            (SHOULDER * mirror, arm, arm + 0.35, UPPER_ARM_M),
        ):
            turns += [_pitch(first), _pitch(second)]
            places += [joint, joint + length * _pitch(first)[:, 2] * -1]
    return figure.posed(np.array(turns), np.array(places))


def rider(figure: Figure, way_m: float) -> Mesh:
    """A person on a bicycle made by `make_bicycle`."""
    phase = way_m / 0.34 / 2.5
    lean = _pitch(-0.45)
    turns, places = [lean], [SADDLE - lean @ np.array([0, 0, HIP[2]])]
    for side in (-1.0, 1.0):
        mirror = np.array([1, side, 1])
        turn = phase if side > 0 else phase + np.pi
        ankle = np.array([0.17 * np.cos(turn) - 0.03, side * 0.12, 0.4 - 0.17 * np.sin(turn)])
        hip = SADDLE + HIP * mirror * [0, 1, 0]
        shoulder = places[0] + lean @ (SHOULDER * mirror)
        hand = np.array([0.37, side * 0.26, 1.02])
        for joint, end, first, second, bend in (
            (hip, ankle, THIGH_M, SHIN_M, FORWARDS),
            (shoulder, hand, UPPER_ARM_M, FOREARM_M, -FORWARDS),
        ):
            middle = _bent(joint, end, first, second, bend)
            turns += [_hanging(middle - joint), _hanging(end - middle)]
            places += [joint, middle]
    return replace(figure, size=1.0).posed(np.array(turns), np.array(places))


def _trunk(top: int, skin: int, hair: int) -> Mesh:
    spine = np.array([[0, 0, 0.86], [0, 0, 1.0], [0, 0, 1.25], [0, 0, 1.42], [0, 0, 1.48]])
    return join(
        [
            tube(spine, [0.105, 0.11, 0.125, 0.11, 0.05], top, 12, flatten=1.6),
            tube([(0, 0, 1.45), (0.01, 0, 1.56)], 0.055, skin, 8),
            ellipsoid((0.015, 0, 1.63), (0.095, 0.078, 0.12), skin, 9, 12),
            ellipsoid((-0.012, 0, 1.665), (0.1, 0.086, 0.1), hair, 8, 12),
        ]
    )


def _leg(trousers: int, shoes: int) -> list[Mesh]:
    thigh = tube([(0, 0, 0), (0, 0, -0.22), (0, 0, -THIGH_M)], [0.092, 0.085, 0.065], trousers, 9)
    shin = tube([(0, 0, 0), (0, 0, -0.17), (0, 0, -SHIN_M + 0.01)], [0.065, 0.062, 0.045], trousers, 9)
    shoe = ellipsoid((0.06, 0, -SHIN_M - 0.02), (0.135, 0.05, 0.05), shoes, 6, 9)
    return [thigh, join([shin, shoe])]


def _arm(top: int, skin: int) -> list[Mesh]:
    upper = tube([(0, 0, 0), (0, 0, -0.14), (0, 0, -UPPER_ARM_M)], [0.06, 0.052, 0.045], top, 8)
    lower = tube([(0, 0, 0), (0, 0, -FOREARM_M)], [0.045, 0.036], top, 8)
    hand = ellipsoid((0, 0, -FOREARM_M - 0.04), (0.05, 0.035, 0.06), skin, 6, 8)
    return [upper, join([lower, hand])]


def _pitch(angle: float) -> Array:
    """Turn that swings what hangs down forwards by an angle."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])


def _hanging(way: Array) -> Array:
    """Turn that makes what hangs down point along `way`."""
    up = -way / np.linalg.norm(way)
    side = np.cross(up, FORWARDS)
    side /= np.linalg.norm(side)
    return np.stack([np.cross(side, up), side, up], 1)


def _bent(joint: Array, end: Array, first: float, second: float, bend: Array) -> Array:
    """Where two links meet that join two places, bent towards a direction."""
    way = end - joint
    length = min(float(np.linalg.norm(way)), 0.999 * (first + second))
    unit = way / np.linalg.norm(way)
    along = (first**2 - second**2 + length**2) / (2 * length)
    aside = bend - (bend @ unit) * unit
    return joint + along * unit + np.sqrt(max(first**2 - along**2, 0.0)) * aside / np.linalg.norm(aside)
