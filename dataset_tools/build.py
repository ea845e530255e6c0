"""From recordings to a dataset: synchronised, aligned, split, in shards."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from heatnet.calib.camchain import read_rig
from heatnet.calib.rig import Rig
from heatnet.dataset_tools.align import GridConfig
from heatnet.dataset_tools.manifest import DOMAINS, SPLITS
from heatnet.dataset_tools.plan import PlanConfig, RecordingPlan, plan_recording
from heatnet.dataset_tools.samples import DepthChoice, SampleMaker, read_sets
from heatnet.dataset_tools.shards import Sample, ShardInfo, ShardRecord, samples_per_shard, write_shard
from heatnet.dataset_tools.splits import SplitConfig, assign_splits, drive_ranges
from heatnet.dataset_tools.sun import Twilight
from heatnet.dataset_tools.writer import DatasetWriter, content_key, file_sha256, open_writer
from heatnet.errors import DatasetError, RecordingError
from heatnet.progress import track

BUILD_VERSION = 1  # raise when the same input would give other bytes


@dataclass(frozen=True)
class BuildConfig:
    """How recordings become samples. `split` and `domain` are of the recordings, the rest is of the whole dataset."""

    split: Literal["auto", "train", "val", "test"] = "auto"
    domain: Literal["day", "night"] | None = None  # None: by the sun
    twilight: Twilight = "day"
    depth: DepthChoice = "auto"
    plane_m: float = 15.0  # distance of the plane that depth "plane" puts everything on
    grid: GridConfig = field(default_factory=GridConfig)
    splits: SplitConfig = field(default_factory=SplitConfig)
    thermal_camera: str | None = None
    tolerance_ms: float | None = None
    thermal_range: tuple[float, float] = (21800.0, 25000.0)

    def of_dataset(self) -> dict[str, Any]:
        """What every recording of one dataset must have in common."""
        values = asdict(self)
        return {"command": "build-dataset", **{k: v for k, v in values.items() if k not in ("split", "domain")}}


@dataclass(frozen=True)
class BuildSummary:
    """What came of each recording."""

    rows: tuple[dict[str, Any], ...]  # recording, split, domain, labelled, samples
    drops: dict[str, int]  # frames by reason, of the recordings of this build

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {"samples": list(self.rows), "drops": self.drops}


@dataclass(frozen=True)
class _ShardPlan:
    name: str
    info: ShardInfo
    rows: tuple[int, ...]  # sets of the recording


@dataclass
class _Open:
    """A shard whose samples are coming in."""

    plan: _ShardPlan
    samples: dict[int, Sample] = field(default_factory=dict)
    missing: int = 0


def build_dataset(recordings: Sequence[Path], calibration: Path, output: Path, config: BuildConfig) -> BuildSummary:
    """Add `recordings` to the dataset `output`, with the cameras of the rig file `calibration`.

    Run again, it does nothing; stopped, it goes on. Raises HeatNetError with one clear message where an input is at
    fault (what that recording had brought is taken back) or the disk refuses (finished shards stay).
    """
    _check(recordings, config)
    rig = read_rig(calibration)
    maker = SampleMaker.of(rig, config.grid, config.depth, config.plane_m, config.thermal_camera)
    plans = _plans(recordings, rig, config, maker.stereo is not None)
    rig_key = content_key(rig.document)[:12]
    grid = {"intrinsics": maker.grid.intrinsics.tolist(), "resolution": list(maker.grid.resolution)}
    summary: list[dict[str, Any]] = []
    drops: Counter[str] = Counter()
    with open_writer(output, {**config.of_dataset(), "grid_camera": grid}, {rig_key: rig.document}) as writer:
        for plan in plans:
            rows, reasons = _add_recording(writer, plan, maker, config, rig_key)
            summary += rows
            drops.update(reasons)
    return BuildSummary(tuple(summary), dict(sorted(drops.items())))


def _check(recordings: Sequence[Path], config: BuildConfig) -> None:
    if not recordings:
        raise DatasetError("no recordings to build a dataset from")
    if config.split not in ("auto", *SPLITS) or config.domain not in (None, *DOMAINS):
        raise DatasetError(f"split {config.split!r} or domain {config.domain!r} is unknown")


def _plans(recordings: Sequence[Path], rig: Rig, config: BuildConfig, stereo: bool) -> list[RecordingPlan]:
    tolerance = None if config.tolerance_ms is None else round(config.tolerance_ms * 1e6)
    how = PlanConfig(tolerance, config.domain, config.twilight, stereo, config.thermal_camera)
    plans = [plan_recording(path, rig, how) for path in track(recordings, "synchronise")]
    drives = drive_ranges([plan.range_ns for plan in plans])
    chosen = []
    for plan, drive in zip(plans, drives, strict=True):
        stamps = plan.stamps_ns["rgb"]
        fixed = np.full(len(stamps), config.split, dtype="U6")
        chosen.append(
            plan.with_splits(assign_splits(stamps, drive, config.splits) if config.split == "auto" else fixed)
        )
    return chosen


def _add_recording(
    writer: DatasetWriter, plan: RecordingPlan, maker: SampleMaker, config: BuildConfig, rig_key: str
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Bring one recording into the dataset; returns rows for the summary and drops by reason."""
    base = _recording_key(plan, config, rig_key)
    name = plan.path.name
    writer.refuse_other_key(name, plan.sha256, base)
    shards = list(_shard_plans(plan, maker, config, base))
    records = {shard.name: writer.claim(shard.name, shard.info.key) for shard in shards}
    pending = [shard for shard in shards if records[shard.name] is None]
    unread: Counter[str] = Counter()
    for record in build_recording(plan, maker, writer.root, pending, unread):
        writer.add(record)
        records[record.name] = record
    made = [record for record in records.values() if record is not None]
    if not made:
        raise RecordingError(f"{plan.path}: no sample could be made of it ({dict(unread) or plan.drops})")
    entry = next((e for e in writer.manifest.provenance if e.get("key") == base), None)
    drops = entry["drops"] if entry and not pending else dict(Counter(plan.drops) + unread)
    source = {"name": name, "sha256": plan.sha256, "key": base, "calibration": rig_key, "topics": plan.topics}
    writer.finish({**source, "split": config.split, "shards": [record.name for record in made], "drops": drops})
    return [_row(name, record) for record in made], drops


