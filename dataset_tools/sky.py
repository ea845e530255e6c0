"""Where the sky is, told by thermal: it is colder than all that stands on the ground, by day and by night."""

import cv2
import numpy as np
from numpy.typing import NDArray

COLDEST_PERCENT = 1.0  # of what is below the horizon: cold spots there are reflections of the sky


def sky(counts: NDArray[np.uint16], covered: NDArray[np.uint8], horizon_row: int) -> NDArray[np.bool_]:
    """Which pixels of a thermal image (H, W) show the sky: they reach the upper border and are colder than the ground.

    `covered` (H, W) says where the image is known; rows from `horizon_row` on are taken to show no sky.
    """
    there = covered > 0
    ground = counts[horizon_row:][there[horizon_row:]]
    rows = np.flatnonzero(there.any(axis=1))
    if not len(ground) or not len(rows):
        return np.zeros(counts.shape, np.bool_)
    cold = there & (counts < np.percentile(ground[::7], COLDEST_PERCENT))
    _, part = cv2.connectedComponents(cold.astype(np.uint8), connectivity=4)
    border = np.unique(part[rows[0]])
    return np.isin(part, border[border > 0])
