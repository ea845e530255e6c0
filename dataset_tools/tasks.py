"""The work of a build in portions that any process can do: shards of one recording, in one pass over it.

`do_task` is what does a portion, in this process, in others on this machine, or on a cluster. A portion is the same
bytes whoever does it, and doing it again does no harm; so a lost worker costs a portion, not the build.
"""

import multiprocessing
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from heatnet.calib.rig import Rig
from heatnet.dataset_tools.align import GridConfig
from heatnet.dataset_tools.codecs import Compression
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
    right: bool = False
    compression: Compression = "none"

    def make(self) -> SampleMaker:
        """The maker itself, its maps computed. Raises DatasetError where the rig lacks what was asked for."""
        maker = SampleMaker.of(self.rig, self.grid, self.depth, self.plane_m, self.thermal_camera)
        return maker.with_right() if self.right else maker


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
    compression: Compression = "none"


@dataclass(frozen=True)
class Crew:
    """Who does the work."""

    workers: int = 1  # processes on this machine
    cluster: str | None = None  # the address of a Dask scheduler, whose workers see the same files


@dataclass
class _Open:
    """A shard whose samples are coming in."""

    plan: ShardPlan
    samples: dict[int, Sample] = field(default_factory=dict)
    missing: int = 0


def divide(task: Task, crew: Crew) -> list[Task]:
    """A task for each worker, each of shards that follow each other; a shard a task for a cluster of unknown size."""
    count = len(task.shards)
    parts = min(crew.workers, count) if crew.cluster is None else count
    cuts = [count * i // parts for i in range(parts + 1)] if parts else [0]
    return [replace(task, shards=task.shards[a:b]) for a, b in pairwise(cuts)]


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
            yield write_shard(task.root, shard.plan.name, samples, shard.plan.info, task.compression)


Progress: TypeAlias = tuple[Task, ShardRecord | None]  # what was made of a task; None: the task is done


def run_tasks(tasks: Sequence[Task], config: MakerConfig, maker: SampleMaker, crew: Crew) -> Iterator[Progress]:
    """Do the tasks and yield the records as they come, None after the last of each; what all workers lost is done here.

    Raises HeatNetError where the input of a task is at fault.
    """
    if crew.cluster is not None and tasks:
        from heatnet.dataset_tools.cluster import run_on_cluster

        lost = yield from run_on_cluster(tasks, config, crew.cluster)
    elif crew.workers > 1 and len(tasks) > 1:
        lost = yield from _run_in_processes(tasks, config, crew.workers)
    else:
        lost = list(tasks)
    for task in lost:
        for record in build_recording(task, maker, progress=True):
            yield task, record
        yield task, None


def do_task(task: Task, config: MakerConfig) -> list[ShardRecord]:
    """Make the shards of a task in a process that knows nothing of it."""
    return list(build_recording(task, config.make()))


def _run_in_processes(
    tasks: Sequence[Task], config: MakerConfig, workers: int
) -> Generator[Progress, None, list[Task]]:
    lost = []
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(do_task, task, config): task for task in tasks}
        try:
            for future in track(as_completed(futures), "build", len(futures)):
                task = futures[future]
                try:
                    records = future.result()
                except BrokenProcessPool:
                    lost.append(task)
                else:
                    yield from ((task, record) for record in (*records, None))
        finally:
            pool.shutdown(cancel_futures=True)  # where one input is at fault, the others need not be computed
    return lost
