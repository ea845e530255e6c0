"""Depth of the grid's pixels from a LiDAR sweep: what its points say, where they are, and little beyond."""

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.motion import CamMotion
from heatnet.calib.rig import Lidar, RigCamera
from heatnet.calib.views import Sweep
from heatnet.dataset_tools.projecting import Map

TIME_STEP_NS = 2_000_000  # a rig at 30 m/s moves 6 cm meanwhile
NEAREST_M = 0.5
SPLAT_PX = (3, 5)  # columns and rows that a point speaks for
BESIDE_PX = (4, 5)  # columns to either side, the own one counted, and rows in which what hides a point is looked for
BEFORE, BEFORE_PER_M = 1.15, 0.005  # how much nearer that is


def sweep_inverse_depth(
    sweep: Sweep, lidar: Lidar, left: RigCamera, grid: Camera, stamp_ns: int, motion: CamMotion
) -> Map:
    """Inverse depth z (H, W) in the left camera frame at `stamp_ns`, NaN where no point is.

    The rig's motion between the points and the image is taken out. Where points meet, the nearest counts. A point with
    something nearer on both sides is hidden by it: the LiDAR, which sits elsewhere, looks past it.
    """
    points = left.cam_from_cam0.apply(
        _at(stamp_ns, lidar.cam0_from_lidar.apply(sweep.points.astype(np.float64)), sweep, motion)
    )
    points = points[points[:, 2] > NEAREST_M]
    pixels = np.rint(points[:, :2] / points[:, 2:] * grid.intrinsics[:2] + grid.intrinsics[2:])
    inside = ((pixels >= 0) & (pixels < grid.resolution)).all(axis=1)
    columns, rows = pixels[inside].astype(np.int64).T
    inverse = np.zeros(grid.resolution[::-1], np.float32)
    np.maximum.at(inverse, (rows, columns), (1 / points[inside, 2]).astype(np.float32))
    inverse[inverse * BEFORE + BEFORE_PER_M < _on_both_sides(inverse)] = 0
    spread = _largest(inverse, SPLAT_PX)
    return np.where(spread > 0, spread, np.float32(np.nan))


def _at(stamp_ns: int, points: NDArray[np.float64], sweep: Sweep, motion: CamMotion) -> NDArray[np.float64]:
    """Points (N, 3) of cam0 at the time of each, where they are in cam0 at `stamp_ns`."""
    if sweep.times_ns is None:
        return motion.between(stamp_ns, sweep.stamp_ns).apply(points)
    steps, index = np.unique(sweep.times_ns // TIME_STEP_NS, return_inverse=True)
    moved = np.empty_like(points)
    for number, step in enumerate(steps):
        at = index == number
        moved[at] = motion.between(stamp_ns, int(step) * TIME_STEP_NS + TIME_STEP_NS // 2).apply(points[at])
    return moved


def _largest(values: Map, window_px: tuple[int, int]) -> Map:
    return np.asarray(cv2.dilate(values, np.ones(window_px[::-1], np.uint8)), np.float32)


def _on_both_sides(values: Map) -> Map:
    """The smaller of the largest values to the left and to the right of each pixel."""
    columns, rows = BESIDE_PX
    window = np.ones((rows, columns), np.uint8)
    left, right = (
        cv2.dilate(values, window, anchor=(column, rows // 2), borderType=cv2.BORDER_CONSTANT, borderValue=0)
        for column in (columns - 1, 0)
    )
    return np.asarray(np.minimum(left, right), np.float32)
