"""Is a dataset whole, unaltered, and fit to learn from?"""

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.digests import file_sha256
from heatnet.dataset_tools.leaks import LEAK_NS
from heatnet.dataset_tools.manifest import SHARDS, ShardRecord
from heatnet.dataset_tools.shards import IGNORE_ID, Dataset, Sample, SampleRef
from heatnet.dataset_tools.sun import DAY_ABOVE_DEG, NIGHT_BELOW_DEG
from heatnet.errors import DatasetError
from heatnet.progress import track

ALIKE = 0.98  # correlation of small grey pictures from which two frames count as one scene
_SMALL = (16, 8)


@dataclass(frozen=True)
class Problem:
    """Something wrong with a dataset: an error makes it unfit for use, a warning is worth a look."""

    severity: Literal["error", "warning"]
    where: str  # a file, or shard and sample
    what: str


@dataclass(frozen=True)
class _Print:
    """What is remembered of a sample to compare it with others."""

    ref: SampleRef
    where: str
    stamp_ns: int
    rgb: int  # CRC32
    thermal: int
    small: NDArray[np.float64]  # a small grey picture, zero mean and unit length


def validate_dataset(root: Path) -> list[Problem]:
    """Hash every shard, check every sample, and look for leaks between splits and for odd data.

    Errors come first; an empty list means that all is well. Raises DatasetError where there is no dataset, or one whose
    manifest cannot be used.
    """
    dataset = Dataset.open_lenient(root)
    problems = list(_stray_files(dataset)) + list(_unfinished(dataset))
    prints: list[_Print] = []
    for index, record in track(list(enumerate(dataset.manifest.shards)), "validate"):
        found = list(_check_file(dataset, record))
        problems += found
        if not found:
            problems += _check_samples(dataset, index, prints)
    problems += [*_leaks(prints, _sources(dataset)), *_doubles(prints), *_stuck(prints)]
    return sorted(problems, key=lambda p: p.severity != "error")


def _stray_files(dataset: Dataset) -> Iterator[Problem]:
    known = {record.name for record in dataset.manifest.shards}
    folder = dataset.root / SHARDS
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name not in known:
            yield Problem("warning", f"{SHARDS}/{path.name}", "not in the manifest")


def _unfinished(dataset: Dataset) -> Iterator[Problem]:
    complete = {name for entry in dataset.manifest.provenance for name in entry.get("shards", [])}
    for record in dataset.manifest.shards:
        if record.name not in complete:
            yield Problem("warning", record.name, "its recording was not finished; build it again to go on")


def _check_file(dataset: Dataset, record: ShardRecord) -> Iterator[Problem]:
    path = dataset.path(record)
    try:
        sha256 = file_sha256(path)
    except OSError as error:
        yield Problem("error", record.name, f"cannot be read ({error.strerror})")
        return
    if sha256 != record.sha256:
        yield Problem("error", record.name, "was altered: its SHA-256 is not the one in the manifest")
        return
    for name, found, needed in _attributes(path, record):
        if found != needed:
            yield Problem("error", record.name, f"attribute {name} is {found!r}, the manifest says {needed!r}")


def _attributes(path: Path, record: ShardRecord) -> list[tuple[str, object, object]]:
    try:
        with path.open("rb") as content, h5py.File(content, "r") as file:
            found = {name: file.attrs[name] for name in file.attrs}
    except (OSError, RuntimeError, KeyError) as error:
        return [("(all)", str(error)[:80], "a readable HDF5 file")]
    limits = tuple(float(v) for v in np.atleast_1d(found.pop("thermal_range", ())))
    names = ("domain", "split", "sequence", "label_source", "thermal_unit")
    rows: list[tuple[str, object, object]] = [(name, found.get(name), getattr(record, name)) for name in names]
    return [*rows, ("thermal_range", limits, tuple(record.thermal_range))]


def _check_samples(dataset: Dataset, index: int, prints: list[_Print]) -> Iterator[Problem]:
    for ref in dataset.shard_refs(index):
        where = f"{dataset.manifest.shards[index].name} sample {ref.row}"
        try:
            sample = dataset.read(ref, check=True)
        except DatasetError as error:
            yield Problem("error", where, str(error))
            return
        prints.append(_print(ref, where, sample))
        yield from (Problem(severity, where, what) for severity, what in _oddities(ref, sample))


