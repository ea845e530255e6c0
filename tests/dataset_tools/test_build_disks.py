"""Disks that are full, that may not be written, that lose what is read from: one message, and what was done stays."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flat_street import make_recording, write_calibration
from test_build import CONFIG, contents

from heatnet.dataset_tools import build
from heatnet.dataset_tools.build import build_dataset
from heatnet.dataset_tools.shards import Dataset
from heatnet.errors import HeatNetError

BUILD = """
import resource, signal, sys
from pathlib import Path
from heatnet.dataset_tools import build
from heatnet.dataset_tools.align import GridConfig
from heatnet.errors import HeatNetError
build.samples_per_shard = lambda height, width: int(sys.argv[4])
if int(sys.argv[5]):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[5]),) * 2)
try:
    config = build.BuildConfig(grid=GridConfig(240))
    build.build_dataset([Path(sys.argv[1])], Path(sys.argv[2]), Path(sys.argv[3]), config)
except HeatNetError as error:
    print(error)
    sys.exit(1)
"""


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("drive"), frames=6)


@pytest.fixture(scope="module")
def rig_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_calibration(tmp_path_factory.mktemp("rig") / "calibration.yaml")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of its own with room for three shards of one sample."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=460k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small filesystem")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def run(
    drive: Path, rig_file: Path, out: Path, per_shard: int = 1, largest_file: int = 0
) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", BUILD, *map(str, (drive, rig_file, out, per_shard, largest_file))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def whole(root: Path) -> int:
    """How many samples there are, all of them whole, and nothing half-written beside them."""
    dataset = Dataset.open(root)
    named = {record.name for record in dataset.manifest.shards}
    assert {path.name for path in (root / "shards").iterdir()} == named
    assert not list(root.glob(".*"))
    return len([dataset.read(ref, check=True) for ref in dataset.refs()])


def test_a_disk_that_gets_full_keeps_finished_shards_and_the_build_goes_on_elsewhere(
    drive: Path, rig_file: Path, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(drive, rig_file, small_disk / "out")
    assert result.returncode == 1 and "No space left on device" in result.stdout, result.stderr
    assert len(result.stdout.splitlines()) == 1 and not result.stderr
    assert 1 <= whole(small_disk / "out") < 6
    shutil.copytree(small_disk / "out", tmp_path / "larger")
    monkeypatch.setattr(build, "samples_per_shard", lambda height, width: 1)
    build_dataset([drive], rig_file, tmp_path / "larger", CONFIG)
    build_dataset([drive], rig_file, tmp_path / "undisturbed", CONFIG)
    assert contents(tmp_path / "larger") == contents(tmp_path / "undisturbed")


def test_a_file_that_may_not_grow_is_a_full_disk(drive: Path, rig_file: Path, tmp_path: Path) -> None:
    result = run(drive, rig_file, tmp_path / "out", per_shard=4, largest_file=250_000)
    assert result.returncode == 1 and "cannot be written (File too large)" in result.stdout, result.stderr
    assert len(result.stdout.splitlines()) == 1 and not result.stderr
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_disk_that_may_not_be_written_is_named(drive: Path, rig_file: Path, small_disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(HeatNetError, match=r"out: cannot be written \(Read-only file system\)"):
        build_dataset([drive], rig_file, small_disk / "out", CONFIG)


def test_a_dataset_on_a_disk_that_may_not_be_written_is_read_and_not_added_to(
    drive: Path, rig_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "disk" / "out"
    if os.geteuid() != 0:
        pytest.skip("needs the right to mount")
    build_dataset([drive], rig_file, root, CONFIG)
    bind = subprocess.run(["mount", "--bind", "-o", "ro", str(root), str(root)], capture_output=True, check=False)
    if bind.returncode:
        pytest.skip("needs the right to mount")
    try:
        assert not os.access(root, os.W_OK)
        assert whole(root) == 6
        other = make_recording(tmp_path / "other", frames=2, start_ns=1_600_000_000 * 10**9)
        with pytest.raises(HeatNetError, match="Read-only file system"):
            build_dataset([other], rig_file, root, CONFIG)
        assert whole(root) == 6
    finally:
        subprocess.run(["umount", str(root)], check=True)


@pytest.mark.parametrize("how", ["removed", "cut"])
def test_an_input_that_goes_away_halfway_is_told_and_finished_recordings_stay(
    drive: Path, rig_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    build_dataset([drive], rig_file, tmp_path / "out", CONFIG)
    before = contents(tmp_path / "out")
    going = make_recording(tmp_path / "going", frames=6, start_ns=1_600_000_000 * 10**9)
    claim = build._Job.of

    def and_then(*arguments: object) -> object:
        job = claim(*arguments)  # type: ignore[arg-type]
        if how == "removed":
            going.unlink()
        else:
            os.truncate(going, going.stat().st_size // 2)
        return job

    monkeypatch.setattr(build._Job, "of", staticmethod(and_then))
    with pytest.raises(HeatNetError, match=r"going/drive\.bag"):
        build_dataset([going], rig_file, tmp_path / "out", CONFIG)
    assert contents(tmp_path / "out") == before


def test_two_builds_at_once_into_one_folder_one_is_told(drive: Path, rig_file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILD, *map(str, (drive, rig_file, tmp_path / "out", 1, 0))]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate()[0] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 0], [0, 1])  # one may have ended before the other began
    assert all(not text or "another process is writing to this dataset" in text for text in told)
    assert whole(tmp_path / "out") == 6
