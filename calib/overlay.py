"""Edges of the left RGB image where a calibration puts them in a thermal image, and that image as RGB sees it."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.parameters import Estimate
from heatnet.calib.rig import RigCamera
from heatnet.calib.scene import Scene
from heatnet.calib.views import ThermalFrame

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]
NEAR_M, FAR_M = 4.0, 80.0
CONTRAST = 3.0  # limit of the evening out
SHADES = 6  # colours between near and far
HALF_PX = 3.0  # half the length of a stroke along its edge
TENTHS = 10
STRIDE_PX = 8  # rays are computed for so many pixels, and interpolated between


@dataclass(frozen=True)
class Strokes:
    """Edges as short strokes in a thermal image."""

    pixels: Array  # (N, 2)
    along: Array  # (N, 2) half a stroke
    depths_m: Array  # (N,)

    def paths(self) -> list[tuple[str, str]]:
        """(colour, SVG path in tenths of pixels) of the strokes of each shade, near red, far blue; far ones first."""
        share = np.log(np.clip(self.depths_m, NEAR_M, FAR_M) / NEAR_M) / np.log(FAR_M / NEAR_M)
        shade = np.minimum((share * SHADES).astype(np.int64), SHADES - 1)
        starts, steps = np.rint(TENTHS * (self.pixels - self.along)), np.rint(2 * TENTHS * self.along)
        strokes = np.concatenate([starts, steps], axis=1).astype(np.int64)
        paths = []
        for i in range(SHADES - 1, -1, -1):
            paths.append((_colour(i), "".join(f"M{x} {y}l{u} {v}" for x, y, u, v in strokes[shade == i].tolist())))
        return paths


def _colour(shade: int) -> str:
    value = np.array([[235 - 215 * shade // (SHADES - 1)]], np.uint8)
    blue, green, red = cv2.applyColorMap(value, cv2.COLORMAP_TURBO)[0, 0]
    return f"#{red:02x}{green:02x}{blue:02x}"


def strokes(scene: Scene, frame: ThermalFrame, estimate: Estimate) -> Strokes:
    """The landmarks of a scene where an estimate puts them in a thermal frame."""
    placed, beside = _placed(scene, frame, estimate)
    pixels, real = estimate.camera.project(placed)
    ends, also = estimate.camera.project(beside)
    shown = real & also & estimate.camera.sees(pixels)
    along = ends[shown] - pixels[shown]
    along *= HALF_PX / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    return Strokes(pixels[shown], along, placed[shown, 2])


def _placed(scene: Scene, frame: ThermalFrame, estimate: Estimate) -> tuple[Array, Array]:
    """Landmarks (N, 3), and points beside them on their edges, in the thermal camera at the time of a frame."""
    motion = scene.motion.between(frame.stamp_ns, scene.view.stamp_ns)
    before, after, seconds = scene.motion.rate(frame.stamp_ns, scene.view.stamp_ns)
    landmarks = scene.landmarks
    velocities = (after.apply(landmarks.points) - before.apply(landmarks.points)) / seconds
    points, along = motion.apply(landmarks.points), motion.apply(landmarks.along)
    return estimate.place(points, velocities), estimate.place(along, velocities)


def grey(pixels: NDArray[np.uint16]) -> Picture:
    """Thermal counts (H, W) as a grey picture, the contrast evened out: a cold sky would leave the street none."""
    low, high = np.percentile(pixels, [0.5, 99.5])
    plain = np.clip((pixels.astype(np.float32) - low) / max(float(high - low), 1.0) * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.createCLAHE(CONTRAST, (4, 4)).apply(plain), np.uint8)


def rgb_in_thermal(scene: Scene, frame: ThermalFrame, estimate: Estimate, left: RigCamera) -> Picture:
    """The left RGB image (H, W, 3) bent into a thermal frame; between the landmarks the nearest one tells the depth."""
    placed, _ = _placed(scene, frame, estimate)
    width, height = estimate.camera.resolution
    small = estimate.camera.scaled(width // 2, height // 2)  # maps vary slowly; half of the pixels each way will do
    points = (_rays(small) * _spread(placed, small)[..., None]).reshape(-1, 3)
    back = estimate.cam_from_cam0.inverse().apply(points)
    at_key = scene.motion.between(scene.view.stamp_ns, frame.stamp_ns).apply(back)
    pixels, real = left.camera.project(left.cam_from_cam0.apply(at_key))
    maps = np.where(real[:, None], pixels, -10).astype(np.float32).reshape(height // 2, width // 2, 2)
    columns, rows = (cv2.resize(maps[..., i], (width, height), interpolation=cv2.INTER_LINEAR) for i in (0, 1))
    return np.asarray(cv2.remap(scene.view.left, columns, rows, cv2.INTER_LINEAR), np.uint8)


def _spread(placed: Array, camera: Camera) -> Array:
    """Depth (H, W): everywhere that of the nearest landmark in the image, smoothed a little."""
    width, height = camera.resolution
    pixels, real = camera.project(placed)
    inside = real & camera.sees(pixels)
    columns, rows = np.rint(pixels[inside]).astype(np.int64).T
    empty = np.ones((height, width), np.uint8)
    inverse = np.zeros((height, width), np.float32)
    empty[rows, columns] = 0
    inverse[rows, columns] = 1 / placed[inside, 2]
    if empty.all():
        return np.full((height, width), FAR_M)
    _, labels = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    known = np.zeros(int(labels.max()) + 1, np.float32)
    known[labels[rows, columns]] = inverse[rows, columns]
    return np.asarray(1 / np.maximum(cv2.medianBlur(known[labels], 3), 1 / 500), np.float64)


def _rays(camera: Camera) -> NDArray[Any]:
    """Rays (H, W, 3) with z = 1 of the pixels."""
    width, height = camera.resolution
    grid = np.stack(np.meshgrid(*(np.arange(0.0, n + STRIDE_PX, STRIDE_PX) for n in (width, height))), -1)
    rays, _ = camera.unproject(grid.reshape(-1, 2))
    across, down = (np.arange(n, dtype=np.float32) / STRIDE_PX for n in (width, height))
    columns, rows = np.meshgrid(across, down)
    return cv2.remap(rays.reshape(grid.shape[0], -1, 3), columns, rows, cv2.INTER_LINEAR)
