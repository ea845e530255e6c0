"""Whoever does the work, and whoever dies at it: the same bytes."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flat_street import MIDNIGHT_NS, make_recording, make_rig, write_calibration
from test_build import CONFIG, contents

from heatnet.dataset_tools import build, tasks
from heatnet.dataset_tools.build import build_dataset
from heatnet.dataset_tools.shards import Dataset
from heatnet.dataset_tools.tasks import Crew
from heatnet.errors import DatasetError, HeatNetError

FRAMES = 6


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    day = make_recording(tmp_path_factory.mktemp("day"), frames=FRAMES)
    night = make_recording(tmp_path_factory.mktemp("night"), frames=FRAMES, start_ns=MIDNIGHT_NS, labelled=False)
    return [day, night]


@pytest.fixture(scope="module")
def rig_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_calibration(tmp_path_factory.mktemp("rig") / "calibration.yaml")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "samples_per_shard", lambda height, width: 1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="needs the extra cluster")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1", silence_logs=50
    ) as made:
        yield made


@pytest.fixture(scope="module")
def alone(drives: list[Path], rig_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process makes."""
    root = tmp_path_factory.mktemp("alone") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "samples_per_shard", lambda height, width: 1)
        build_dataset(drives, rig_file, root, CONFIG)
    return contents(root)


def kill_one_after_the_first_shard(cluster: Any, root: Path) -> threading.Thread:
    """A worker dies in the middle of what it does."""

    def wait_and_kill() -> None:
        deadline = time.monotonic() + 60
        while not list((root / "shards").glob("*.h5")) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

    thread = threading.Thread(target=wait_and_kill)
    thread.start()
    return thread


def test_a_cluster_that_loses_a_worker_gives_the_same_bytes_as_one_process(
    drives: list[Path], rig_file: Path, alone: dict[str, bytes], cluster: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Its workers were started elsewhere: paths are given relative to here."""
    monkeypatch.chdir(tmp_path)
    relative = [Path(os.path.relpath(drive, tmp_path)) for drive in drives]
    killer = kill_one_after_the_first_shard(cluster, tmp_path / "out")
    summary = build_dataset(relative, rig_file, Path("out"), CONFIG, Crew(cluster=cluster.scheduler_address))
    killer.join()
    assert contents(tmp_path / "out") == alone
    assert sum(row["samples"] for row in summary.rows) == 2 * FRAMES


def test_what_is_wrong_with_the_input_is_told_by_the_cluster_too(cluster: Any, tmp_path: Path) -> None:
    drive = make_recording(tmp_path / "in", frames=3)
    rig = make_rig()
    small = replace(rig.thermal[0], camera=replace(rig.thermal[0].camera, resolution=(232, 96)))
    rig_file = write_calibration(tmp_path / "rig.yaml", rig.with_camera(small))
    with pytest.raises(DatasetError, match=r"/ir_left at \d+ ns is 240x96; the rig file says 232x96"):
        build_dataset([drive], rig_file, tmp_path / "out", CONFIG, Crew(cluster=cluster.scheduler_address))
    assert not (tmp_path / "out").exists()


def test_without_a_scheduler_there_is_one_message(drives: list[Path], rig_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs the extra cluster")
    from heatnet.dataset_tools import cluster as module

    with pytest.MonkeyPatch.context() as patch, pytest.raises(HeatNetError, match="no Dask scheduler answers"):
        patch.setattr(module, "CONNECT_S", 0.5)
        build_dataset(drives, rig_file, tmp_path / "out", CONFIG, Crew(cluster="tcp://127.0.0.1:9"))


def test_several_processes_share_several_recordings_and_give_the_same_bytes(
    drives: list[Path], rig_file: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    build_dataset(drives, rig_file, tmp_path / "out", CONFIG, Crew(workers=2))
    assert contents(tmp_path / "out") == alone


def test_a_process_that_dies_costs_a_retry_not_the_build(
    drives: list[Path], rig_file: Path, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "do_task", die)
    build_dataset(drives, rig_file, tmp_path / "out", CONFIG, Crew(workers=2))
    assert contents(tmp_path / "out") == alone


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_recording_at_fault_takes_back_only_what_it_brought(rig_file: Path, tmp_path: Path) -> None:
    good = make_recording(tmp_path / "good", frames=2)
    bad = make_recording(tmp_path / "bad", frames=2, start_ns=MIDNIGHT_NS)
    maps = {stamp: np.full_like(label, 99) for stamp, label in np.load(tmp_path / "bad/labels.npz").items()}
    np.savez(tmp_path / "bad/labels.npz", **maps)
    with pytest.raises(DatasetError, match="label id 99"):
        build_dataset([good, bad], rig_file, tmp_path / "out", CONFIG)
    dataset = Dataset.open(tmp_path / "out")
    assert len([dataset.read(ref, check=True) for ref in dataset.refs()]) == 2
    assert len(list((tmp_path / "out/shards").iterdir())) == 2
    assert [entry["name"] for entry in dataset.manifest.provenance] == ["drive.bag"]


def test_a_recording_under_two_names_counts_once(drives: list[Path], rig_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.bag"
    copy.write_bytes(drives[1].read_bytes())
    with pytest.raises(DatasetError, match=r"copy\.bag: the same recording as .*drive\.bag"):
        build_dataset([drives[1], copy], rig_file, tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()
