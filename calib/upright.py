"""Upright surfaces continued upwards, beyond the topmost ring of a LiDAR."""

import numpy as np
from numpy.typing import NDArray

Depth = NDArray[np.float32]
SEEN_ROWS = 10  # of a surface, from which it is known to stand upright
UPRIGHT = 0.02  # share by which its depth varies over these rows


def continued(depth_m: Depth) -> Depth:
    """Depth (H, W) with each column whose uppermost known part is upright continued to the top of the image.

    The camera is taken to be level: then an upright surface, such as a house, has one depth all along a column.
    """
    height = len(depth_m)
    known = np.isfinite(depth_m)
    top = np.where(known.any(axis=0), known.argmax(axis=0), height)
    rows = np.minimum(top + np.arange(1, SEEN_ROWS + 1)[:, None], height - 1)
    seen = depth_m[rows, np.arange(depth_m.shape[1])]
    with np.errstate(invalid="ignore"):
        upright = (top < height - SEEN_ROWS) & (seen.max(axis=0) <= seen.min(axis=0) * (1 + UPRIGHT))
    above = (np.arange(height)[:, None] < top) & upright
    return np.where(above, np.where(upright, seen.mean(axis=0), np.nan), depth_m)
