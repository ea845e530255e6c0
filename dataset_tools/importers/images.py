"""Image files of published datasets: read strictly, refused with one clear message."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.shards import IGNORE_ID
from heatnet.errors import DatasetError

_ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG": b"IEND"}  # how a JPEG and a PNG begin and end
COLOUR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def read_bytes(path: Path) -> bytes:
    """The content of a file. Raises DatasetError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error


def decode_rgb(content: bytes, path: Path) -> NDArray[np.uint8]:
    """An 8-bit colour image (H, W, 3), red first. Raises DatasetError where it is no image."""
    return cv2.cvtColor(_decode(content, path, COLOUR), cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def decode_counts(content: bytes, path: Path) -> NDArray[Any]:
    """A thermal image (H, W) of 8 or 16 bits, its counts as they are. Raises DatasetError for anything else."""
    image = _decode(content, path, cv2.IMREAD_UNCHANGED)
    if image.ndim == 3 and (image[..., :1] == image[..., :3]).all():
        image = image[..., 0]
    if image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        raise DatasetError(f"{path}: {_describe(image)}; a thermal image with one channel of 8 or 16 bits is needed")
    return image


def decode_label(content: bytes, path: Path) -> NDArray[np.uint8]:
    """A class map (H, W) of ids 0 to 13. Raises DatasetError for anything else."""
    image = _decode(content, path, cv2.IMREAD_UNCHANGED)
    if image.ndim != 2 or image.dtype != np.uint8:
        raise DatasetError(f"{path}: {_describe(image)}; a label image with one channel of 8 bits is needed")
    return check_ids(image, path)


def decode_npy_label(content: bytes, path: Path) -> NDArray[np.uint8]:
    """A class map (H, W) of ids 0 to 13 from an .npy file. Raises DatasetError for anything else."""
    try:
        label = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError) as error:
        raise DatasetError(f"{path}: not a readable .npy array ({str(error)[:80]})") from error
    label = np.asarray(label).squeeze()
    if label.ndim != 2 or label.dtype.kind not in "iuf":
        raise DatasetError(f"{path}: array {label.shape} of {label.dtype}; one of class ids (H, W) is needed")
    return check_ids(label, path)


def decode_rgbt(content: bytes, path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """RGB (H, W, 3) and 8-bit thermal (H, W) from an image of four channels. Raises DatasetError for anything else."""
    image = _decode(content, path, cv2.IMREAD_UNCHANGED)
    if image.ndim != 3 or image.shape[2] != 4 or image.dtype != np.uint8:
        raise DatasetError(f"{path}: {_describe(image)}; four channels of 8 bits (RGB and thermal) are needed")
    return np.ascontiguousarray(image[..., 2::-1]), np.ascontiguousarray(image[..., 3])


def check_ids(label: NDArray[Any], path: Path | str) -> NDArray[np.uint8]:
    """`label` as uint8. Raises DatasetError where it holds an id other than 0 to 13."""
    strange = label[~((label >= 0) & (label <= IGNORE_ID))]
    if strange.size:
        raise DatasetError(
            f"{path}: label id {strange.max()} on {strange.size} pixels; 0 to 12 and {IGNORE_ID} (ignore) are needed"
        )
    return label.astype(np.uint8)


def _decode(content: bytes, path: Path, flags: int) -> NDArray[Any]:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if _whole(content) else None
    except cv2.error:
        image = None
    if image is None:
        raise DatasetError(f"{path}: not a readable image ({len(content)} bytes; cut off, or of another format)")
    return image


def _whole(content: bytes) -> bool:
    """Whether an image file goes on to its end mark: OpenCV fills the rest of a cut-off one with grey."""
    end = next((end for start, end in _ENDS.items() if content.startswith(start)), b"")
    return len(content) > 0 and end in content[-1024:]


def _describe(image: NDArray[Any]) -> str:
    channels = 1 if image.ndim == 2 else image.shape[2]
    return f"image of {channels} channels of type {image.dtype}"
