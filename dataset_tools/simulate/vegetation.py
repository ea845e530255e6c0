"""Trees, bushes and hedges: wood, and leaves as many small cards."""

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.simulate import colours
from heatnet.dataset_tools.simulate.materials import VEGETATION, Material, MaterialTable
from heatnet.dataset_tools.simulate.mesh import Mesh, box, join, quads, tube

Array = NDArray[np.float64]


def leaf_material(rng: np.random.Generator, table: MaterialTable) -> int:
    """Leaves of one tree or hedge."""
    return table.add(
        Material(VEGETATION, colours.leaf(rng), "leaves", 1.5, gain_k=2.5, kept_k=0.5, cooling_k=2.0, patchy_k=0.7)
    )


def make_tree(rng: np.random.Generator, table: MaterialTable) -> Mesh:
    """A tree of about 6 to 9 m, foot at the origin."""
    bark_colour = colours.pick(rng, (0.05, 0.1), (0.15, 0.45), (0.25, 0.5))
    bark = table.add(Material(VEGETATION, bark_colour, "bark", 1.2, gain_k=6, kept_k=2.0, cooling_k=2))
    leaves = leaf_material(rng, table)
    height, trunk = rng.uniform(6, 9), rng.uniform(0.11, 0.2)
    crown = rng.uniform(1.7, 2.6)
    fork = rng.uniform(2.2, 3.0)
    lean = rng.normal(0, 0.15, 2)
    stem = np.array([[0, 0, -0.1], [*lean * 0.3, fork * 0.6], [*lean, fork], [*lean * 1.5, height - crown * 0.6]])
    parts = [tube(stem, [trunk * 1.25, trunk, trunk * 0.9, trunk * 0.3], bark, 10)]
    centre = np.array([*lean * 1.4, height - crown * 0.9])
    blobs = centre + _ball(rng, 13) * np.array([crown, crown, crown * 0.8]) * 0.72
    for blob in blobs[:6]:
        middle = (stem[2] + blob) / 2 + [0, 0, -0.25]
        parts.append(tube([stem[2], middle, blob], [trunk * 0.5, trunk * 0.35, 0.02], bark, 6))
    parts.append(_cards(blobs, crown * 0.52, 150, 0.21, leaves, rng))
    return join(parts)


def make_bush(rng: np.random.Generator, table: MaterialTable) -> Mesh:
    """A bush about a metre high."""
    leaves = leaf_material(rng, table)
    blobs = np.array([0, 0, 0.45]) + _ball(rng, 4) * [0.5, 0.5, 0.25]
    return _cards(blobs, rng.uniform(0.35, 0.5), 110, 0.12, leaves, rng)


def make_hedge(length: float, height: float, rng: np.random.Generator, table: MaterialTable) -> Mesh:
    """A clipped hedge along x from the origin, half a metre thick."""
    leaves = leaf_material(rng, table)
    core = box((0, -0.2, 0), (length, 0.2, height - 0.05), leaves)
    count = int(length * 110 * height)
    face = rng.integers(0, 3, count)
    x, z = rng.uniform(0, length, count), rng.uniform(0, height, count)
    y = np.choose(face, [np.full(count, -0.22), np.full(count, 0.22), rng.uniform(-0.2, 0.2, count)])
    z = np.where(face == 2, height - 0.03, z)
    normals = np.choose(face[:, None], [[0.0, -1, 0.2], [0, 1, 0.2], [0, 0, 1.0]])
    return join([core, _card_mesh(np.stack([x, y, z], 1), normals, 0.1, leaves, rng)])


def _cards(blobs: Array, radius: float, count: int, size: float, material: int, rng: np.random.Generator) -> Mesh:
    """Leaf cards around blobs (N, 3)."""
    directions = _ball(rng, len(blobs) * count)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    depth = rng.uniform(0.6, 1.05, (len(directions), 1))
    places = np.repeat(blobs, count, axis=0) + directions * depth * radius * rng.uniform(0.8, 1.2, (len(directions), 1))
    return _card_mesh(places, directions, size, material, rng)


def _card_mesh(places: Array, normals: Array, size: float, material: int, rng: np.random.Generator) -> Mesh:
    count = len(places)
    first = np.cross(normals, rng.normal(size=(count, 3)))
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-6)
    tilted = normals + 0.9 * rng.normal(size=(count, 3))
    second = np.cross(tilted, first)
    second /= np.maximum(np.linalg.norm(second, axis=1, keepdims=True), 1e-6)
    half = (size * rng.uniform(0.35, 0.65, (count, 1))) * np.array([1.0])
    a, b = half * first, half * second * 0.8
    corners = np.stack([places - a, places - b, places + a, places + b], 1)  # a diamond looks less like paper
    uv = rng.uniform(0, 8, (count, 1, 2)) + np.array([[-1, 0], [0, -1], [1, 0], [0, 1]]) * half[:, None]
    mesh = quads(corners, material, uv)
    soft = normals / np.linalg.norm(normals, axis=1, keepdims=True) + 0.25 * rng.normal(size=(count, 3))
    soft /= np.linalg.norm(soft, axis=1, keepdims=True)
    return Mesh(mesh.vertices, np.repeat(soft, 4, axis=0).astype(np.float32), mesh.uv, mesh.triangles, mesh.material)


def _ball(rng: np.random.Generator, count: int) -> Array:
    points = rng.normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points * rng.uniform(0.3, 1, (count, 1)) ** (1 / 3)
