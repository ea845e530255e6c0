"""Where in a shard every sample is: HDF5 is asked once, then the file is read directly."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.manifest import ShardRecord
from heatnet.dataset_tools.sample import IMAGES, NUMBERS, Sample, sample_crc32
from heatnet.errors import DatasetError


@dataclass(frozen=True)
class ShardIndex:
    """Where the chunks of a shard are, and its columns of numbers."""

    shapes: dict[str, tuple[int, ...]]  # of one sample, by image
    offsets: dict[str, NDArray[np.int64]]  # (N,) bytes from the beginning of the file, by image
    numbers: dict[str, NDArray[Any]]  # (N,), by column

    def read(self, path: Path, row: int, check: bool) -> Sample:
        """The sample in `row`; with `check`, compared with its CRC32. Raises DatasetError."""
        images: dict[str, NDArray[Any] | None] = {"label": None}
        try:
            with path.open("rb", buffering=0) as file:
                for name, shape in self.shapes.items():
                    images[name] = _read_image(file, int(self.offsets[name][row]), shape, IMAGES[name])
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
        numbers = {name: self.numbers[name][row].item() for name in list(NUMBERS)[:3]}
        sample = Sample(**images, **numbers)  # type: ignore[arg-type]
        if check and sample_crc32(sample) != self.numbers["crc32"][row]:
            raise DatasetError(f"{path}: sample {row} was altered (its CRC32 does not match)")
        return sample


def _read_image(file: io.FileIO, offset: int, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    image = np.empty(shape, np.dtype(dtype).newbyteorder("<"))
    file.seek(offset)
    if file.readinto(image.data) != image.nbytes:
        raise OSError(f"ends before byte {offset + image.nbytes}")
    return image


def read_index(path: Path, record: ShardRecord) -> ShardIndex:
    """Ask HDF5 once for all places. Raises DatasetError where the file is not as the record says."""
    names = [name for name in IMAGES if name != "label" or record.label_source is not None]
    size = (record.height, record.width)
    shapes: dict[str, tuple[int, ...]] = {name: (*size, 3) if name == "rgb" else size for name in names}
    try:
        # Through a file of Python's own: HDF5 would lock it, and mind if the process has it open in another way.
        with path.open("rb") as content, h5py.File(content, "r") as file:
            offsets = {name: _offsets(file, name, record.samples, shapes[name]) for name in names}
            numbers = {name: _column(file, name, record.samples) for name in NUMBERS}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error)[:160]
        raise DatasetError(f"{path}: not a shard as the manifest describes it ({reason})") from error
    return ShardIndex(shapes, offsets, numbers)


def _offsets(file: h5py.File, name: str, samples: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != (samples, *shape) or dataset.dtype != IMAGES[name]:
        raise ValueError(f"{name} is not {np.dtype(IMAGES[name])} of shape {(samples, *shape)}")
    nbytes = math.prod(shape) * dataset.dtype.itemsize
    if dataset.chunks != (1, *shape) or dataset.id.get_create_plist().get_nfilters():
        raise ValueError(f"{name} is not one raw chunk a sample")
    offsets = np.empty(samples, np.int64)
    for row in range(samples):
        info = dataset.id.get_chunk_info_by_coord((row,) + (0,) * len(shape))
        if info.byte_offset is None or info.size != nbytes:
            raise ValueError(f"{name} has no chunk for sample {row}")
        offsets[row] = info.byte_offset
    return offsets


def _column(file: h5py.File, name: str, samples: int) -> NDArray[Any]:
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != (samples,) or dataset.dtype != NUMBERS[name]:
        raise ValueError(f"{name} is not a column of {samples} numbers of type {NUMBERS[name]}")
    return dataset[:]
