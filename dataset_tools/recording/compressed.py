"""Compressed images to arrays: JPEG and PNG, with their size known before anything is decoded."""

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.recording.pixels import MAX_PIXELS, Pixels, to_rgb
from heatnet.errors import RecordingError

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_MOSAICS = ("bayer_rggb", "bayer_bggr", "bayer_gbrg", "bayer_grbg")


def decode_compressed(data: bytes | memoryview, encoding: str = "") -> Pixels:
    """Pixels of a JPEG or PNG file: (H, W, 3) uint8 RGB, (H, W) uint8 or uint16.

    `encoding` is the format of a sensor_msgs/CompressedImage: `bayer_rggb8; png compressed bayer_rggb8` holds a mosaic.
    Raises RecordingError where the bytes are neither, say they hold more than MAX_PIXELS, or do not decode.
    """
    width, height = encoded_size(data)
    if not 0 < width * height <= MAX_PIXELS:
        raise RecordingError(f"compressed image of {width}x{height}: not a size between 1 and {MAX_PIXELS} pixels")
    try:
        pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise RecordingError(f"compressed image of {width}x{height} does not decode ({error.err})") from error
    if pixels is None:
        raise RecordingError(f"compressed image of {width}x{height}, {len(data)} bytes, does not decode")
    if pixels.ndim == 3:
        return to_rgb(pixels, "bgr" if pixels.shape[2] == 3 else "bgra")
    mosaic = next((m for m in _MOSAICS if m in encoding.rpartition("compressed ")[2]), None)
    return to_rgb(pixels, mosaic) if mosaic else pixels


def encoded_size(data: bytes | memoryview) -> tuple[int, int]:
    """(width, height) that a JPEG (ITU T.81, B.2.2) or PNG (RFC 2083, 4.1.1) says it has, nothing decoded."""
    if data[:8] == _PNG and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data[:2] == _JPEG:
        return _jpeg_size(data)
    raise RecordingError(f"compressed image of {len(data)} bytes starts with {bytes(data[:8])!r}: neither JPEG nor PNG")


def _jpeg_size(data: bytes | memoryview) -> tuple[int, int]:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    raise RecordingError(f"JPEG of {len(data)} bytes has no frame header")
