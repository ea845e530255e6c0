"""Raw images to arrays: sensor_msgs/Image in its encodings (sensor_msgs/image_encodings.h)."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.errors import RecordingError

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
MAX_PIXELS = 1 << 26  # a 64 megapixel camera; larger sizes are taken for damage

# How cv2 makes RGB of a layout. ROS names a mosaic by its first row and then its second, and so do these.
_RGB_CODES = {
    "rgb": None,
    "bgr": cv2.COLOR_BGR2RGB,
    "rgba": cv2.COLOR_RGBA2RGB,
    "bgra": cv2.COLOR_BGRA2RGB,
    "bayer_rggb": cv2.COLOR_BayerRGGB2RGB,
    "bayer_bggr": cv2.COLOR_BayerBGGR2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGBRG2RGB,
    "bayer_grbg": cv2.COLOR_BayerGRBG2RGB,
}
_CHANNELS = {"mono": 1, "rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4}
_GENERIC = {"8UC1": "mono8", "16UC1": "mono16", "8UC3": "bgr8", "8UC4": "bgra8"}  # as image_transport writes them


@dataclass(frozen=True)
class RawImage:
    """The fields of a sensor_msgs/Image."""

    height: int
    width: int
    encoding: str
    big_endian: bool
    step: int  # bytes of a row, padding included
    data: memoryview


@dataclass(frozen=True)
class Mosaic:
    """An 8-bit Bayer image as recorded: who needs a part of it need not make colours of all."""

    pixels: NDArray[np.uint8]  # (H, W)
    layout: str  # bayer_rggb, ...

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W)"""
        return self.pixels.shape

    def rgb(self, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.uint8]:
        """RGB (h, w, 3) of a part that begins at an even row and column; its outermost pixels know no neighbours."""
        return to_rgb(self.pixels[rows, columns], self.layout)

    def rgba(self, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.uint8]:
        """The same with a fourth channel (h, w, 4) of 255: what comes next takes less time with it."""
        pattern = self.layout.removeprefix("bayer_").upper()
        code = getattr(cv2, f"COLOR_Bayer{pattern}2RGBA")
        return np.asarray(cv2.cvtColor(self.pixels[rows, columns], code), np.uint8)


def decode_raw(raw: RawImage, mosaics: bool = False) -> Pixels:
    """Pixels of `raw`: (H, W, 3) uint8 RGB, (H, W) uint8, or (H, W) native uint16 for mono16; not to be written to.

    16-bit colour keeps its upper eight bits. With `mosaics` an 8-bit Bayer image stays as it is, (H, W). Raises
    RecordingError for unknown encodings and sizes that contradict.
    """
    layout, depth = _split(raw.encoding)
    array = _rows(raw, _CHANNELS.get(layout, 1), depth)
    if layout == "mono" or (mosaics and depth == 1 and layout.startswith("bayer")):
        return array
    return to_rgb(array, layout)


def to_rgb(array: Pixels, layout: str) -> NDArray[np.uint8]:
    """RGB (H, W, 3) uint8 of a mosaic (H, W) or of channels (H, W, 3 or 4) in `layout` (bgr, bayer_rggb, ...)."""
    code = _RGB_CODES[layout]
    rgb: NDArray[Any] = array if code is None else cv2.cvtColor(array, code)
    return (rgb >> 8).astype(np.uint8) if rgb.dtype == np.uint16 else rgb


def _split(encoding: str) -> tuple[str, int]:
    name = _GENERIC.get(encoding, encoding)
    for suffix in ("16", "8"):
        layout = name.removesuffix(suffix)
        if layout != name and (layout == "mono" or layout in _RGB_CODES):
            return layout, int(suffix) // 8
    raise RecordingError(
        f"image encoding {encoding[:40]!r} is unknown; mono, rgb, bgr or bayer with 8 or 16 bits is needed"
    )


def _rows(raw: RawImage, channels: int, depth: int) -> Pixels:
    """The samples without padding, in native byte order, (H, W) or (H, W, channels)."""
    row = raw.width * channels * depth
    size = f"{raw.width}x{raw.height} {raw.encoding} image with rows of {raw.step} bytes"
    if not 0 < raw.width * raw.height <= MAX_PIXELS:
        raise RecordingError(f"{size}: not a size between 1 and {MAX_PIXELS} pixels")
    if raw.step < row or not (raw.height - 1) * raw.step + row <= len(raw.data) <= raw.height * raw.step:
        raise RecordingError(f"{size}: {len(raw.data)} bytes of data, {row} a row at least, contradict")
    dtype = np.dtype(np.uint8 if depth == 1 else (">u2" if raw.big_endian else "<u2"))
    shape, strides = (raw.height, raw.width * channels), (raw.step, depth)
    there: NDArray[Any] = np.ndarray(shape, dtype, raw.data, 0, strides)
    samples: NDArray[Any] = there.astype(dtype.newbyteorder("="), order="C", copy=False)
    return samples if channels == 1 else samples.reshape(raw.height, raw.width, channels)
