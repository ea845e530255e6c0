"""A build that is killed at any moment goes on to the very bytes of one that nobody disturbed."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from flat_street import make_recording, write_calibration
from test_build import contents

from heatnet.dataset_tools.shards import Dataset
from heatnet.errors import DatasetError

BUILD = """
import sys
from pathlib import Path
from heatnet.dataset_tools import build
from heatnet.dataset_tools.align import GridConfig
build.samples_per_shard = lambda height, width: 1
print("begun", flush=True)
config = build.BuildConfig(grid=GridConfig(240))
build.build_dataset([Path(sys.argv[1])], Path(sys.argv[2]), Path(sys.argv[3]), config)
"""


def start(recording: Path, rig_file: Path, output: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD, str(recording), str(rig_file), str(output)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    return process


def readable(root: Path) -> int:
    """How many samples a dataset gives that a killed build left; each of them whole."""
    try:
        dataset = Dataset.open(root)
    except DatasetError as error:
        assert "no dataset there" in str(error)
        return 0
    return len([dataset.read(ref, check=True) for ref in dataset.refs()])


@pytest.mark.parametrize("kills", [1, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_and_resumed_gives_the_same_bytes(tmp_path: Path, kills: int) -> None:
    recording = make_recording(tmp_path / "in", frames=12)
    rig_file = write_calibration(tmp_path / "rig.yaml")
    undisturbed = start(recording, rig_file, tmp_path / "whole")
    begun = time.monotonic()
    assert undisturbed.wait() == 0
    duration = time.monotonic() - begun
    whole = contents(tmp_path / "whole")
    rng = random.Random(0)
    seen = set()
    for i in range(kills):
        process = start(recording, rig_file, tmp_path / f"out{i}")
        time.sleep(rng.uniform(0, duration))
        process.kill()
        process.wait()
        seen.add(readable(tmp_path / f"out{i}"))
        assert start(recording, rig_file, tmp_path / f"out{i}").wait() == 0
        assert contents(tmp_path / f"out{i}") == whole
    assert len(seen) > 1 or kills < 10


def test_a_build_killed_while_it_writes_its_first_manifest_goes_on(tmp_path: Path) -> None:
    recording, rig_file = make_recording(tmp_path / "in", frames=2), write_calibration(tmp_path / "rig.yaml")
    for name in ("whole", "out"):
        if name == "out":
            (tmp_path / name / "shards").mkdir(parents=True)
            (tmp_path / name / ".manifest.json.4711.tmp").write_text("{")
        assert start(recording, rig_file, tmp_path / name).wait() == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
