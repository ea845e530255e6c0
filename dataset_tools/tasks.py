"""The work of a build in portions that any process can do: shards of one recording, in one pass over it."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from heatnet.calib.rig import Rig
from heatnet.dataset_tools.align import GridConfig
from heatnet.dataset_tools.plan import RecordingPlan
from heatnet.dataset_tools.samples import DepthChoice, SampleMaker, read_sets
from heatnet.dataset_tools.shards import Sample, ShardInfo, ShardRecord, write_shard
from heatnet.progress import track


@dataclass(frozen=True)
class MakerConfig:
    """What a process needs to make samples."""

    rig: Rig
    grid: GridConfig
    depth: DepthChoice
    plane_m: float
    thermal_camera: str | None

    def make(self) -> SampleMaker:
        """The maker itself, its maps computed. Raises DatasetError where the rig lacks what was asked for."""
        return SampleMaker.of(self.rig, self.grid, self.depth, self.plane_m, self.thermal_camera)


@dataclass(frozen=True)
class ShardPlan:
    """One shard that is to be made."""

    name: str
    info: ShardInfo
    rows: tuple[int, ...]  # sets of the recording


@dataclass(frozen=True)
class Task:
    """Shards of one recording."""

    plan: RecordingPlan
    shards: tuple[ShardPlan, ...]
    root: Path


@dataclass
class _Open:
    """A shard whose samples are coming in."""

    plan: ShardPlan
    samples: dict[int, Sample] = field(default_factory=dict)
    missing: int = 0


def divide(plan: RecordingPlan, shards: Sequence[ShardPlan], root: Path, workers: int) -> list[Task]:
    """At most `workers` tasks, each of shards that follow each other."""
    parts = min(workers, len(shards))
    cuts = [len(shards) * i // parts for i in range(parts + 1)] if parts else [0]
    return [Task(plan, tuple(shards[a:b]), root) for a, b in pairwise(cuts)]


def build_recording(task: Task, maker: SampleMaker, progress: bool = False) -> Iterator[ShardRecord]:
    """Make the shards of a task in a single pass over its recording and yield the record of each when written.

    Sets of which an image cannot be read are left out; a shard without a sample is not written.
    """
    opened = {row: shard for shard in (_Open(s, missing=len(s.rows)) for s in task.shards) for row in shard.plan.rows}
    sets = read_sets(task.plan, sorted(opened))
    for row, images in track(sets, task.plan.path.name, len(opened)) if progress else sets:
        shard = opened[row]
        shard.missing -= 1
        if images is not None:
            shard.samples[row] = maker.sample(task.plan, row, images)
        if not shard.missing and shard.samples:
            samples = [shard.samples[r] for r in shard.plan.rows if r in shard.samples]
            shard.samples = {}
            yield write_shard(task.root, shard.plan.name, samples, shard.plan.info)


def run_tasks(tasks: Sequence[Task], config: MakerConfig, maker: SampleMaker, workers: int) -> Iterator[ShardRecord]:
    """Do the tasks, in `workers` processes where that is more than one, and yield the records as they come.

    What a lost process had in hand is done again here.
    """
    lost = list(tasks)
    if workers > 1 and len(tasks) > 1:
        lost = []
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            futures = {pool.submit(_work, task, config): task for task in tasks}
            for future in track(as_completed(futures), "build", len(futures)):
                try:
                    yield from future.result()
                except BrokenProcessPool:
                    lost.append(futures[future])
    for task in lost:
        yield from build_recording(task, maker, progress=True)


def _work(task: Task, config: MakerConfig) -> list[ShardRecord]:
    return list(build_recording(task, config.make()))
