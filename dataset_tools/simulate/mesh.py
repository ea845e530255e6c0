"""Triangle meshes with normals, texture coordinates in metres and a material a triangle; z is up."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heatnet.calib.rigid import Rigid

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Mesh:
    """A soup of triangles; vertices belong to one material only."""

    vertices: Floats  # (V, 3) metres
    normals: Floats  # (V, 3) unit, outwards
    uv: Floats  # (V, 2) metres along the surface
    triangles: Ints  # (T, 3)
    material: Ints  # (T,)

    def moved(self, target_from_mesh: Rigid) -> "Mesh":
        """The mesh in another frame."""
        rotation = target_from_mesh.rotation.astype(np.float32)
        vertices = self.vertices @ rotation.T + target_from_mesh.translation.astype(np.float32)
        return Mesh(vertices, self.normals @ rotation.T, self.uv, self.triangles, self.material)

    def scaled(self, factor: float) -> "Mesh":
        """The mesh made larger about its origin."""
        return Mesh(
            self.vertices * np.float32(factor),
            self.normals,
            self.uv * np.float32(factor),
            self.triangles,
            self.material,
        )

    def vertex_material(self) -> Ints:
        """The material of each vertex (V,)."""
        result = np.zeros(len(self.vertices), np.int32)
        result[self.triangles] = self.material[:, None]
        return result


def join(meshes: Iterable[Mesh]) -> Mesh:
    """One mesh of many; none gives an empty one."""
    parts = [m for m in meshes if len(m.triangles)]
    if not parts:
        flat = np.zeros((0, 3), np.float32)
        return Mesh(flat, flat, np.zeros((0, 2), np.float32), np.zeros((0, 3), np.int32), np.zeros(0, np.int32))
    starts = np.cumsum([0] + [len(m.vertices) for m in parts[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in parts]),
        np.concatenate([m.normals for m in parts]),
        np.concatenate([m.uv for m in parts]),
        np.concatenate([m.triangles + np.int32(s) for m, s in zip(parts, starts, strict=True)]),
        np.concatenate([m.material for m in parts]),
    )


def place(x: float, y: float, heading_rad: float, z: float = 0.0) -> Rigid:
    """world_from_object of an object that stands upright at a place."""
    c, s = np.cos(heading_rad), np.sin(heading_rad)
    return Rigid(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), np.array([x, y, z]))


def quads(corners: ArrayLike, material: ArrayLike, uv: ArrayLike | None = None) -> Mesh:
    """Flat quadrilaterals (N, 4, 3), counter-clockwise seen from outside; `material` is one number or (N,).

    Without `uv` (N, 4, 2), u runs along the first edge and v along the last, from the world's origin so that neighbours
    of one wall share a pattern.
    """
    points = np.asarray(corners, np.float32).reshape(-1, 4, 3)
    count = len(points)
    along, up = points[:, 1] - points[:, 0], points[:, 3] - points[:, 0]
    normal = _cross(points[:, 2] - points[:, 0], points[:, 3] - points[:, 1])
    if uv is None:
        directions = np.stack([_unit(along), _unit(up)], 1)  # (N, 2, 3)
        coordinates = np.einsum("nij,nkj->nik", points, directions)
    else:
        coordinates = np.broadcast_to(np.asarray(uv, np.float32).reshape(-1, 4, 2), (count, 4, 2))
    base = 4 * np.arange(count, dtype=np.int32)[:, None, None]
    triangles = (base + np.array([[0, 1, 2], [0, 2, 3]], np.int32)).reshape(-1, 3)
    materials = np.repeat(np.broadcast_to(np.asarray(material, np.int32), (count,)), 2)
    return Mesh(
        points.reshape(-1, 3),
        np.repeat(_unit(normal), 4, axis=0),
        coordinates.reshape(-1, 2).astype(np.float32),
        triangles,
        materials,
    )


def box(low: ArrayLike, high: ArrayLike, material: int) -> Mesh:
    """An axis-aligned box between two corners."""
    start, size = np.asarray(low, np.float32), np.asarray(high, np.float32) - np.asarray(low, np.float32)
    vertices = start + UNIT_BOX.vertices * size
    uv = np.take_along_axis(vertices, BOX_AXES, axis=1)
    return Mesh(vertices, UNIT_BOX.normals, uv, UNIT_BOX.triangles, np.full(12, material, np.int32))


def _unit_box() -> Mesh:
    x0, y0, z0, x1, y1, z1 = 0, 0, 0, 1, 1, 1
    sides = [
        [(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)],
        [(x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)],
        [(x1, y1, z0), (x0, y1, z0), (x0, y1, z1), (x1, y1, z1)],
        [(x0, y1, z0), (x0, y0, z0), (x0, y0, z1), (x0, y1, z1)],
        [(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)],
        [(x0, y1, z0), (x1, y1, z0), (x1, y0, z0), (x0, y0, z0)],
    ]
    return quads(sides, 0)


def sheet(points: ArrayLike, material: ArrayLike, uv: ArrayLike | None = None, normals: NDArray | None = None) -> Mesh:
    """A smooth surface through a grid of points (R, C, 3), facing rows x columns; `material` one number or (R-1, C-1).

    Without `uv` (R, C, 2) in metres it runs along the columns and rows; without `normals` (R, C, 3) they follow the
    points.
    """
    grid = np.asarray(points, np.float32)
    rows, columns = grid.shape[:2]
    if normals is None:
        normals = _unit(_cross(np.gradient(grid, axis=0), np.gradient(grid, axis=1)))
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    triangles = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], 2).reshape(-1, 3)
    kinds = np.broadcast_to(np.asarray(material, np.int32), (rows - 1, columns - 1))
    if uv is None:
        v, u = (_way(grid, axis) for axis in (0, 1))
        uv = np.stack(np.broadcast_arrays(u[None, :], v[:, None]), -1)
    mesh = Mesh(
        grid.reshape(-1, 3),
        normals.reshape(-1, 3).astype(np.float32),
        np.asarray(uv, np.float32).reshape(-1, 2),
        triangles,
        np.repeat(kinds.ravel(), 2).astype(np.int32),
    )
    return mesh if kinds.min() == kinds.max() else _split(mesh)


def tube(path: ArrayLike, radii: ArrayLike, material: int, sides: int = 8, flatten: float = 1.0) -> Mesh:
    """A round bar along points (K, 3) with radii (K,) or one radius, closed at both ends.

    `flatten` scales the section across the horizontal direction that is square to the path.
    """
    centres = np.asarray(path, np.float64)
    size = np.broadcast_to(np.asarray(radii, np.float64), (len(centres),))
    tangent = _unit(np.gradient(centres, axis=0))
    mean = tangent.mean(0)
    helper = np.array([1.0, 0, 0]) if abs(mean[0]) < 0.7 * np.linalg.norm(mean) else np.array([0, 0, 1.0])
    first = _unit(_cross(tangent, helper[None]))
    second = _cross(tangent, first)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    cosine, sine = np.cos(angle)[None, :, None], np.sin(angle)[None, :, None]
    rings = centres[:, None] + size[:, None, None] * (cosine * second[:, None] + flatten * sine * first[:, None])
    outwards = _unit(cosine * second[:, None] + sine / flatten * first[:, None])
    flat = np.ones((1, sides + 1, 1))
    points = np.concatenate([flat * centres[0], rings, flat * centres[-1]])
    normals = np.concatenate([flat * -tangent[0], outwards, flat * tangent[-1]])
    return sheet(points, material, normals=normals)


def ellipsoid(centre: ArrayLike, radii: ArrayLike, material: int, rings: int = 8, sides: int = 12) -> Mesh:
    """An ellipsoid with axes along x, y, z."""
    polar, around = np.linspace(0, np.pi, rings + 1)[:, None], np.linspace(0, 2 * np.pi, sides + 1)
    sphere = np.empty((rings + 1, sides + 1, 3))
    sphere[..., 0], sphere[..., 1] = np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around)
    sphere[..., 2] = np.cos(polar)
    size = np.asarray(radii)
    return sheet(np.asarray(centre) + sphere * size, material, normals=_unit(sphere / size))


def _split(mesh: Mesh) -> Mesh:
    """Give each material its own vertices, since a vertex carries one temperature."""
    key = np.stack([mesh.triangles, np.repeat(mesh.material[:, None], 3, 1)], -1).reshape(-1, 2)
    unique, inverse = np.unique(key, axis=0, return_inverse=True)
    source = unique[:, 0]
    return Mesh(
        mesh.vertices[source],
        mesh.normals[source],
        mesh.uv[source],
        inverse.reshape(-1, 3).astype(np.int32),
        mesh.material,
    )


def _way(grid: Floats, axis: int) -> Floats:
    """Mean distance from the first row (axis 0) or column (axis 1) to each."""
    steps = np.diff(grid, axis=axis)
    lengths = np.sqrt((steps * steps).sum(-1)).mean(1 - axis)
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.float32)


def _cross(a: NDArray, b: NDArray) -> NDArray:
    """As numpy's for (..., 3), several times faster on small arrays."""
    x, y, z = a[..., 0], a[..., 1], a[..., 2]
    u, v, w = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], -1)


def _unit(vectors: NDArray) -> NDArray:
    return vectors / np.maximum(np.sqrt((vectors * vectors).sum(-1, keepdims=True)), 1e-9)


UNIT_BOX = _unit_box()
# By the side's normal: walls have u along the horizontal and v up; top and bottom have x and y.
BOX_AXES = np.array([[0, 2]] * 4 + [[1, 2]] * 4 + [[0, 2]] * 4 + [[1, 2]] * 4 + [[0, 1]] * 8)
