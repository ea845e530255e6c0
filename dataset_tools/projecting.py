"""Projection of whole images in single precision: to a thousandth of a pixel, in a fifth of the time."""

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.rigid import Rigid

Map = NDArray[np.float32]


def project_grid(camera: Camera, rays: Map, inverse_m: Map, cam_from_grid: Rigid) -> tuple[Map, Map, NDArray[np.bool_]]:
    """Columns and rows (N,) in `camera` of points on rays (3, N) with z = 1, and which lie within its image.

    `inverse_m` (N,) is the inverse depth z of each along its ray, 0 for what is infinitely far.
    """
    x, y, z = np.asarray(cam_from_grid.rotation, np.float32) @ rays
    for axis, offset in zip((x, y, z), cam_from_grid.translation.tolist(), strict=True):
        axis += np.float32(offset) * inverse_m
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x /= z
        y /= z
        square = x * x + y * y
        real = (z > 1e-6) & (square < np.float32(camera.fold_radius()) ** 2)
        columns, rows = _pixels(camera, x, y, square)
        width, height = camera.resolution
        seen = real & (columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)
    return columns, rows, seen


def _pixels(camera: Camera, x: Map, y: Map, square: Map) -> tuple[Map, Map]:
    fx, fy, cx, cy = camera.intrinsics.tolist()
    if camera.model == "radtan":
        k1, k2, p1, p2, *more = camera.distortion.tolist()
        scale = (((more[0] if more else 0.0) * square + k2) * square + k1) * square + 1
        double = 2 * x * y
        x, y = (
            x * scale + p1 * double + p2 * (square + 2 * x * x),
            y * scale + p1 * (square + 2 * y * y) + p2 * double,
        )
    elif camera.model != "none":
        x, y = camera.distort(np.stack([x, y], 1).astype(np.float64)).T.astype(np.float32)
    return fx * x + cx, fy * y + cy
