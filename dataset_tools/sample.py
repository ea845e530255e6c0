"""One aligned pair, and what a file says of it."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IGNORE_ID = 13
IMAGES = {"rgb": np.uint8, "thermal": np.uint16, "valid": np.uint8, "label": np.uint8}
NUMBERS = {"rgb_stamp_ns": "<i8", "thermal_stamp_ns": "<i8", "sun_elevation_deg": "<f4", "crc32": "<u4"}


@dataclass(frozen=True)
class Sample:
    """One aligned pair on the training grid."""

    rgb: NDArray[np.uint8]  # (H, W, 3)
    thermal: NDArray[np.uint16]  # (H, W) raw counts
    valid: NDArray[np.uint8]  # (H, W) 1 where thermal covers the pixel, else 0
    label: NDArray[np.uint8] | None  # (H, W) class ids, 13 = ignore
    rgb_stamp_ns: int
    thermal_stamp_ns: int
    sun_elevation_deg: float  # NaN where unknown


def sample_crc32(sample: Sample) -> int:
    """CRC32 of all that a sample holds, in the order of the file."""
    crc = 0
    for name in IMAGES:
        image = getattr(sample, name)
        if image is not None:
            crc = zlib.crc32(np.ascontiguousarray(image).data, crc)
    stamps = np.array([sample.rgb_stamp_ns, sample.thermal_stamp_ns], "<i8")
    return zlib.crc32(np.array(sample.sun_elevation_deg, "<f4").tobytes(), zlib.crc32(stamps.tobytes(), crc))
