"""Where in a shard every sample is: HDF5 is asked once, then the file is read directly."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.codecs import Codec
from heatnet.dataset_tools.manifest import ShardRecord
from heatnet.dataset_tools.sample import IMAGES, NUMBERS, OPTIONAL, Sample, image_shape, sample_crc32
from heatnet.errors import DatasetError

CLASS_PIXELS = "class_pixels"  # (N, 14): how many pixels of a sample bear each label


@dataclass(frozen=True)
class Chunks:
    """The places of one kind of image, one chunk a sample."""

    shape: tuple[int, ...]
    codec: Codec
    offsets: NDArray[np.int64]  # (N,) bytes from the beginning of the file
    sizes: NDArray[np.int64]  # (N,) bytes in the file


@dataclass(frozen=True)
class ShardIndex:
    """Where the chunks of a shard are, and its columns of numbers."""

    chunks: dict[str, Chunks]  # by image
    numbers: dict[str, NDArray[Any]]  # (N,), by column
    class_pixels: NDArray[np.int64] | None  # (N, 14); None where there are no labels, or nobody counted
    in_one_piece: NDArray[np.bool_]  # (N,) the raw images of the sample follow each other

    def read(self, path: Path, row: int, check: bool) -> Sample:
        """The sample in `row`; with `check`, compared with its CRC32. Raises DatasetError."""
        images: dict[str, Any] = {name: np.empty(chunks.shape, IMAGES[name]) for name, chunks in self.chunks.items()}
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._fill(descriptor, row, images)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
        numbers = {name: self.numbers[name][row].item() for name in list(NUMBERS)[:3]}
        sample = Sample(**{"label": None, **images, **numbers})
        if check and sample_crc32(sample) != self.numbers["crc32"][row]:
            raise DatasetError(f"{path}: sample {row} was altered (its CRC32 does not match)")
        return sample

    def _fill(self, descriptor: int, row: int, images: Mapping[str, NDArray[Any]]) -> None:
        if self.in_one_piece[row]:
            first = next(iter(self.chunks.values()))
            _read(descriptor, list(images.values()), int(first.offsets[row]))
            return
        for name, image in images.items():
            chunks = self.chunks[name]
            if chunks.codec.packer is None:
                _read(descriptor, [image], int(chunks.offsets[row]))
            else:
                packed = np.empty(int(chunks.sizes[row]), np.uint8)
                _read(descriptor, [packed], int(chunks.offsets[row]))
                chunks.codec.decode(packed.tobytes(), image)


def _read(descriptor: int, buffers: list[Any], offset: int) -> None:
    """Fill the buffers with what stands in the file from `offset` on: one call of the system, as a rule."""
    total = sum(buffer.nbytes for buffer in buffers)
    done = os.preadv(descriptor, buffers, offset)
    while done < total:  # a network disk may give less at a time
        rest = _after(buffers, done)
        more = os.preadv(descriptor, rest, offset + done)
        if not more:
            raise OSError(f"ends before byte {offset + total}")
        done += more


def _after(buffers: list[Any], done: int) -> list[memoryview]:
    views = []
    for buffer in buffers:
        view = memoryview(buffer).cast("B") if buffer.size else memoryview(b"")
        views += [view[done:]] if done < view.nbytes else []
        done = max(0, done - view.nbytes)
    return views


def read_index(path: Path, record: ShardRecord) -> ShardIndex:
    """Ask HDF5 once for all places. Raises DatasetError where the file is not as the record says."""
    try:
        # Through a file of Python's own: HDF5 would lock it, and mind if the process has it open in another way.
        with path.open("rb") as content, h5py.File(content, "r") as file:
            names = [name for name in IMAGES if name not in OPTIONAL or name in file]
            if ("label" in names) != (record.label_source is not None):
                raise ValueError(f"labels: {'some' if 'label' in names else 'none'}, by {record.label_source}")
            chunks = {name: _chunks(file, name, record) for name in names}
            numbers = {name: _column(file, name, record.samples) for name in NUMBERS}
            pixels = _class_pixels(file, record.samples) if CLASS_PIXELS in file else None
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error)[:160]
        raise DatasetError(f"{path}: not a shard as the manifest describes it ({reason})") from error
    return ShardIndex(chunks, numbers, pixels, _in_one_piece(list(chunks.values())))


def _in_one_piece(chunks: list[Chunks]) -> NDArray[np.bool_]:
    follows = [a.offsets + a.sizes == b.offsets for a, b in pairwise(chunks)]
    raw = all(c.codec.packer is None for c in chunks)
    return np.asarray(np.all(follows, axis=0) & raw)


def _chunks(file: h5py.File, name: str, record: ShardRecord) -> Chunks:
    dataset, shape = file[name], image_shape(name, (record.height, record.width))
    whole = (record.samples, *shape)
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != whole or dataset.dtype != IMAGES[name]:
        raise ValueError(f"{name} is not {np.dtype(IMAGES[name])} of shape {whole}")
    if dataset.chunks != (1, *shape):
        raise ValueError(f"{name} is not one chunk a sample")
    codec = Codec.read(dataset.id.get_create_plist(), dataset.dtype)
    nbytes = math.prod(shape) * dataset.dtype.itemsize
    places = np.empty((2, record.samples), np.int64)
    for row in range(record.samples):
        info = dataset.id.get_chunk_info_by_coord((row,) + (0,) * len(shape))
        wrong_size = info.size != nbytes if codec.packer is None else not 0 < info.size <= 2 * nbytes + 1024
        if info.byte_offset is None or wrong_size or info.filter_mask:
            raise ValueError(f"{name} has no chunk for sample {row}")
        places[:, row] = info.byte_offset, info.size
    return Chunks(shape, codec, *places)


def _column(file: h5py.File, name: str, samples: int) -> NDArray[Any]:
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != (samples,) or dataset.dtype != NUMBERS[name]:
        raise ValueError(f"{name} is not a column of {samples} numbers of type {NUMBERS[name]}")
    return dataset[:]


def _class_pixels(file: h5py.File, samples: int) -> NDArray[np.int64]:
    dataset = file[CLASS_PIXELS]
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != (samples, 14) or dataset.dtype != np.uint32:
        raise ValueError(f"{CLASS_PIXELS} is not {samples} rows of 14 counts")
    return dataset[:].astype(np.int64)
