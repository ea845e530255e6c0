"""Which thermal counts go to the ends of the scale."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

EIGHT_BIT = (0.0, 255.0)
USUAL = (21800.0, 25000.0)  # radiometric 16-bit cameras at the temperatures of a street


def known_range(images: Sequence[NDArray[Any]]) -> tuple[float, float] | None:
    """The range that images (H, W) need no measuring for: of 8 bits, or most counts of a street; None for others."""
    if all(image.dtype == np.uint8 for image in images):
        return EIGHT_BIT
    counts = np.concatenate([image.ravel() for image in images])
    return USUAL if np.mean((counts >= USUAL[0]) & (counts <= USUAL[1])) > 0.5 else None


def measured_range(seen: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """The counts below and above which 0.5 % of those `seen` lie, rounded outwards to 10."""
    low, high = np.percentile(np.concatenate([counts.ravel()[::8] for counts in seen]), [0.5, 99.5])
    return math.floor(low / 10) * 10.0, math.floor(high / 10) * 10.0 + 10.0
