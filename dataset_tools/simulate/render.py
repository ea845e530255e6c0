"""From rays to images: one ray a pixel, several where there is an edge."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from heatnet.calib.camera import Camera
from heatnet.calib.rigid import Rigid
from heatnet.dataset_tools.simulate.raycast import NOTHING, Hits, Points
from heatnet.dataset_tools.simulate.scene import Moment
from heatnet.errors import RigError

Floats = NDArray[np.float32]
CHUNK = 120_000
GRID = 120


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
    centre: Floats  # (N, 3), z = 1
    along_u: Floats  # (N, 3) a pixel
    along_v: Floats  # (N, 3)
    pixel_rad: float

    @staticmethod
    def of(camera: Camera) -> "RayField":
        """Rays of every pixel, row by row: exact on a grid of GRID x GRID places, by cubic splines between."""
        width, height = camera.resolution
        u, v = (np.linspace(-1, side, GRID) for side in (width, height))
        places = np.stack([a.ravel() for a in np.meshgrid(u, v)], 1)
        exact, found = camera.unproject(places)
        if not found.all():
            raise RigError(
                f"a simulated camera of {width}x{height} pixels folds its image over; less distortion is needed"
            )
        splines = [RectBivariateSpline(v, u, exact[:, i].reshape(len(v), len(u))) for i in (0, 1)]
        centre, along_u, along_v = (
            np.stack(
                [*(s(np.arange(height), np.arange(width), dx, dy) for s in splines), np.full((height, width), z)], -1
            )
            for dx, dy, z in ((0, 0, 1.0), (0, 1, 0.0), (1, 0, 0.0))
        )
        flat = [a.reshape(-1, 3).astype(np.float32) for a in (centre, along_u, along_v)]
        return RayField((width, height), flat[0], flat[1], flat[2], 1 / float(camera.intrinsics[0]))


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
    outline, crease = _edges(rays.size, material, hits, directions)
    plain = np.flatnonzero(~(outline | crease))
    radiance = np.zeros((len(material), shader.channels), np.float32)
    lit = np.zeros(len(material), np.int8)  # 0 unknown, 1 in shadow, 2 in the sun
    for part in _chunks(len(plain)):
        index = plain[part]
        points = moment.exposure.points(hits.take(index), origin, directions[index])
        sunny = shader.lit(moment, points)
        lit[index] = 1 + sunny
        radiance[index] = shader.shade(moment, points, sunny, rays.pixel_rad)
    outline |= _shadow_edges(rays.size, lit)
    again = _Again(moment, rays, turn, origin, shader)
    again.shade(radiance, np.flatnonzero(outline), edge_samples)
    again.shade(radiance, np.flatnonzero(crease & ~outline), max(1, edge_samples // 2))
    width, height = rays.size
    return Picture(
        radiance.reshape(height, width, -1), material.reshape(height, width), hits.distance.reshape(height, width)
    )


@dataclass(frozen=True)
class _Again:
    """Shades pixels by several rays each."""

    moment: Moment
    rays: RayField
    turn: Floats
    origin: Floats
    shader: Shader

    def shade(self, radiance: Floats, pixels: NDArray, samples: int) -> None:
        """Put the mean over `samples` rays into each of `pixels` of `radiance`."""
        offsets, rays = sample_offsets(samples), self.rays
        step = max(1, CHUNK // samples)
        for start in range(0, len(pixels), step):
            index = pixels[start : start + step]
            centre, along_u, along_v = (a[index] @ self.turn.T for a in (rays.centre, rays.along_u, rays.along_v))
            directions = np.concatenate([centre + u * along_u + v * along_v for u, v in offsets])
            hits = self.moment.exposure.hit(self.origin, directions)
            points = self.moment.exposure.points(hits, self.origin, directions)
            sunny = self.shader.lit(self.moment, points)
            values = self.shader.shade(self.moment, points, sunny, rays.pixel_rad)
            radiance[index] = values.reshape(samples, len(index), -1).mean(0)


def sample_offsets(count: int) -> Floats:
    """Places (count, 2) in a pixel, with mean exactly 0: each row and column of a count x count grid holds one."""
    steps = (np.arange(count) + 0.5) / count - 0.5
    stride = next((k for k in (2, 3, 5, 7) if count % k and k < count), 1)
    order = (np.arange(count) * stride + stride // 2) % count
    return np.stack([steps, steps[order]], 1).astype(np.float32)


def _edges(
    size: tuple[int, int], material: NDArray, hits: Hits, directions: Floats
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels (N,) where two materials meet, and those where one surface bends or hides itself."""
    width, height = size
    shape = (height, width)
    kinds = material.reshape(shape)
    face, direction = hits.face.reshape(*shape, 3), directions.reshape(*shape, 3)
    depth = np.where(material == NOTHING, np.float32(1000), hits.distance).reshape(shape)
    plane = depth * np.einsum("hwi,hwi->hw", face, direction)  # distance of each pixel's plane
    outline, crease = np.zeros(shape, bool), np.zeros(shape, bool)
    for near, far in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        meet = kinds[near] != kinds[far]
        step = np.abs(np.einsum("hwi,hwi->hw", face[near], direction[far]) * depth[far] - plane[near])
        bend = np.abs(np.einsum("hwi,hwi->hw", face[near], face[far]))
        turns = ((step > 0.03 + 0.002 * depth[near]) | (bend < 0.93)) & (kinds[near] != NOTHING)
        for side in (near, far):
            outline[side] |= meet
            crease[side] |= turns
    return outline.ravel(), crease.ravel()


def _shadow_edges(size: tuple[int, int], lit: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Pixels (N,) beside another that is known to be in the sun where this one is not, or the other way round."""
    shine = lit.reshape(size[1], size[0])
    edge = np.zeros(shine.shape, bool)
    for near, far in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differs = shine[near] * shine[far] == 2
        edge[near] |= differs
        edge[far] |= differs
    return edge.ravel()


def _chunks(count: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
