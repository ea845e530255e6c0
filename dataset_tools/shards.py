"""Shards: HDF5 files of aligned pairs, one chunk a sample and image, and the dataset that they make up.

A shard is written beside its place and takes it when whole, and the same samples always give the same bytes. The
images of a sample follow each other in the file. Reading asks HDF5 once for the place of every chunk and then reads a
sample with one call of the system: no handle is kept, and a dataset may be pickled, forked and used from threads at
will.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.codecs import Codec, Compression
from heatnet.dataset_tools.digests import file_sha256
from heatnet.dataset_tools.hdf5 import hdf5_file
from heatnet.dataset_tools.manifest import SHARDS, Manifest, ShardRecord, check_record, read_manifest, write_manifest
from heatnet.dataset_tools.sample import IGNORE_ID, IMAGES, NUMBERS, OPTIONAL, Sample, image_shape, sample_crc32
from heatnet.dataset_tools.shard_index import CLASS_PIXELS, ShardIndex, read_index
from heatnet.errors import DatasetError
from heatnet.files import atomic_file

__all__ = [
    "IGNORE_ID", "Dataset", "Manifest", "Sample", "SampleRef", "ShardInfo", "ShardRecord", "read_manifest",
    "sample_crc32", "samples_per_shard", "write_manifest", "write_shard",
]  # fmt: skip
SHARD_BYTES = 128 << 20


@dataclass(frozen=True)
class ShardInfo:
    """What all samples of a shard have in common."""

    split: str
    domain: str
    sequence: str
    label_source: str | None = None
    thermal_unit: str = "counts"
    thermal_range: tuple[float, float] = (21800.0, 25000.0)
    key: str = ""


@dataclass(frozen=True)
class SampleRef:
    """Where a sample is, and what can be said of it without reading it."""

    shard: int  # index into manifest.shards
    row: int
    split: str
    domain: str
    sequence: str
    label_source: str | None
    content: str  # SHA-256 of its shard: stays when other shards come into the dataset


def samples_per_shard(height: int, width: int) -> int:
    """How many samples of that size a shard takes before the next one is begun."""
    return max(1, SHARD_BYTES // (height * width * 7))


def write_shard(
    root: Path, name: str, samples: Sequence[Sample], info: ShardInfo, compression: Compression = "none"
) -> ShardRecord:
    """Write DATASET/shards/`name` whole or not at all and return its entry for the manifest.

    All samples must have the same size, and all or none a label and what else is optional. Raises DatasetError
    otherwise, HeatNetError where the disk refuses.
    """
    _check_samples(name, samples, info)
    with atomic_file(root / SHARDS / name) as temporary:
        with hdf5_file(temporary) as file:
            _put(file, samples, info, compression)
        record = _record(name, temporary, samples, info)
    return record


def _record(name: str, path: Path, samples: Sequence[Sample], info: ShardInfo) -> ShardRecord:
    height, width = samples[0].thermal.shape
    size, sha256 = path.stat().st_size, file_sha256(path)
    record = ShardRecord(name, sha256, size, len(samples), height, width, **vars(info))
    try:
        check_record(record)
    except ValueError as error:
        raise DatasetError(str(error)) from error
    return record


def _check_samples(name: str, samples: Sequence[Sample], info: ShardInfo) -> None:
    if not samples:
        raise DatasetError(f"{name}: no samples to write")
    size = samples[0].thermal.shape
    needed = {n for n in IMAGES if getattr(samples[0], n) is not None}
    for sample in samples:
        shapes = {n: image.shape for n in IMAGES if (image := getattr(sample, n)) is not None}
        wrong = any(shape != image_shape(n, size) for n, shape in shapes.items())
        if wrong or shapes.keys() != needed or ("label" in needed) != (info.label_source is not None):
            kinds = ", ".join(OPTIONAL)
            raise DatasetError(f"{name}: samples of different sizes, or only some with {kinds}, in one shard")


def _put(file: h5py.File, samples: Sequence[Sample], info: ShardInfo, compression: Compression) -> None:
    for key, value in _attributes(info).items():
        file.attrs[key] = value
    crc32s = _put_images(file, samples, compression)
    numbers = {name: [getattr(sample, name) for sample in samples] for name in list(NUMBERS)[:3]}
    for name, values in {**numbers, "crc32": crc32s}.items():
        file.create_dataset(name, data=np.array(values, NUMBERS[name]), track_times=False)
    labels = [sample.label for sample in samples if sample.label is not None]
    if labels:
        pixels = np.stack([np.bincount(label.ravel(), minlength=256)[: IGNORE_ID + 1] for label in labels])
        file.create_dataset(CLASS_PIXELS, data=pixels.astype("<u4"), track_times=False)


def _attributes(info: ShardInfo) -> dict[str, Any]:
    values = {
        "domain": info.domain,
        "split": info.split,
        "sequence": info.sequence,
        "thermal_unit": info.thermal_unit,
        "thermal_range": np.array(info.thermal_range, np.float64),
    }
    return values if info.label_source is None else {**values, "label_source": info.label_source}


def _put_images(file: h5py.File, samples: Sequence[Sample], compression: Compression) -> list[int]:
    """Sample by sample, so that what is read together lies together; returns their CRC32s."""
    names = [name for name in IMAGES if getattr(samples[0], name) is not None]
    codecs = {name: Codec.of(compression, IMAGES[name]) for name in names}
    places = {name: _place(file, name, len(samples), getattr(samples[0], name).shape, codecs[name]) for name in names}
    crc32s = []
    for row, sample in enumerate(samples):
        crc32s.append(sample_crc32(sample))
        for name in names:
            image = np.ascontiguousarray(getattr(sample, name), np.dtype(IMAGES[name]).newbyteorder("<"))
            places[name].write_direct_chunk((row,) + (0,) * image.ndim, codecs[name].encode(image))
    return crc32s


def _place(file: h5py.File, name: str, samples: int, shape: tuple[int, ...], codec: Codec) -> h5py.h5d.DatasetID:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((1, *shape))
    properties.set_obj_track_times(False)
    codec.apply(properties)
    kind = h5py.h5t.py_create(np.dtype(IMAGES[name]).newbyteorder("<"))
    return h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple((samples, *shape)), properties)


@dataclass(frozen=True)
class Dataset:
    """A dataset opened for reading; holds no open file."""

    root: Path
    manifest: Manifest

    def __post_init__(self) -> None:
        object.__setattr__(self, "_indices", {})

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "manifest": self.manifest, "_indices": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @staticmethod
    def open(root: Path) -> "Dataset":
        """Read the manifest and see that every shard is there in its full length (`validate` also hashes them).

        Raises DatasetError naming what is missing, altered or of another version.
        """
        dataset = Dataset.open_lenient(root)
        for record in dataset.manifest.shards:
            path = dataset.path(record)
            if not path.is_file():
                raise DatasetError(f"{path}: missing, though the manifest names it")
            if path.stat().st_size != record.bytes:
                raise DatasetError(f"{path}: {path.stat().st_size} bytes; the manifest says {record.bytes}")
        return dataset

    @staticmethod
    def open_lenient(root: Path) -> "Dataset":
        """Read the manifest only: for who looks at a dataset of which shards may be missing. Raises DatasetError."""
        return Dataset(root, read_manifest(root))

    def path(self, record: ShardRecord) -> Path:
        """The file of a shard."""
        return self.root / SHARDS / record.name

    def refs(
        self, split: str | None = None, domain: str | None = None, labelled: bool | None = None
    ) -> list[SampleRef]:
        """The samples of a split, of a domain, with or without labels (None: all), in the order of the manifest."""
        return [
            ref
            for i, r in enumerate(self.manifest.shards)
            if split in (None, r.split) and domain in (None, r.domain)
            if labelled in (None, r.label_source is not None)
            for ref in self.shard_refs(i)
        ]

    def shard_refs(self, index: int) -> list[SampleRef]:
        """The samples of one shard."""
        r = self.manifest.shards[index]
        return [
            SampleRef(index, row, r.split, r.domain, r.sequence, r.label_source, r.sha256) for row in range(r.samples)
        ]

    def thermal_range(self, ref: SampleRef) -> tuple[float, float]:
        """The counts that normalise to the lower and the upper end of the scale for a sample's shard."""
        return self.manifest.shards[ref.shard].thermal_range

    def read(self, ref: SampleRef, check: bool = False) -> Sample:
        """Read one sample; with `check`, compare it with its CRC32.

        Raises DatasetError where the shard is missing, cut off, of other contents than the manifest says, or altered.
        """
        record = self.manifest.shards[ref.shard]
        if not 0 <= ref.row < record.samples:
            raise DatasetError(f"{self.path(record)}: no sample {ref.row}; it has {record.samples}")
        return self._index(ref.shard).read(self.path(record), ref.row, check)

    def class_pixels(self, refs: Sequence[SampleRef]) -> NDArray[np.int64]:
        """How many pixels (N, 14) of each sample bear each label: an index made with the shards, no image is read.

        Zeros where a sample has no labels. Raises DatasetError where a shard is not as the manifest says.
        """
        counts = np.zeros((len(refs), IGNORE_ID + 1), np.int64)
        for i, ref in enumerate(refs):
            pixels = None if ref.label_source is None else self._index(ref.shard).class_pixels
            if pixels is not None:
                counts[i] = pixels[ref.row]
        return counts

    def _index(self, shard: int) -> ShardIndex:
        indices: dict[int, ShardIndex] = self.__dict__["_indices"]
        index = indices.get(shard)
        if index is None:
            record = self.manifest.shards[shard]
            index = indices[shard] = read_index(self.path(record), record)
        return index
