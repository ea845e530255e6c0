"""Depth of the left RGB image from LiDAR sweeps.

Each sweep becomes surfaces in the directions in which the LiDAR saw them, is moved to where its points are at the key
frame's stamp, and is drawn into the camera: so near things hide what the LiDAR, which sits elsewhere, sees behind them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.depth import DepthImage, working_camera
from heatnet.calib.motion import CamMotion
from heatnet.calib.raster import rasterise
from heatnet.calib.rig import Lidar, RigCamera
from heatnet.calib.rigid import Rigid
from heatnet.calib.surface import join
from heatnet.calib.views import Sweep

Array = NDArray[np.float64]
TIME_STEP_NS = 2_000_000  # a rig at 30 m/s moves 6 cm meanwhile
MARGIN = 0.08  # of the image's size: surfaces reach into it from outside
NEAREST_M = 0.5


@dataclass(frozen=True)
class LidarDepth:
    """Draws the sweeps of one LiDAR into the left camera."""

    left: RigCamera
    lidar: Lidar

    def draw(self, sweeps: Sequence[Sweep], stamp_ns: int, motion: CamMotion) -> DepthImage:
        """Depth at `stamp_ns`; where several sweeps tell, the first in order does.

        The outline of what is near lies between the last beam that met it and the first that passed: of the first
        sweep this gap counts as near, of others, with wider gaps, as unknown.
        """
        camera = working_camera(self.left.camera)
        inverse = np.zeros(camera.resolution[::-1])
        for number, sweep in enumerate(sweeps):
            surfaces, gaps = self._draw_one(sweep, stamp_ns, motion, camera)
            seen = np.maximum(surfaces, gaps) if number == 0 else np.where(surfaces >= gaps, surfaces, 0.0)
            inverse = np.where(inverse > 0, inverse, seen)
        with np.errstate(divide="ignore"):
            depth = np.where(inverse > 0, 1 / inverse, np.nan).astype(np.float32)
        return DepthImage(camera, Rigid.identity(), depth)

    def _draw_one(self, sweep: Sweep, stamp_ns: int, motion: CamMotion, camera: Camera) -> tuple[Array, Array]:
        """Inverse depth (H, W) by one sweep of surfaces and of the gaps beside outlines, 0 where there are none."""
        origins, points = self._placed(sweep, stamp_ns, motion)
        kept = _near_the_image(points, camera)
        origins, points = origins[kept], points[kept]
        ranges = np.linalg.norm(points - origins, axis=1)
        mesh = join(_directions(points - origins), 1 / ranges)
        inverse = rasterise(_pixels(points, camera), 1 / points[:, 2], mesh.surfaces, camera.resolution)
        corners = mesh.jumps.reshape(-1)
        shrunk = np.repeat(ranges[mesh.jumps].min(axis=1), 3) / ranges[corners]
        curtains = origins[corners] + (points - origins)[corners] * shrunk[:, None]
        hidden = curtains[:, 2] < NEAREST_M
        pixels, near = _pixels(curtains, camera), 1 / np.where(hidden, NEAREST_M, curtains[:, 2])
        pixels[hidden] = -1
        triangles = np.arange(len(corners)).reshape(-1, 3)
        return inverse, rasterise(pixels, near, triangles, camera.resolution)

    def _placed(self, sweep: Sweep, stamp_ns: int, motion: CamMotion) -> tuple[Array, Array]:
        """Where the LiDAR was (N, 3) for each point, and the points (N, 3), in the left camera frame at `stamp_ns`."""
        points = self.lidar.cam0_from_lidar.apply(sweep.points.astype(np.float64))
        origins = np.broadcast_to(self.lidar.cam0_from_lidar.translation, points.shape)
        left = self.left.cam_from_cam0
        origins, points = (_compensated(p, sweep, stamp_ns, motion) for p in (origins, points))
        return left.apply(origins), left.apply(points)


def _directions(rays: Array) -> Array:
    """Longitude and latitude (N, 2) of rays (N, 3) in the camera's axes: behind it they jump."""
    x, y, z = rays.T
    return np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], 1)


def _pixels(points: Array, camera: Camera) -> Array:
    return points[:, :2] / points[:, 2:] * camera.intrinsics[:2] + camera.intrinsics[2:]


def _compensated(points: Array, sweep: Sweep, stamp_ns: int, motion: CamMotion) -> Array:
    """Points (N, 3) of cam0 at the time of each, where they are in cam0 at `stamp_ns`."""
    if sweep.times_ns is None:
        return motion.between(stamp_ns, sweep.stamp_ns).apply(points)
    steps, index = np.unique(sweep.times_ns // TIME_STEP_NS, return_inverse=True)
    moved = np.empty_like(points)
    for number, step in enumerate(steps):
        at = index == number
        moved[at] = motion.between(stamp_ns, int(step) * TIME_STEP_NS + TIME_STEP_NS // 2).apply(points[at])
    return moved


def _near_the_image(points: Array, camera: Camera) -> NDArray[np.bool_]:
    """Which points (N, 3) fall into the image or beside it."""
    size = np.array(camera.resolution, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = _pixels(points, camera)
        beside = (pixels > -MARGIN * size).all(axis=1) & (pixels < (1 + MARGIN) * size).all(axis=1)
    return np.asarray((points[:, 2] > NEAREST_M) & beside)