def _oddities(ref: SampleRef, sample: Sample) -> Iterator[tuple[Literal["error", "warning"], str]]:
    if sample.label is not None and sample.label.max() > IGNORE_ID:
        yield "error", f"label id {sample.label.max()}; 0 to {IGNORE_ID} are needed"
    if sample.valid.max() > 1:
        yield "error", f"valid holds {sample.valid.max()}; 0 and 1 are needed"
    if not sample.valid.any():
        yield "warning", "thermal covers no pixel"
    elif np.ptp(sample.thermal[sample.valid > 0]) == 0:
        yield "warning", f"thermal is {sample.thermal[sample.valid > 0][0]} everywhere"
    if np.ptp(sample.rgb) == 0:
        yield "warning", f"RGB is {sample.rgb.flat[0]} everywhere"
    if sample.label is not None and (sample.label == IGNORE_ID).all():
        yield "warning", "labelled with nothing but ignore"
    elevation = sample.sun_elevation_deg
    if (ref.domain == "day" and elevation < NIGHT_BELOW_DEG) or (ref.domain == "night" and elevation > DAY_ABOVE_DEG):
        yield "warning", f"{ref.domain}, though the sun stood at {elevation:.1f} degrees"


def _print(ref: SampleRef, where: str, sample: Sample) -> _Print:
    small = cv2.resize(sample.rgb, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float64).mean(axis=2).ravel()
    small -= small.mean()
    rgb, thermal = (zlib.crc32(np.ascontiguousarray(image).data) for image in (sample.rgb, sample.thermal))
    return _Print(ref, where, sample.rgb_stamp_ns, rgb, thermal, small / max(float(np.linalg.norm(small)), 1e-9))


def _sources(dataset: Dataset) -> dict[int, tuple[object, str]]:
    """By shard, what it was made of and which drive it is of: within one of these there is one camera at a time."""
    of = {name: number for number, entry in enumerate(dataset.manifest.provenance) for name in entry.get("shards", [])}
    return {i: (of.get(r.name, r.name), r.sequence) for i, r in enumerate(dataset.manifest.shards)}


def _leaks(prints: list[_Print], sources: dict[int, tuple[object, str]]) -> Iterator[Problem]:
    """Frames of different splits that are a moment apart: of one drive, or of two where they look alike."""
    timed = sorted((p for p in prints if p.stamp_ns > 0), key=lambda p: p.stamp_ns)
    first = 0
    for i, late in enumerate(timed):
        while late.stamp_ns - timed[first].stamp_ns >= LEAK_NS:
            first += 1
        for early in timed[first:i]:
            one_drive = sources[early.ref.shard] == sources[late.ref.shard]
            if early.ref.split != late.ref.split and (one_drive or float(early.small @ late.small) > ALIKE):
                apart = (late.stamp_ns - early.stamp_ns) / 1e6
                what = f"{late.ref.split} leaks from {early.ref.split}: {early.where} is {apart:.0f} ms off"
                yield Problem("error", late.where, what)


def _doubles(prints: list[_Print]) -> Iterator[Problem]:
    for group in _groups(prints, lambda p: p.rgb):
        first = group[0]
        for other in group[1:]:
            if other.ref.split != first.ref.split:
                yield Problem("error", other.where, f"{other.ref.split} holds the very RGB image of {first.where}")
            else:
                yield Problem("warning", other.where, f"the same RGB image as {first.where}")


def _stuck(prints: list[_Print]) -> Iterator[Problem]:
    for group in _groups(prints, lambda p: p.thermal):
        for other in group[1:]:
            if other.rgb != group[0].rgb:
                yield Problem(
                    "warning", other.where, f"the same thermal image as {group[0].where}: the camera was stuck"
                )


def _groups(prints: list[_Print], key: Callable[[_Print], int]) -> Iterator[list[_Print]]:
    groups: dict[int, list[_Print]] = defaultdict(list)
    for entry in prints:
        groups[key(entry)].append(entry)
    return (group for group in groups.values() if len(group) > 1)