def _row(name: str, record: ShardRecord) -> dict[str, Any]:
    kind = {"split": record.split, "domain": record.domain, "labelled": record.label_source is not None}
    return {"recording": name, **kind, "samples": record.samples}


def _recording_key(plan: RecordingPlan, config: BuildConfig, rig_key: str) -> str:
    """All that the samples of a recording depend on."""
    labels = None if plan.labels is None else (file_sha256(plan.labels.path), plan.labels.source)
    sets = [plan.stamps_ns["rgb"].tolist(), plan.splits.tolist(), plan.domains.tolist()]
    return content_key(BUILD_VERSION, plan.sha256, labels, rig_key, config.of_dataset(), sets)


def _shard_plans(plan: RecordingPlan, maker: SampleMaker, config: BuildConfig, base: str) -> Iterator[_ShardPlan]:
    groups: dict[tuple[str, str, bool], list[int]] = {}
    for row, group in enumerate(zip(plan.domains, plan.splits, plan.labelled, strict=True)):
        groups.setdefault((str(group[0]), str(group[1]), bool(group[2])), []).append(row)
    width, height = maker.grid.resolution
    most = samples_per_shard(height, width)
    for (domain, split, labelled), rows in sorted(groups.items()):
        source = plan.labels.source if labelled and plan.labels else None
        stem = f"{plan.sequence}-{plan.sha256[:8]}_{domain}_{split}_{'labelled' if labelled else 'plain'}"
        for i in range(0, len(rows), most):
            part = tuple(rows[i : i + most])
            key = content_key(base, domain, split, source, part)
            info = ShardInfo(split, domain, plan.sequence, source, "counts", config.thermal_range, key)
            yield _ShardPlan(f"{stem}_{i // most:04d}.h5", info, part)


def build_recording(
    plan: RecordingPlan, maker: SampleMaker, root: Path, shards: Sequence[_ShardPlan], unread: Counter[str]
) -> Iterator[ShardRecord]:
    """Make the planned `shards` of one recording in a single pass over it and yield the record of each when written.

    Sets of which an image cannot be read are left out and counted in `unread`; a shard without a sample is not written.
    """
    opened = {row: shard for shard in (_Open(s, missing=len(s.rows)) for s in shards) for row in shard.plan.rows}
    for row, images in read_sets(plan, sorted(opened), unread):
        shard = opened[row]
        shard.missing -= 1
        if images is not None:
            shard.samples[row] = maker.sample(plan, row, images)
        if not shard.missing and shard.samples:
            samples = [shard.samples[r] for r in shard.plan.rows if r in shard.samples]
            shard.samples = {}
            yield write_shard(root, shard.plan.name, samples, shard.plan.info)
