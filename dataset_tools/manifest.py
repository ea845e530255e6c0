"""The manifest of a dataset: what its shards are, where they come from, and that nobody altered it."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from heatnet.errors import DatasetError
from heatnet.files import atomic_file

FORMAT = "heatnet-dataset"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
SHARDS = "shards"
SPLITS = ("train", "val", "test")
DOMAINS = ("day", "night")
MAXIMUM_BYTES = 1 << 28
MAXIMUM_SIDE = 1 << 14
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.h5")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LABELS = re.compile(r"\.labels-[0-9a-f]{8}\.h5$")


@dataclass(frozen=True)
class ShardRecord:
    """What the manifest says of one shard; the file repeats domain, split, sequence and the rest as attributes."""

    name: str  # file name below DATASET/shards
    sha256: str
    bytes: int
    samples: int
    height: int  # pixels
    width: int  # pixels
    split: str  # train, val, test
    domain: str  # day, night
    sequence: str  # the drive that the samples come from
    label_source: str | None  # None where there are no labels
    thermal_unit: str
    thermal_range: tuple[float, float]  # counts that normalise to the ends of the scale
    key: str  # hash of everything that the content depends on: same key, same bytes


@dataclass(frozen=True)
class Manifest:
    """The whole of manifest.json."""

    config: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] | None = None
    provenance: tuple[dict[str, Any], ...] = ()
    shards: tuple[ShardRecord, ...] = ()
    drops: dict[str, int] = field(default_factory=dict)


def planned_name(name: str) -> str:
    """The name under which a shard was built, before a teacher's labels came into it."""
    return _LABELS.sub(".h5", name)


def labelled_name(name: str, teacher_key: str) -> str:
    """The name of a shard with the labels of a teacher, of whom `teacher_key` is a hash in hexadecimal."""
    return planned_name(name).removesuffix(".h5") + f".labels-{teacher_key[:8]}.h5"


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write DATASET/manifest.json whole or not at all, with a checksum of its own."""
    document = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(manifest)}
    document["checksum"] = _checksum(document)
    with atomic_file(root / MANIFEST) as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


def read_manifest(root: Path) -> Manifest:
    """Read DATASET/manifest.json.

    Raises DatasetError where it is missing, of another format or version, altered, or speaks of impossible shards.
    """
    path = root / MANIFEST
    document = _load(path)
    if document.get("format") != FORMAT:
        raise DatasetError(f"{path}: not the manifest of a HeatNet dataset (no format: {FORMAT})")
    if document.get("format_version") != FORMAT_VERSION:
        found = str(document.get("format_version"))[:20]
        raise DatasetError(f"{path}: dataset format version {found}; this HeatNet reads version {FORMAT_VERSION}")
    if document.pop("checksum", None) != _checksum(document):
        raise DatasetError(f"{path}: was altered after it was written (its checksum does not match); build it again")
    try:
        return _manifest(document)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: broken ({type(error).__name__}: {str(error)[:120]})") from error


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise DatasetError(f"{path}: {path.stat().st_size} bytes are too many for a manifest")
        document = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DatasetError(f"{path.parent}: no dataset there ({MANIFEST} is missing)") from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not JSON ({str(error)[:80]})") from error
    if not isinstance(document, dict):
        raise DatasetError(f"{path}: not the manifest of a HeatNet dataset")
    return document


def _checksum(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _manifest(document: Mapping[str, Any]) -> Manifest:
    shards = tuple(_record(entry) for entry in document["shards"])
    names = [record.name for record in shards]
    if len(set(names)) != len(names):
        raise ValueError("a shard is listed twice")
    drops = {str(reason): int(count) for reason, count in document["drops"].items()}
    calibration = document["calibration"]
    return Manifest(
        dict(document["config"]),
        None if calibration is None else dict(calibration),
        tuple(dict(entry) for entry in document["provenance"]),
        shards,
        drops,
    )


def _record(entry: Mapping[str, Any]) -> ShardRecord:
    record = ShardRecord(**{**entry, "thermal_range": tuple(entry["thermal_range"])})
    check_record(record)
    return record


def check_record(record: ShardRecord) -> None:
    """Raise ValueError where a record could not be that of a shard: a name that leaves the folder, absurd sizes."""
    texts = (record.name, record.sha256, record.split, record.domain, record.sequence, record.thermal_unit, record.key)
    if not all(isinstance(text, str) for text in texts) or not isinstance(record.label_source, str | None):
        raise ValueError(f"shard {str(record.name)[:80]!r} has a field of the wrong type")
    if not _NAME.fullmatch(record.name):
        raise ValueError(f"shard name {record.name[:80]!r} is not a plain file name ending in .h5")
    if not _SHA256.fullmatch(record.sha256) or record.split not in SPLITS or record.domain not in DOMAINS:
        raise ValueError(f"shard {record.name}: hash, split {record.split!r} or domain {record.domain!r} is impossible")
    sizes = (record.bytes, record.samples, record.height, record.width)
    if not all(type(size) is int and size > 0 for size in sizes) or max(sizes[2:]) > MAXIMUM_SIDE:
        raise ValueError(f"shard {record.name}: sizes {sizes} are impossible")
    low, high = record.thermal_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"shard {record.name}: thermal_range {record.thermal_range} is impossible")
