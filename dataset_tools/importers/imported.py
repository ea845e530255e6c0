"""What every importer does once it knows which files belong together."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.counts import measured_range
from heatnet.dataset_tools.importers.config import ImportConfig
from heatnet.dataset_tools.importers.images import decode_counts, decode_label, decode_rgb, read_bytes
from heatnet.dataset_tools.shards import Sample, ShardInfo, ShardRecord, samples_per_shard, write_shard
from heatnet.dataset_tools.writer import DatasetWriter, content_key, open_writer, plain_name
from heatnet.errors import DatasetError
from heatnet.progress import track

IMPORT_VERSION = 2  # raise when the same files would give other bytes
UNKNOWN_STAMP = -1
MEASURED_IMAGES = 64


@dataclass(frozen=True)
class Pair:
    """The files of one sample, in a folder of samples alike."""

    name: str
    rgb: Path
    thermal: Path
    label: Path | None
    split: str
    domain: str
    sequence: str
    stamp_ns: int = UNKNOWN_STAMP
    label_source: str | None = None  # None: as the user says


@dataclass(frozen=True)
class Decoded:
    """The images of one pair, of one size."""

    rgb: NDArray[np.uint8]  # (H, W, 3)
    thermal: NDArray[Any]  # (H, W) uint8 or uint16 counts
    label: NDArray[np.uint8] | None  # (H, W) ids 0 to 13
    valid: NDArray[np.uint8] | None = None  # (H, W); None: everywhere


Decoder = Callable[[Pair, Mapping[Path, bytes]], Decoded]


def decode_files(pair: Pair, files: Mapping[Path, bytes]) -> Decoded:
    """A colour image, a thermal image, and an image of class ids. Raises DatasetError naming the file at fault."""
    label = None if pair.label is None else decode_label(files[pair.label], pair.label)
    return Decoded(decode_rgb(files[pair.rgb], pair.rgb), decode_counts(files[pair.thermal], pair.thermal), label)


@dataclass(frozen=True)
class _Form:
    """What all samples of an import have in common."""

    size: tuple[int, int]  # width, height
    resize: bool
    thermal_type: str  # uint8, uint16
    thermal_range: tuple[float, float]
    label_source: str


def import_pairs(
    source: tuple[str, Path],
    output: Path,
    config: ImportConfig,
    pairs: Sequence[Pair],
    drops: Mapping[str, int],
    decode: Decoder = decode_files,
) -> dict[str, Any]:
    """Write `pairs` of `source` (format, folder) into the dataset `output` and return the counts of what came of them.

    Raises DatasetError naming the file that is at fault; what this import had written is taken back then.
    """
    format_name, root = source
    if not pairs:
        raise DatasetError(f"{root}: no pair of an RGB and a thermal image of one name found (left out: {dict(drops)})")
    form = _form(pairs, config, decode)
    shards: list[ShardRecord] = []
    files: dict[str, list[str]] = {}
    with open_writer(output, {"command": f"import-dataset {format_name}", **asdict(form)}, None) as writer:
        for name, block in track(list(_blocks(pairs, form.size)), "import"):
            shards.append(_import_block(writer, name, block, form, decode))
            files[name] = [pair.name for pair in block]
        key = content_key([record.key for record in shards])
        entry = {"name": root.name, "hash": key, "key": key, "pairs": len(pairs), "drops": dict(drops)}
        writer.finish({**entry, "shards": list(files), "files": files})
    return _summary(shards, drops)


def _form(pairs: Sequence[Pair], config: ImportConfig, decode: Decoder) -> _Form:
    first = decode(pairs[0], _files(pairs[0])).thermal
    height, width = first.shape
    measured = (0.0, 255.0) if first.dtype == np.uint8 else _measured_range(pairs, decode)
    size = config.size or (width, height)
    return _Form(size, config.size is not None, str(first.dtype), config.thermal_range or measured, config.label_source)


def _files(pair: Pair) -> dict[Path, bytes]:
    return {path: read_bytes(path) for path in (pair.rgb, pair.thermal, pair.label) if path is not None}


def _measured_range(pairs: Sequence[Pair], decode: Decoder) -> tuple[float, float]:
    """The range of an even choice of images."""
    chosen = [pairs[i] for i in np.unique(np.linspace(0, len(pairs) - 1, MEASURED_IMAGES).astype(int))]
    images = [decode(pair, _files(pair)) for pair in chosen]
    seen = [image.thermal if image.valid is None else image.thermal[image.valid > 0] for image in images]
    return measured_range(seen)


def _summary(shards: Iterable[ShardRecord], drops: Mapping[str, int]) -> dict[str, Any]:
    counts: Counter[tuple[str, str, bool]] = Counter()
    for record in shards:
        counts[record.split, record.domain, record.label_source is not None] += record.samples
    rows = [
        {"split": split, "domain": domain, "labelled": labelled, "samples": samples}
        for (split, domain, labelled), samples in sorted(counts.items())
    ]
    return {"samples": rows, "drops": dict(drops)}


def _blocks(pairs: Sequence[Pair], size: Sequence[int]) -> Iterator[tuple[str, list[Pair]]]:
    """Pairs that share a shard, with the shard's name."""
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        kind = "labelled" if pair.label is not None else "plain"
        name = "_".join((plain_name(pair.sequence), pair.domain, pair.split, kind))
        groups.setdefault(name, []).append(pair)
    most = samples_per_shard(size[1], size[0])
    for name, group in sorted(groups.items()):
        for i in range(math.ceil(len(group) / most)):
            yield f"{name}_{i:04d}.h5", group[i * most : (i + 1) * most]


