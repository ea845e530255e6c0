"""Adding shards to a dataset so that at every moment what is on disk is a valid dataset.

A source (a recording, or a folder that is imported) brings planned shards, each with a key: the hash of all that its
bytes depend on. A shard is written, then the manifest names it. What was killed goes on where it was: a shard whose
key and hash are in place is not made again. Where the input is at fault, what the source had brought is taken back.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from heatnet.dataset_tools.card import CARD, write_card
from heatnet.dataset_tools.digests import file_sha256
from heatnet.dataset_tools.manifest import (
    DOMAINS,
    MANIFEST,
    SHARDS,
    SPLITS,
    Manifest,
    ShardRecord,
    planned_name,
    read_manifest,
    write_manifest,
)
from heatnet.errors import DatasetError, HeatNetError

# What builds and imports call their shards, and what atomic_file calls a file before it is whole.
_SHARD = re.compile(
    rf".+_({'|'.join(DOMAINS)})_({'|'.join(SPLITS)})_(labelled|plain)_\d{{4,}}(\.labels-[0-9a-f]{{8}})?\.h5"
)
_TEMPORARY = re.compile(r"\.(.+)\.\d+\.tmp")


def content_key(*parts: Any) -> str:
    """SHA-256 of JSON-like values: equal values, equal key."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def plain_name(text: str) -> str:
    """`text` as it may stand in a shard's name: letters, digits, dots and dashes, at most 80."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip(".-")[:80] or "drive"


@dataclass
class DatasetWriter:
    """A dataset that this process alone is adding to."""

    root: Path
    manifest: Manifest
    new: bool  # whether the dataset is made by this process
    claimed: list[str] = field(default_factory=list)  # shards that sources which are not finished bring

    def refuse_other_key(self, name: str, digest: str, key: str) -> None:
        """Raise DatasetError where the same input is in the dataset already, built in another way."""
        for entry in self.manifest.provenance:
            if entry.get("hash") == digest and entry.get("key") != key:
                raise DatasetError(
                    f"{self.root}: {name} is in it already as {entry.get('name')}, with another calibration, split or "
                    "domain; build into a new folder"
                )

    def claim(self, name: str, key: str) -> ShardRecord | None:
        """The shard of that name where it is in place, unaltered and made with that key; None where it is to be made.

        Raises DatasetError where the name belongs to another content that is complete.
        """
        record = next((record for record in self.manifest.shards if planned_name(record.name) == name), None)
        complete = any(name in map(planned_name, entry["shards"]) for entry in self.manifest.provenance)
        if complete and record is not None and record.key != key:
            raise DatasetError(f"{self.root}: {name} is in it already with other contents; build into a new folder")
        if record is not None and record.key == key and self.intact(record):
            return record
        self.claimed.append(name)
        return None

    def add(self, record: ShardRecord) -> None:
        """Let the manifest name a shard that has just been written."""
        shards = [other for other in self.manifest.shards if planned_name(other.name) != record.name]
        self._write(replace(self.manifest, shards=tuple(sorted([*shards, record], key=lambda r: r.name))))

    def supersede(self, old: ShardRecord, new: ShardRecord) -> None:
        """Let the manifest name `new`, which has just been written, instead of `old`, and remove that file."""
        shards = [new if record.name == old.name else record for record in self.manifest.shards]
        provenance = [
            {**entry, "shards": [new.name if name == old.name else name for name in entry["shards"]]}
            for entry in self.manifest.provenance
        ]
        ordered = tuple(sorted(shards, key=lambda r: r.name))
        self._write(replace(self.manifest, shards=ordered, provenance=tuple(provenance)))
        (self.root / SHARDS / old.name).unlink(missing_ok=True)

    def finish(self, source: Mapping[str, Any]) -> None:
        """Let the manifest tell where the shards `source["shards"]` come from, and what was dropped on the way."""
        mine = set(map(planned_name, source["shards"]))
        others = [entry for entry in self.manifest.provenance if not mine & set(map(planned_name, entry["shards"]))]
        provenance = tuple(sorted([*others, dict(source)], key=lambda entry: (entry["name"], entry["key"])))
        drops: dict[str, int] = {}
        for entry in provenance:
            for reason, count in entry["drops"].items():
                drops[reason] = drops.get(reason, 0) + count
        self._write(replace(self.manifest, provenance=provenance, drops=dict(sorted(drops.items()))))
        write_card(self.root, self.manifest)
        self.claimed = [name for name in self.claimed if name not in mine]

    def take_back(self) -> None:
        """Remove the shards of the source that could not be completed."""
        kept = tuple(record for record in self.manifest.shards if record.name not in self.claimed)
        if kept or not self.new:
            self._write(replace(self.manifest, shards=kept))
        else:
            (self.root / MANIFEST).unlink(missing_ok=True)
        for name in self.claimed:
            (self.root / SHARDS / name).unlink(missing_ok=True)
        self.claimed.clear()

    def intact(self, record: ShardRecord) -> bool:
        """Whether the file of a shard is the very one that its record speaks of."""
        path = self.root / SHARDS / record.name
        return path.is_file() and path.stat().st_size == record.bytes and file_sha256(path) == record.sha256

    def _write(self, manifest: Manifest) -> None:
        self.manifest = manifest
        write_manifest(self.root, manifest)


@contextlib.contextmanager
def open_writer(
    root: Path, config: Mapping[str, Any], calibration: Mapping[str, Any] | None
) -> Iterator[DatasetWriter]:
    """Open DATASET to add to it; it is made where it does not exist, and unmade where nothing came into it.

    Raises DatasetError where `root` holds something else, was built with another configuration, or is being written
    by another process.
    """
    new = not (root / MANIFEST).exists()
    _prepare(root)
    with _locked(root / SHARDS):
        try:
            writer = DatasetWriter(root, _manifest_for(root, dict(config), calibration), new)
            with _taking_back(writer):
                yield writer
        finally:
            _clean(root)


@contextlib.contextmanager
def reopen_writer(root: Path) -> Iterator[DatasetWriter]:
    """Open a dataset to replace shards in it. Raises DatasetError where there is none, or where another process is
    writing to it.
    """
    read_manifest(root)
    with _locked(root / SHARDS):
        try:
            writer = DatasetWriter(root, read_manifest(root), new=False)
            yield writer
            write_card(root, writer.manifest)  # also where nothing was left to do: the last run may have been killed
        finally:
            _clean(root)


@contextlib.contextmanager
def _taking_back(writer: DatasetWriter) -> Iterator[None]:
    """Take back what came from faulty input; what a full disk or an interruption stopped stays, to be gone on with."""
    try:
        yield
    except HeatNetError as error:
        if type(error) is not HeatNetError:
            writer.take_back()
        raise


def _prepare(root: Path) -> None:
    if root.exists() and not (root / MANIFEST).exists() and (not root.is_dir() or _foreign(root)):
        raise DatasetError(f"{root}: exists and is no dataset ({MANIFEST} is missing); choose another folder")
    try:
        (root / SHARDS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HeatNetError(f"{root}: cannot be written ({error.strerror})") from error


def _foreign(root: Path) -> bool:
    """Whether something else lies in a folder than what a build leaves that is killed before its first manifest."""
    shards = root / SHARDS
    others = [path.name for path in root.iterdir() if path != shards or not path.is_dir()]
    inside = [path.name for path in shards.iterdir()] if shards.is_dir() else []
    ours = all(_unfinished(name) == MANIFEST for name in others)
    return not ours or not all(_SHARD.fullmatch(_unfinished(name) or name) for name in inside)


def _unfinished(name: str) -> str:
    """What a temporary file of that name was to become; empty for what is none of ours."""
    found = _TEMPORARY.fullmatch(name)
    return found[1] if found else ""


def _manifest_for(root: Path, config: dict[str, Any], calibration: Mapping[str, Any] | None) -> Manifest:
    known = None if calibration is None else dict(calibration)
    if not (root / MANIFEST).exists():
        return Manifest(config, known)
    manifest = read_manifest(root)
    if manifest.config != json.loads(json.dumps(config)):
        changed = sorted(k for k in {*config, *manifest.config} if config.get(k) != manifest.config.get(k))
        raise DatasetError(f"{root}: was built with another configuration ({', '.join(changed)}); use a new folder")
    if manifest.calibration is not None and known is not None:
        known = {**manifest.calibration, **known}
    return replace(manifest, calibration=known)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise DatasetError(f"{folder.parent}: another process is writing to this dataset") from error
        yield
    finally:
        os.close(descriptor)


def _clean(root: Path) -> None:
    """Remove what a killed process left, and the folders where nothing came into them."""
    named = _named(root)
    planned = set(map(planned_name, named))
    for path in (root / SHARDS).glob("*.h5"):
        if path.name not in named and planned_name(path.name) in planned:  # with labels instead of without, or so
            path.unlink(missing_ok=True)
    for path in (root / SHARDS).glob(".*.tmp"):
        name = _unfinished(path.name)
        if _SHARD.fullmatch(name) or planned_name(name) in planned:
            path.unlink(missing_ok=True)
    for path in root.glob(".*.tmp"):
        if _unfinished(path.name) in (MANIFEST, CARD):
            path.unlink(missing_ok=True)
    if not (root / MANIFEST).exists():
        with contextlib.suppress(OSError):
            (root / SHARDS).rmdir()
            root.rmdir()


def _named(root: Path) -> set[str]:
    """The shards that the manifest names; none where it cannot be read."""
    try:
        return {record.name for record in read_manifest(root).shards}
    except DatasetError:
        return set()
