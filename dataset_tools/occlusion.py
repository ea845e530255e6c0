"""What another camera does not see, because something nearer stands before it."""

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
LEAST_PX = 1.0  # a parallax less than this beside something nearer is none
HALF_PX = 0.5  # what is nearer covers the pixel where it arrives no farther than this from its middle


def hidden(inverse_m: Map, shift_px_m: tuple[Map, Map]) -> NDArray[np.bool_]:
    """Which pixels (H, W) of inverse depth `inverse_m` another camera sees something nearer in place of.

    There a pixel appears moved by `shift_px_m` (columns and rows, (H, W)) times its inverse depth. What covers it lies
    in the direction from which it is moved, at the distance by which the two shifts differ: each distance is tried.
    """
    across, down = shift_px_m
    length = np.hypot(across, down)
    shifts = length * inverse_m
    reach = int(np.ceil(min(np.ptp(shifts), max(inverse_m.shape))))  # what comes from farther was outside the image
    covered = np.zeros(inverse_m.shape, np.bool_)
    if reach < LEAST_PX:
        return covered
    window = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    near = np.flatnonzero(cv2.dilate(shifts, window) - shifts >= LEAST_PX)
    rows, columns = np.divmod(near, inverse_m.shape[1])
    length, own = length.flat[near], inverse_m.flat[near]
    unit = across.flat[near] / length, down.flat[near] / length
    found = np.zeros(len(near), np.bool_)
    for distance in range(1, reach + 1):
        there = columns - np.rint(distance * unit[0]).astype(np.int64), rows - np.rint(distance * unit[1]).astype(int)
        ahead = length * (_at(inverse_m, *there) - own)
        found |= (ahead >= max(distance - HALF_PX, LEAST_PX)) & (ahead < distance + HALF_PX)
    covered.flat[near[found]] = True
    return covered


def _at(values: Map, columns: NDArray[np.int64], rows: NDArray[np.int64]) -> Map:
    """Values at these pixels, 0 outside."""
    height, width = values.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    return np.where(inside, values[np.where(inside, rows, 0), np.where(inside, columns, 0)], np.float32(0))
