"""One aligned pair, and what a file says of it."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IGNORE_ID = 13
IMAGES = {
    "rgb": np.uint8,
    "thermal": np.uint16,
    "valid": np.uint8,
    "label": np.uint8,
    "confidence": np.uint8,
    "rgb_right": np.uint8,
}
OPTIONAL = ("label", "confidence", "rgb_right")
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
    confidence: NDArray[np.uint8] | None = None  # (H, W) of a teacher in its label, in steps of 1/255
    rgb_right: NDArray[np.uint8] | None = None  # (H, W, 3) of the right camera, on a grid of its own


def image_shape(name: str, size: tuple[int, int]) -> tuple[int, ...]:
    """The shape of the image of that name in samples of `size` (height, width)."""
    return (*size, 3) if name.startswith("rgb") else size


def sample_crc32(sample: Sample) -> int:
    """CRC32 of all that a sample holds, in the order of the file."""
    crc = 0
    for name in IMAGES:
        image = getattr(sample, name)
        if image is not None:
            crc = zlib.crc32(np.ascontiguousarray(image).data, crc)
    stamps = np.array([sample.rgb_stamp_ns, sample.thermal_stamp_ns], "<i8")
    return zlib.crc32(np.array(sample.sun_elevation_deg, "<f4").tobytes(), zlib.crc32(stamps.tobytes(), crc))