def _import_block(writer: DatasetWriter, name: str, block: Sequence[Pair], form: _Form, decode: Decoder) -> ShardRecord:
    contents = [_files(pair) for pair in block]
    hashes = [[hashlib.sha256(content).hexdigest() for content in files.values()] for files in contents]
    key = content_key(IMPORT_VERSION, asdict(form), hashes, [pair.stamp_ns for pair in block])
    known = writer.claim(name, key)
    if known is not None:
        return known
    samples = [_sample(pair, decode(pair, files), form) for pair, files in zip(block, contents, strict=True)]
    pair = block[0]
    source = None if pair.label is None else pair.label_source or form.label_source
    info = ShardInfo(pair.split, pair.domain, pair.sequence, source, "counts", form.thermal_range, key)
    record = write_shard(writer.root, name, samples, info)
    writer.add(record)
    return record


def _sample(pair: Pair, images: Decoded, form: _Form) -> Sample:
    _check_sizes(pair, form, images)
    size = form.size
    valid = np.ones(images.thermal.shape, np.uint8) if images.valid is None else images.valid
    return Sample(
        rgb=_resized(images.rgb, size, cv2.INTER_AREA),
        thermal=_resized(images.thermal, size, cv2.INTER_AREA).astype(np.uint16),
        valid=_resized(valid, size, cv2.INTER_NEAREST_EXACT),
        label=None if images.label is None else _resized(images.label, size, cv2.INTER_NEAREST_EXACT),
        rgb_stamp_ns=pair.stamp_ns,
        thermal_stamp_ns=pair.stamp_ns,
        sun_elevation_deg=float("nan"),
    )


def _resized(image: NDArray[Any], size: tuple[int, int], interpolation: int) -> NDArray[Any]:
    return image if image.shape[1::-1] == size else cv2.resize(image, size, interpolation=interpolation)


def _check_sizes(pair: Pair, form: _Form, images: Decoded) -> None:
    rgb, thermal = images.rgb, images.thermal
    if str(thermal.dtype) != form.thermal_type:
        raise DatasetError(f"{pair.thermal}: {thermal.dtype}, where the images before it are {form.thermal_type}")
    for path, image in ((pair.thermal, thermal), (pair.label, images.label)):
        if image is not None and image.shape[:2] != rgb.shape[:2]:
            raise DatasetError(f"{path}: {_text(image)} pixels; {pair.rgb} has {_text(rgb)}, and they must be alike")
    if not form.resize and rgb.shape[1::-1] != form.size:
        raise DatasetError(
            f"{pair.rgb}: {_text(rgb)} pixels, where the images before it have {form.size[0]}x{form.size[1]}; "
            "choose a size for all"
        )


def _text(image: NDArray[Any]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
