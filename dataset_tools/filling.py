"""Depth for every pixel of the grid out of what a stereo matcher knows.

The matcher leaves holes, most of them beside near things where only one camera sees, and blurs outlines by some pixels.
Both matter for what hides what from the thermal camera.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
Depth = NDArray[np.float64]
FARTHEST_M = 1000.0  # depth of the sky: parallax below a thousandth of a pixel
REFLECTION_PER_M = 0.02  # farther than its surroundings by more than this, in inverse metres
FIRST, SECOND = (100.0, 5.0), (300.0, 8.0)  # how far smoothing reaches, and from which step in grey on it stops
STEP_PER_M = 0.02  # a step of inverse depth by more than this is an outline, which the matcher knows to some pixels
OUTLINE_PX, OUTLINE_WEIGHT = 11, 0.05  # within this window of an outline the picture has more to say than the matcher
SNAP_PX, SNAP_PER_M = 7, 0.03  # between two depths there is none: within this window one of the two is taken
SLACK, SLACK_PX = 1.3, 4  # how much wider a hole may be than what stereo cannot see beside an outline


def filled_depth(depth_m: Depth, guide: NDArray[np.uint8], disparity_px_m: float = 0.0) -> Depth:
    """Depth (H, W) with the unknown (NaN) filled and noise taken out, along the edges of an RGB image (H, W, 3).

    What is much farther than all around it is a reflection in glass or car paint, and taken for unknown. A hole beside
    something near is what the right camera (at `disparity_px_m` / depth pixels of disparity) does not see: it is as far
    as what is behind. Inverse depth is smoothed with what is known as weight (fast global smoother, Min et al. 2014),
    and sharpened where two depths meet. Where nothing is known far and wide, it is sky.
    """
    inverse = np.nan_to_num(1.0 / depth_m, nan=0.0).astype(np.float32)
    known = np.isfinite(depth_m)
    smooth = _smoothed(inverse, known.astype(np.float32), guide, FIRST)
    trusted = known & (inverse > smooth - REFLECTION_PER_M)
    inverse, known = _background_filled(inverse, trusted, disparity_px_m)
    weight = known.astype(np.float32)
    weight[_range(inverse, OUTLINE_PX)[0] > STEP_PER_M] *= OUTLINE_WEIGHT
    sharp = _snapped(_smoothed(inverse, weight, guide, SECOND))
    filled: Depth = 1.0 / np.maximum(sharp, 1.0 / FARTHEST_M).astype(np.float64)
    return filled


def _smoothed(values: Map, weight: Map, guide: NDArray[np.uint8], how: tuple[float, float]) -> Map:
    above, below = (cv2.ximgproc.fastGlobalSmootherFilter(guide, image, *how) for image in (values * weight, weight))
    return np.asarray(above / np.maximum(below, 1e-6), np.float32)


def _background_filled(inverse: Map, known: NDArray[np.bool_], disparity_px_m: float) -> tuple[Map, NDArray[np.bool_]]:
    """Holes that are as wide as stereo leaves them beside an outline take the farther depth of their row's two ends."""
    width = inverse.shape[1]
    columns = np.broadcast_to(np.arange(width), inverse.shape)
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    rows, holes = np.nonzero(~known & (before >= 0) & (after < width))
    first, last = before[rows, holes], after[rows, holes]
    left, right = inverse[rows, first], inverse[rows, last]
    seen_by_one = last - first - 1 <= SLACK * disparity_px_m * np.abs(left - right) + SLACK_PX
    rows, holes = rows[seen_by_one], holes[seen_by_one]
    filled, now_known = inverse.copy(), known.copy()
    filled[rows, holes] = np.minimum(left, right)[seen_by_one]
    now_known[rows, holes] = True
    return filled, now_known


def _snapped(inverse: Map) -> Map:
    """Where near and far meet, the nearer of the two to what smoothing made of them."""
    span, nearest = _range(inverse, SNAP_PX)
    snapped = np.where(2 * (nearest - inverse) < span, nearest, nearest - span)
    return np.where(span > SNAP_PER_M, snapped, inverse)


def _range(values: Map, window_px: int) -> tuple[Map, Map]:
    """Largest less smallest value, and the largest, within a window around each pixel."""
    window = np.ones((window_px, window_px), np.uint8)
    largest = np.asarray(cv2.dilate(values, window), np.float32)
    return largest - np.asarray(cv2.erode(values, window), np.float32), largest
