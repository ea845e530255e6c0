"""From recordings to a dataset: synchronised, aligned, split, in shards."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from heatnet.calib.rig import Rig
from heatnet.dataset_tools.align import GridConfig
from heatnet.dataset_tools.codecs import Compression
from heatnet.dataset_tools.digests import file_sha256
from heatnet.dataset_tools.lags import read_lag_ns
from heatnet.dataset_tools.leaks import refuse_leaks
from heatnet.dataset_tools.manifest import DOMAINS, SPLITS, planned_name
from heatnet.dataset_tools.plan import PlanConfig, RecordingPlan, plan_recording
from heatnet.dataset_tools.recorded_counts import dataset_range
from heatnet.dataset_tools.recording import read_recorded_rig, refuse_doubles
from heatnet.dataset_tools.samples import DepthChoice, SampleMaker, need
from heatnet.dataset_tools.shards import ShardInfo, ShardRecord, samples_per_shard
from heatnet.dataset_tools.splits import SplitConfig, assign_splits, drive_ranges
from heatnet.dataset_tools.sun import DomainConfig
from heatnet.dataset_tools.tasks import Crew, MakerConfig, ShardPlan, Task, divide, run_tasks
from heatnet.dataset_tools.writer import DatasetWriter, content_key, open_writer
from heatnet.errors import DatasetError, RecordingError
from heatnet.progress import track

BUILD_VERSION = 9  # raise when the same input would give other bytes
OF_RECORDING = ("split", "domain", "salvage")  # what recordings of one dataset may differ in


@dataclass(frozen=True)
class BuildConfig:
    """How recordings become samples. `split`, `domain` and `salvage` are of the recordings, the rest is of the
    whole dataset.
    """

    split: Literal["auto", "train", "val", "test"] = "auto"
    domain: Literal["day", "night"] | None = None  # None: by the sun
    sun: DomainConfig = field(default_factory=DomainConfig)
    depth: DepthChoice = "auto"
    plane_m: float = 15.0  # distance of the plane that depth "plane" puts everything on
    grid: GridConfig = field(default_factory=GridConfig)
    splits: SplitConfig = field(default_factory=SplitConfig)
    thermal_topics: tuple[str, ...] = ()  # that count as thermal, whatever their name says
    thermal_camera: str | None = None  # name in the rig file; None: the one nearest to the left RGB camera
    tolerance_ms: float | None = None
    salvage: bool = False  # use what can be read of a damaged recording
    compression: Compression = "none"
    right: bool = False  # also keep the right RGB image
    thermal_range: tuple[float, float] | None = None  # None: as the dataset has it, else by the first recording

    def of_dataset(self) -> dict[str, Any]:
        """What every recording of one dataset must have in common."""
        values = asdict(self)
        return {"command": "build-dataset", **{k: v for k, v in values.items() if k not in OF_RECORDING}}


@dataclass(frozen=True)
class BuildSummary:
    """What came of each recording."""

    rows: tuple[dict[str, Any], ...]  # recording, split, domain, labelled, samples
    drops: dict[str, int]  # frames by reason, of the recordings of this build

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {"samples": list(self.rows), "drops": self.drops}


def build_dataset(
    recordings: Sequence[Path], calibration: Path, output: Path, config: BuildConfig, crew: Crew | None = None
) -> BuildSummary:
    """Add `recordings` to the dataset `output`, with the cameras of the rig file `calibration`.

    Run again, it does nothing; stopped, it goes on; with a larger `crew` it gives the same bytes. Raises
    HeatNetError with one clear message where an input is at fault (what that recording had brought is taken back) or
    the disk refuses (finished shards stay).
    """
    _check(recordings, config)
    rig = read_recorded_rig(calibration, recordings[0], config.thermal_topics)
    how = MakerConfig(
        rig, config.grid, config.depth, config.plane_m, config.thermal_camera, config.right, config.compression
    )
    maker = how.make()
    lag_ns = read_lag_ns(calibration, maker.alignment.thermal)
    plans = _plans(recordings, rig, config, lag_ns)
    limits = config.thermal_range or dataset_range(output, plans[0])
    config = replace(config, thermal_range=limits)
    rig_key = content_key(how.rig.document)[:12]
    grid = {"intrinsics": maker.grid.intrinsics.tolist(), "resolution": list(maker.grid.resolution)}
    sources = [_Source(plan, _recording_key(plan, config, rig_key), rig_key, config.split, limits) for plan in plans]
    with open_writer(output, {**config.of_dataset(), "grid_camera": grid}, {rig_key: rig.document}) as writer:
        jobs = [_Job.of(writer, source, maker) for source in sources]
        _work(writer, jobs, maker, how, crew or Crew())
    drops = sum((Counter(job.source.drops(job.made)) for job in jobs), Counter[str]())
    rows = [_row(job.source.name, record) for job in jobs for record in job.made]
    return BuildSummary(tuple(rows), dict(sorted(drops.items())))


@dataclass(frozen=True)
class _Source:
    """One recording, with what its samples depend on."""

    plan: RecordingPlan
    key: str
    rig_key: str
    split: str  # as asked for
    thermal_range: tuple[float, float]

    @property
    def name(self) -> str:
        """Of the recording's file."""
        return self.plan.path.name

    def drops(self, records: Sequence[ShardRecord]) -> dict[str, int]:
        """Frames by the reason for which they are in none of the recording's shards."""
        unread = len(self.plan.splits) - sum(record.samples for record in records)
        return dict(+Counter({**self.plan.drops, "an image of the set cannot be read": unread}))

    def provenance(self, records: Sequence[ShardRecord]) -> dict[str, Any]:
        """The recording's entry in the manifest."""
        of = {"name": self.name, "hash": self.plan.digest, "key": self.key, "calibration": self.rig_key}
        how: dict[str, Any] = {
            "topics": self.plan.topics,
            "thermal_lag_ns": self.plan.thermal_lag_ns,
            "split": self.split,
            "depth_from": self.plan.depth_from,
        }
        rhythms = {role: found.as_dict() for role, found in self.plan.rhythms.items()}
        how |= {"tolerance_ns": self.plan.tolerance_ns, "rhythms": rhythms}
        return {**of, **how, "shards": [record.name for record in records], "drops": self.drops(records)}


