"""Edges of the left RGB image drawn where a calibration puts them in a thermal image."""

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.parameters import Estimate
from heatnet.calib.scene import Scene
from heatnet.calib.views import ThermalFrame

Picture = NDArray[np.uint8]
NEAR_M, FAR_M = 4.0, 80.0


def overlay(scene: Scene, frame: ThermalFrame, estimate: Estimate, scale: int = 2) -> Picture:
    """Picture (scale * H, scale * W, 3) RGB: the thermal frame in grey, edges coloured by depth, near red, far blue."""
    motion = scene.motion.between(frame.stamp_ns, scene.view.stamp_ns)
    before, after, seconds = scene.motion.rate(frame.stamp_ns, scene.view.stamp_ns)
    points = motion.apply(scene.landmarks.points)
    velocities = (after.apply(scene.landmarks.points) - before.apply(scene.landmarks.points)) / seconds
    placed = estimate.place(points, velocities)
    pixels, real = estimate.camera.project(placed)
    shown = real & estimate.camera.sees(pixels)
    picture = _grey(frame.pixels, scale)
    colours = _depth_colours(placed[shown, 2])
    for place, colour in zip((pixels[shown] + 0.5) * scale - 0.5, colours, strict=True):
        centre = (round(float(place[0])), round(float(place[1])))
        cv2.circle(picture, centre, scale - 1 or 1, [int(c) for c in colour], -1, cv2.LINE_AA)
    return picture


def _grey(pixels: NDArray[np.uint16], scale: int) -> Picture:
    """Thermal counts (H, W) as a grey picture, between their 1st and 99th percentile."""
    low, high = np.percentile(pixels, [1, 99])
    grey = np.clip((pixels.astype(np.float32) - low) / max(float(high - low), 1.0) * 230, 0, 255).astype(np.uint8)
    large = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), np.uint8)


def _depth_colours(depths_m: NDArray[np.float64]) -> Picture:
    """RGB colours (N, 3) of depths (N,)."""
    share = np.log(np.clip(depths_m, NEAR_M, FAR_M) / NEAR_M) / np.log(FAR_M / NEAR_M)
    index = np.rint(235 - 215 * share).astype(np.uint8).reshape(-1, 1)
    return np.asarray(cv2.applyColorMap(index, cv2.COLORMAP_TURBO), np.uint8).reshape(-1, 3)[:, ::-1]
