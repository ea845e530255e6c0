"""Outlines of depth brought to those of the picture.

A matcher knows outlines to some pixels, and what is filled or smoothed has none. Beside an outline each pixel goes to
the near or to the far side, whichever pixels around that look like it and lie on a surface lie on: a joint bilateral
filter (Petschnigg et al. 2004) over the winning side only, so that nothing comes to lie in between.
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
STEP_PER_M = 0.02  # inverse depths that differ by more do not belong to one surface
BESIDE_PX = 9  # within this window of an outline a pixel may belong to either side
SURFACE_PX = 3  # within this window of an outline a pixel says nothing of others
REACH_PX, STRIDE_PX, NEAR_PX = 9, 3, 6.0  # how far pixels are asked, every which, and how their weight falls off
UNLIKE = 8.0  # sum over the differences of three colours at which the weight falls to 1/e
LEAST_WEIGHT = 1e-6  # with less than this nothing around looks like the pixel, and it stays
_LIKENESS = np.exp(-np.arange(3 * 255 + 1) / UNLIKE).astype(np.float32)


def sharpened(inverse_m: Map, guide: NDArray[np.uint8]) -> Map:
    """Inverse depth (H, W) with its outlines where those of an RGB image (H, W, 3) are."""
    span, nearest = value_range(inverse_m, BESIDE_PX)
    rows, columns = np.nonzero(span > STEP_PER_M)
    middle = (nearest - span / 2)[rows, columns]
    surface = (value_range(inverse_m, SURFACE_PX)[0] <= STEP_PER_M).astype(np.float32)
    inverse, trust, *colours = (_bordered(image) for image in (inverse_m, surface, *cv2.split(guide.astype(np.int16))))
    width = inverse_m.shape[1] + 2 * REACH_PX
    at = (rows + REACH_PX) * width + columns + REACH_PX
    own = [colour[at] for colour in colours]
    near, far = np.zeros((2, 2, len(at)), np.float32)  # sums of weights, and of inverse depths times weights
    for shift, closeness in _neighbours(width):
        there = at + shift
        unlike = sum(np.abs(colour.take(there) - mine) for colour, mine in zip(colours, own, strict=True))
        weights, values = _LIKENESS.take(unlike) * trust.take(there) * closeness, inverse.take(there)
        of_near = weights * (values > middle)
        near += of_near, of_near * values
        far += weights - of_near, (weights - of_near) * values
    weight, total = np.where(near[0] > far[0], near, far)
    told = weight > LEAST_WEIGHT
    sharp = inverse_m.copy()
    sharp[rows[told], columns[told]] = total[told] / weight[told]
    return sharp


def value_range(values: Map, window_px: int) -> tuple[Map, Map]:
    """Largest less smallest value, and the largest, within a window around each pixel."""
    window = np.ones((window_px, window_px), np.uint8)
    largest = np.asarray(cv2.dilate(values, window), np.float32)
    return largest - np.asarray(cv2.erode(values, window), np.float32), largest


def _neighbours(width: int) -> Iterator[tuple[int, np.float32]]:
    """Places in a flat image of that width relative to a pixel's, each with its weight."""
    steps = range(-REACH_PX, REACH_PX + 1, STRIDE_PX)
    for down in steps:
        for across in steps:
            square = across**2 + down**2
            if square <= REACH_PX**2:
                yield down * width + across, np.float32(np.exp(-square / (2 * NEAR_PX**2)))


def _bordered(image: NDArray[Any]) -> NDArray[Any]:
    """With zeros around it, flat."""
    bordered: NDArray[Any] = np.pad(image, REACH_PX).ravel()
    return bordered
