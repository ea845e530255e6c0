"""Rays against the static street and what moves in it, and what they find there."""

from dataclasses import dataclass

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from heatnet.dataset_tools.simulate.mesh import Mesh

Floats = NDArray[np.float32]
LIFT_M = 0.012  # how far from a surface a secondary ray starts
NOTHING = -1


@dataclass(frozen=True)
class Hits:
    """Where rays end. `triangle` is NOTHING for the sky."""

    distance: Floats  # (N,) in lengths of the direction
    triangle: NDArray[np.int32]  # (N,)
    weights: Floats  # (N, 2) barycentric, of the triangle's second and third corner
    face: Floats  # (N, 3) the triangle's plane normal, of either sign

    def take(self, index: NDArray | slice) -> "Hits":
        """Some of them."""
        return Hits(self.distance[index], self.triangle[index], self.weights[index], self.face[index])


@dataclass(frozen=True)
class Points:
    """Surface points: what shading needs to know."""

    position: Floats  # (N, 3)
    normal: Floats  # (N, 3) unit, towards the viewer
    uv: Floats  # (N, 2)
    sky: Floats  # (N,) share of the sky that lights it, 0 to 1
    heat: Floats  # (N,) kelvins above the air
    material: NDArray[np.int32]  # (N,)
    direction: Floats  # (N, 3) unit, of the ray
    distance: Floats  # (N,) metres

    @property
    def above(self) -> Floats:
        """Places (N, 3) a little off the surface, where secondary rays start."""
        return self.position + np.float32(LIFT_M) * self.normal

    def take(self, index: NDArray | slice) -> "Points":
        """Some of them."""
        return Points(*(getattr(self, name)[index] for name in Points.__dataclass_fields__))


class Body:
    """A mesh that rays can hit; vertices carry the sky's share and heat.

    `table` (T, 3, 7) holds normal, uv, sky and heat of each triangle's corners, side by side in memory.
    """

    def __init__(self, mesh: Mesh, sky: Floats, heat: Floats) -> None:
        values = np.concatenate([mesh.normals, mesh.uv, sky[:, None], heat[:, None]], 1).astype(np.float32)
        self.table = values[mesh.triangles]
        self.material = mesh.material
        self._scene = scene_of(mesh)

    def cast(self, rays: Floats) -> dict[str, NDArray]:
        """open3d's answer for rays (N, 6)."""
        answer = self._scene.cast_rays(tensor(rays))
        return {key: value.numpy() for key, value in answer.items()}

    def blocked(self, rays: Floats, reach: float) -> NDArray[np.bool_]:
        """Which rays hit anything within `reach` lengths of their direction."""
        return self._scene.test_occlusions(tensor(rays), 0.0, reach).numpy()


def scene_of(mesh: Mesh) -> o3d.t.geometry.RaycastingScene:
    """An open3d scene of one mesh."""
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(tensor(mesh.vertices.astype(np.float32)), tensor(mesh.triangles.astype(np.uint32)))
    return scene


def tensor(array: NDArray) -> o3d.core.Tensor:
    """The array as open3d takes it."""
    return o3d.core.Tensor.from_numpy(np.ascontiguousarray(array))


class Exposure:
    """The world at one moment: the static body and the one of everything that moves."""

    def __init__(self, static: Body, moving: Body | None) -> None:
        self._static, self._moving = static, moving
        self._split = len(static.material)  # triangles from here on are of what moves

    def hit(self, origins: Floats, directions: Floats) -> Hits:
        """First hits of rays (N, 3) from one origin (3,) or one each (N, 3)."""
        rays = _rays(origins, directions)
        answer = self._static.cast(rays)
        distance, triangle = answer["t_hit"].copy(), answer["primitive_ids"].astype(np.int32)
        weights, face = answer["primitive_uvs"].copy(), answer["primitive_normals"].copy()
        triangle[~np.isfinite(distance)] = NOTHING
        if self._moving is not None:
            other = self._moving.cast(rays)
            nearer = np.flatnonzero(other["t_hit"] < distance)
            distance[nearer] = other["t_hit"][nearer]
            triangle[nearer] = other["primitive_ids"][nearer].astype(np.int32) + self._split
            weights[nearer], face[nearer] = other["primitive_uvs"][nearer], other["primitive_normals"][nearer]
        return Hits(distance, triangle, weights, face)

    def material(self, hits: Hits) -> NDArray[np.int32]:
        """Material numbers (N,); NOTHING for the sky."""
        material = self._static.material[np.where(hits.triangle < self._split, hits.triangle, 0)]
        material[hits.triangle < 0] = NOTHING
        if self._moving is not None:
            others = np.flatnonzero(hits.triangle >= self._split)
            material[others] = self._moving.material[hits.triangle[others] - self._split]
        return material

    def _corners(self, triangle: NDArray[np.int32]) -> Floats:
        """Table rows (N, 3, 7) of triangles."""
        corners = self._static.table[np.where(triangle < self._split, triangle, 0)]
        if self._moving is not None:
            others = np.flatnonzero(triangle >= self._split)
            corners[others] = self._moving.table[triangle[others] - self._split]
        return corners

    def points(self, hits: Hits, origins: Floats, directions: Floats) -> Points:
        """The surfaces at hits; those of the sky lie at a kilometre and face the viewer."""
        corners = self._corners(hits.triangle)
        w1, w2 = hits.weights[:, :1], hits.weights[:, 1:]
        values = (1 - w1 - w2) * corners[:, 0] + w1 * corners[:, 1] + w2 * corners[:, 2]
        length = np.linalg.norm(directions, axis=1)
        sky = hits.triangle < 0
        distance = np.where(sky, np.float32(1000), hits.distance * length).astype(np.float32)
        unit = directions / length[:, None]
        normal = values[:, :3] / np.maximum(np.linalg.norm(values[:, :3], axis=1, keepdims=True), 1e-6)
        normal *= np.where(np.einsum("ij,ij->i", normal, unit) > 0, np.float32(-1), np.float32(1))[:, None]
        position = origins + unit * distance[:, None]
        share = np.clip(values[:, 5], 0, 1)
        return Points(position, normal, values[:, 3:5], share, values[:, 6], self.material(hits), unit, distance)

    def blocked(self, origins: Floats, towards: Floats, reach: float = np.inf) -> NDArray[np.bool_]:
        """Which of `origins` (N, 3) do not see along `towards` (3,) or (N, 3), within `reach` lengths of it."""
        rays = _rays(origins, towards)
        result = self._static.blocked(rays, reach)
        if self._moving is not None:
            result |= self._moving.blocked(rays, reach)
        return result


def _rays(origins: Floats, directions: Floats) -> Floats:
    count = np.broadcast_shapes(np.atleast_2d(origins).shape, np.atleast_2d(directions).shape)[0]
    rays = np.empty((count, 6), np.float32)
    rays[:, :3], rays[:, 3:] = origins, directions
    return rays
