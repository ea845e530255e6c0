"""Depth for every pixel of the grid out of what stereo and LiDAR know.

A matcher leaves holes and blurs outlines by some pixels, which matters for what hides what from the thermal camera; of
the sky it says anything.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.outlines import STEP_PER_M, sharpened, value_range

Map = NDArray[np.float32]
Depth = NDArray[np.float64]
FARTHEST_M = 1000.0  # depth of the sky: parallax below a thousandth of a pixel
REFLECTION_PER_M = 0.05  # farther than its surroundings by more than this, in inverse metres
COARSE, FINE = (25.0, 5.0), (8.0, 4.0)  # how far smoothing reaches, and from which step in grey on it stops
OUTLINE_PX, OUTLINE_WEIGHT = 7, 0.1  # within this window of an outline the picture has more to say than the matcher
SKYLINE_PX = 5  # parallax of what stands before the sky
BEFORE_SKY_PER_M = 0.2  # what is nearer than 5 m stands before the sky, or thermal is mistaken


def filled_depth(
    inverse_m: Map,
    guide: NDArray[np.uint8],
    sky: NDArray[np.bool_] | None = None,
    sure: NDArray[np.bool_] | None = None,
) -> Depth:
    """Depth (H, W) from inverse depth (H, W), the unknown (NaN) filled along the edges of an RGB image (H, W, 3).

    What is much farther than all around it is a reflection in glass or car paint, and taken for unknown, unless it is
    `sure` (H, W). Where `sky` (H, W) is told, only what is near is believed. What is known stays as it is but for
    outlines: there, unless it is sure, and where nothing is known, inverse depth is smoothed with what is known as
    weight (fast global smoother, Min et al. 2014), and outlines are brought to those of the image. Where nothing is
    known far and wide, it is sky.
    """
    inverse, known, far = _with_sky(inverse_m, sky)
    sure = np.zeros_like(known) if sure is None else sure
    coarse = _smoothed(inverse, known.astype(np.float32), guide, COARSE)
    known &= (inverse > coarse - REFLECTION_PER_M) | far | sure
    step, _ = value_range(np.where(known, inverse, np.float32(0)), OUTLINE_PX)
    outline = (step > STEP_PER_M) & ~sure
    weight = np.where(outline, np.float32(OUTLINE_WEIGHT), np.float32(1)) * known
    smooth = np.where(known & ~outline, inverse, _smoothed(inverse, weight, guide, FINE))
    filled: Depth = 1.0 / np.maximum(sharpened(smooth, guide), 1.0 / FARTHEST_M).astype(np.float64)
    return filled


def _with_sky(inverse_m: Map, sky: NDArray[np.bool_] | None) -> tuple[Map, NDArray[np.bool_], NDArray[np.bool_]]:
    """Inverse depth (0 where unknown), where it is known, and where that is because it is the sky.

    At the sky's outline, which thermal sees from elsewhere, nothing is known.
    """
    known = np.isfinite(inverse_m)
    if sky is None or not sky.any():
        return np.where(known, inverse_m, np.float32(0)), known, np.zeros_like(known)
    window = np.ones((SKYLINE_PX, SKYLINE_PX), np.uint8)
    near = known & (inverse_m > BEFORE_SKY_PER_M)
    far = cv2.erode(sky.view(np.uint8), window) > 0
    known &= near | (cv2.dilate(sky.view(np.uint8), window) == 0)
    return np.where(known, inverse_m, np.float32(0)), known | far, far


def _smoothed(inverse: Map, weight: Map, guide: NDArray[np.uint8], how: tuple[float, float]) -> Map:
    """At half the size, in a quarter of the time."""
    size = inverse.shape[::-1]
    half = size[0] // 2 or 1, size[1] // 2 or 1
    small = np.asarray(cv2.resize(guide, half, interpolation=cv2.INTER_AREA), np.uint8)
    smoother = cv2.ximgproc.createFastGlobalSmootherFilter(small, *how)
    above, below = (
        smoother.filter(cv2.resize(values, half, interpolation=cv2.INTER_AREA)) for values in (inverse * weight, weight)
    )
    return np.asarray(cv2.resize(above / np.maximum(below, 1e-6), size, interpolation=cv2.INTER_LINEAR), np.float32)