def _check(recordings: Sequence[Path], config: BuildConfig) -> None:
    if not recordings:
        raise DatasetError("no recordings to build a dataset from")
    refuse_doubles(recordings)
    if config.split not in ("auto", *SPLITS) or config.domain not in (None, *DOMAINS):
        raise DatasetError(f"split {config.split!r} or domain {config.domain!r} is unknown")
    _check_numbers(config)
    if config.sun.day_above_deg < config.sun.night_below_deg:
        raise DatasetError(
            f"day above {config.sun.day_above_deg:g} and night below {config.sun.night_below_deg:g} overlap"
        )
    if not sum(config.splits.fractions):
        raise DatasetError("the fractions of train, val and test are all 0")


def _check_numbers(config: BuildConfig) -> None:
    """Refuse what no comparison and no manifest can hold, before it costs a build."""
    shares = {f"fraction of {name}": (share, 0.0) for name, share in zip(SPLITS, config.splits.fractions, strict=True)}
    at_least = {
        "tolerance in ms": (config.tolerance_ms or 0.0, 0.0),
        "distance of the plane in m": (config.plane_m, 0.1),
        "day above, in degrees,": (config.sun.day_above_deg, -90.0),
        "night below, in degrees,": (config.sun.night_below_deg, -90.0),
        **shares,
    }
    for name, (value, least) in at_least.items():
        if not least <= value < math.inf:
            raise DatasetError(f"{name} is {value:g}; a finite number of at least {least:g} is needed")
    low, high = config.thermal_range or (0.0, 1.0)
    if not -math.inf < low < high < math.inf:
        raise DatasetError(f"a thermal range from {low:g} to {high:g} is none; two finite numbers that rise are needed")


def _plans(recordings: Sequence[Path], rig: Rig, config: BuildConfig, lag_ns: int) -> list[RecordingPlan]:
    tolerance = None if config.tolerance_ms is None else round(config.tolerance_ms * 1e6)
    how = PlanConfig(
        tolerance, config.domain, config.sun, "yes" if config.right else need(config.depth, "stereo"), lag_ns,
        config.thermal_camera, config.salvage, need(config.depth, "lidar"),
    )  # fmt: skip
    plans = [plan_recording(path, rig, how) for path in track(recordings, "synchronise")]
    _refuse_copies(plans)
    drives = drive_ranges([plan.range_ns for plan in plans])
    chosen = []
    for plan, drive in zip(plans, drives, strict=True):
        stamps = plan.stamps_ns["rgb"]
        fixed = np.full(len(stamps), config.split, dtype="U6")
        chosen.append(
            plan.with_splits(assign_splits(stamps, drive, config.splits) if config.split == "auto" else fixed)
        )
    return chosen


