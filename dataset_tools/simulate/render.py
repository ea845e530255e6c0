"""From rays to images: one ray a pixel, several where there is an edge."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.rigid import Rigid
from heatnet.dataset_tools.simulate.raycast import NOTHING, Hits, Points
from heatnet.dataset_tools.simulate.scene import Moment

Floats = NDArray[np.float32]
CHUNK = 120_000


class Shader(Protocol):
    """Turns surface points into what one kind of camera measures."""

    @property
    def channels(self) -> int:
        """Numbers a pixel."""

    def lit(self, moment: Moment, points: Points) -> NDArray[np.bool_]:
        """Which points (N,) the sun reaches; its edges are edges of the image."""

    def shade(self, moment: Moment, points: Points, lit: NDArray[np.bool_], pixel_rad: float) -> Floats:
        """Radiance (N, channels)."""


@dataclass(frozen=True)
class RayField:
    """The rays of a camera: directions through the pixel centres, and how they change over a pixel."""

    size: tuple[int, int]  # width, height
    centre: Floats  # (N, 3) unit
    along_u: Floats  # (N, 3) a pixel
    along_v: Floats  # (N, 3)
    pixel_rad: float

    @staticmethod
    def of(camera: Camera) -> "RayField":
        """Rays of every pixel, row by row."""
        width, height = camera.resolution
        v, u = (a.ravel() for a in np.mgrid[0:height, 0:width].astype(float))
        rays, found = camera.unproject(np.stack([u, v], 1))
        rays[~found] = [0, 0, 1]
        jacobian = camera.distort_jacobian(rays[:, :2])
        a, b, c, d = jacobian[:, 0, 0], jacobian[:, 0, 1], jacobian[:, 1, 0], jacobian[:, 1, 1]
        determinant = a * d - b * c
        fx, fy = camera.intrinsics[:2]
        zero = np.zeros_like(a)
        along_u = np.stack([d, -c, zero], 1) / (determinant * fx)[:, None]
        along_v = np.stack([-b, a, zero], 1) / (determinant * fy)[:, None]
        return RayField(
            (width, height), rays.astype(np.float32), along_u.astype(np.float32), along_v.astype(np.float32), 1 / fx
        )


@dataclass(frozen=True)
class Picture:
    """What a camera sees before optics and sensor, with the truth at each pixel's centre."""

    radiance: Floats  # (H, W, channels)
    material: NDArray[np.int32]  # (H, W)
    depth_m: Floats  # (H, W) along the optical axis, inf for the sky


def render(moment: Moment, rays: RayField, cam_from_body: Rigid, shader: Shader, edge_samples: int) -> Picture:
    """Render one camera; `edge_samples` rays a pixel, evenly about its centre, wherever it holds an edge."""
    world_from_cam = moment.world_from_body @ cam_from_body.inverse()
    turn = world_from_cam.rotation.astype(np.float32)
    origin = world_from_cam.translation.astype(np.float32)
    directions = rays.centre @ turn.T
    hits = moment.exposure.hit(origin, directions)
    material = moment.exposure.material(hits)
    lit = np.zeros(len(material), bool)
    for part in _chunks(len(material)):
        points = moment.exposure.points(hits.take(part), origin, directions[part])
        lit[part] = shader.lit(moment, points)
    edge = _edges(rays.size, material, hits, lit, directions)
    radiance = np.zeros((len(material), shader.channels), np.float32)
    for part in _chunks(len(material)):
        index = np.arange(part.start, min(part.stop, len(edge)))[~edge[part]]
        points = moment.exposure.points(hits.take(index), origin, directions[index])
        radiance[index] = shader.shade(moment, points, lit[index], rays.pixel_rad)
    _shade_edges(radiance, np.flatnonzero(edge), moment, rays, turn, origin, shader, edge_samples)
    width, height = rays.size
    return Picture(
        radiance.reshape(height, width, -1), material.reshape(height, width), hits.distance.reshape(height, width)
    )


def _shade_edges(
    radiance: Floats,
    edge: NDArray,
    moment: Moment,
    rays: RayField,
    turn: Floats,
    origin: Floats,
    shader: Shader,
    samples: int,
) -> None:
    """Fill in the pixels that hold edges, each as the mean over its samples."""
    offsets = sample_offsets(samples)
    step = max(1, CHUNK // samples)
    for start in range(0, len(edge), step):
        index = edge[start : start + step]
        local = rays.centre[index][:, None] + offsets[:, :1] * rays.along_u[index][:, None]
        local = local + offsets[:, 1:] * rays.along_v[index][:, None]
        directions = local.reshape(-1, 3) @ turn.T
        hits = moment.exposure.hit(origin, directions)
        points = moment.exposure.points(hits, origin, directions)
        values = shader.shade(moment, points, shader.lit(moment, points), rays.pixel_rad)
        radiance[index] = values.reshape(len(index), samples, -1).mean(1)


def sample_offsets(count: int) -> Floats:
    """Places (count, 2) in a pixel, with mean exactly 0: each row and column of a count x count grid holds one."""
    steps = (np.arange(count) + 0.5) / count - 0.5
    stride = next((k for k in (2, 3, 5, 7) if count % k and k < count), 1)
    order = (np.arange(count) * stride + stride // 2) % count
    return np.stack([steps, steps[order]], 1).astype(np.float32)


def _edges(
    size: tuple[int, int], material: NDArray, hits: Hits, lit: NDArray[np.bool_], directions: Floats
) -> NDArray[np.bool_]:
    """Pixels (N,) whose neighbourhood is not one smooth, evenly lit surface."""
    width, height = size
    shape = (height, width)
    kinds, shine = material.reshape(shape), lit.reshape(shape)
    face, direction = hits.face.reshape(*shape, 3), directions.reshape(*shape, 3)
    depth = np.where(material == NOTHING, np.float32(1000), hits.distance).reshape(shape)
    plane = np.einsum("hwi,hwi->hw", face, direction)  # distance of the plane is depth * plane
    edge = np.zeros(shape, bool)
    for axis in (0, 1):
        near, far = (np.s_[:-1], np.s_[1:]) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        step = np.einsum("hwi,hwi->hw", face[near], direction[far]) * depth[far] - plane[near] * depth[near]
        bend = np.abs(np.einsum("hwi,hwi->hw", face[near], face[far]))
        differs = (kinds[near] != kinds[far]) | (shine[near] != shine[far])
        differs |= (np.abs(step) > 0.03 + 0.002 * depth[near]) & (kinds[near] != NOTHING)
        differs |= (bend < 0.93) & (kinds[near] != NOTHING)
        edge[near] |= differs
        edge[far] |= differs
    return edge.ravel()


def _chunks(count: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