def _refuse_copies(plans: Sequence[RecordingPlan]) -> None:
    first: dict[str, RecordingPlan] = {}
    for plan in plans:
        other = first.setdefault(plan.digest, plan)
        if other is not plan:
            raise DatasetError(f"{plan.path}: the same recording as {other.path}; each counts once")


@dataclass
class _Job:
    """One recording on its way into the dataset."""

    source: _Source
    records: dict[str, ShardRecord]  # of its shards that are in place, by the name they were planned with
    pending: tuple[ShardPlan, ...]
    waiting: int = 0  # tasks that are not done

    @staticmethod
    def of(writer: DatasetWriter, source: _Source, maker: SampleMaker) -> "_Job":
        """Claim the shards of a recording. Raises DatasetError where it is in the dataset already in another way."""
        plan = source.plan
        writer.refuse_other_key(source.name, plan.digest, source.key)
        shards = list(_shard_plans(source, maker))
        _refuse_leaks(writer, plan, {shard.name for shard in shards})
        known = {shard.name: writer.claim(shard.name, shard.info.key) for shard in shards}
        records = {name: record for name, record in known.items() if record is not None}
        return _Job(source, records, tuple(shard for shard in shards if shard.name not in records))

    @property
    def made(self) -> list[ShardRecord]:
        """The records of its shards, in order."""
        return [self.records[name] for name in sorted(self.records)]


def _work(writer: DatasetWriter, jobs: Sequence[_Job], maker: SampleMaker, how: MakerConfig, crew: Crew) -> None:
    """Make what is pending, all recordings at once, and finish each recording when its last task is done."""
    job_of = {job.source.plan.path: job for job in jobs}
    tasks = []
    for job in jobs:
        mine = divide(Task(job.source.plan, job.pending, writer.root, how.compression), crew)
        job.waiting = len(mine)
        tasks += mine
        if not mine:
            _finish(writer, job)
    for task, record in run_tasks(tasks, how, maker, crew):
        job = job_of[task.plan.path]
        if record is not None:
            writer.add(record)
            job.records[record.name] = record
            continue
        job.waiting -= 1
        if not job.waiting:
            _finish(writer, job)


def _finish(writer: DatasetWriter, job: _Job) -> None:
    if not job.records:
        plan = job.source.plan
        raise RecordingError(f"{plan.path}: no image of its {len(plan.splits)} sets can be read")
    writer.finish(job.source.provenance(job.made))


def _refuse_leaks(writer: DatasetWriter, plan: RecordingPlan, own: set[str]) -> None:
    others = [record for record in writer.manifest.shards if planned_name(record.name) not in own]
    frames = zip(plan.stamps_ns["rgb"].tolist(), plan.splits.tolist(), strict=True)
    refuse_leaks(writer.root, others, plan.path, frames)


def _row(name: str, record: ShardRecord) -> dict[str, Any]:
    kind = {"split": record.split, "domain": record.domain, "labelled": record.label_source is not None}
    return {"recording": name, **kind, "samples": record.samples}


def _recording_key(plan: RecordingPlan, config: BuildConfig, rig_key: str) -> str:
    """All that the samples of a recording depend on."""
    labels = None if plan.labels is None else (file_sha256(plan.labels.path), plan.labels.source)
    sets = [plan.thermal_lag_ns, plan.stamps_ns["rgb"].tolist(), plan.splits.tolist(), plan.domains.tolist()]
    return content_key(BUILD_VERSION, plan.digest, labels, rig_key, config.of_dataset(), sets)


def _shard_plans(source: _Source, maker: SampleMaker) -> Iterator[ShardPlan]:
    plan = source.plan
    groups: dict[tuple[str, str, bool], list[int]] = {}
    for row, group in enumerate(zip(plan.domains, plan.splits, plan.labelled, strict=True)):
        groups.setdefault((str(group[0]), str(group[1]), bool(group[2])), []).append(row)
    width, height = maker.grid.resolution
    most = samples_per_shard(height, width)
    for (domain, split, labelled), rows in sorted(groups.items()):
        labels = plan.labels.source if labelled and plan.labels else None
        stem = f"{plan.sequence}-{plan.digest[:8]}_{domain}_{split}_{'labelled' if labelled else 'plain'}"
        for i in range(0, len(rows), most):
            part = tuple(rows[i : i + most])
            key = content_key(source.key, domain, split, labels, part)
            info = ShardInfo(split, domain, plan.sequence, labels, "counts", source.thermal_range, key)
            yield ShardPlan(f"{stem}_{i // most:04d}.h5", info, part)
