"""A teacher's labels come into a dataset whole, only by day, and never in place of a human's."""

import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flat_street import make_recording, write_calibration
from numpy.typing import NDArray
from test_build import contents
from test_validate import make_sample

from heatnet.dataset_tools.align import GridConfig
from heatnet.dataset_tools.build import BuildConfig, build_dataset
from heatnet.dataset_tools.manifest import Manifest, write_manifest
from heatnet.dataset_tools.relabel import relabel
from heatnet.dataset_tools.shards import Dataset, Sample, ShardInfo, write_shard
from heatnet.dataset_tools.validate import validate_dataset
from heatnet.errors import DatasetError


@dataclass
class Bright:
    """Labels by the red channel; counts the images that it saw."""

    source: str = "bright@1"
    seen: int = 0
    stop_after: int = 10**9

    def __call__(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        if self.seen >= self.stop_after:
            raise KeyboardInterrupt
        self.seen += 1
        return rgb[..., 0] // 20, (rgb[..., 1] / 255).astype(np.float32)


def sample(i: int, **changes: Any) -> Sample:
    return make_sample(i, **{"label": None, **changes})


def make_dataset(root: Path) -> Path:
    kinds = {
        "a_day.h5": ShardInfo("train", "day", "drive", key="1"),
        "b_day.h5": ShardInfo("val", "day", "drive", key="2"),
        "c_hand.h5": ShardInfo("train", "day", "drive", "hand", key="3"),
        "d_night.h5": ShardInfo("train", "night", "drive", key="4"),
    }
    records = []
    for k, (name, info) in enumerate(kinds.items()):
        made = [make_sample(10 * k + i) if info.label_source else sample(10 * k + i) for i in range(2)]
        records.append(write_shard(root, name, made, info))
    source = {"name": "drive", "key": "k", "shards": list(kinds), "drops": {}}
    write_manifest(root, Manifest({"command": "build-dataset"}, provenance=(source,), shards=tuple(records)))
    return root


def test_day_gets_labels_with_confidence_and_all_else_stays_as_it_was(tmp_path: Path) -> None:
    root = make_dataset(tmp_path)
    before = contents(root)
    summary = relabel(root, Bright())
    assert summary["frames"] == {
        "kept, with labels not of a teacher": 2,
        "labelled": 4,
        "night, never touched": 2,
    }
    dataset = Dataset.open(root)
    refs = dataset.refs(domain="day", labelled=True)
    assert {ref.label_source for ref in refs} == {"hand", "teacher:bright@1"}
    for ref in refs:
        read = dataset.read(ref, check=True)
        if ref.label_source == "hand":
            assert read.confidence is None
            continue
        assert read.label is not None and np.array_equal(read.label, read.rgb[..., 0] // 20)
        assert read.confidence is not None and np.array_equal(read.confidence, read.rgb[..., 1])
        assert dataset.class_pixels([ref]).sum() == read.label.size
    after = contents(root)
    untouched = [name for name in before if "c_hand" in name or "d_night" in name]
    assert len(untouched) == 2 and all(after[name] == before[name] for name in untouched)
    assert not any(name in after for name in before if "_day.h5" in name)
    assert [p for p in validate_dataset(root) if p.severity == "error"] == []


def test_labelling_again_changes_nothing_and_another_teacher_replaces(tmp_path: Path) -> None:
    root = make_dataset(tmp_path)
    relabel(root, Bright())
    first, again = contents(root), Bright()
    assert relabel(root, again)["frames"]["labelled before"] == 4 and again.seen == 0
    assert contents(root) == first
    relabel(root, Bright("bright@2"))
    assert {ref.label_source for ref in Dataset.open(root).refs(labelled=True)} == {"hand", "teacher:bright@2"}
    assert len(list((root / "shards").iterdir())) == 4
    relabel(root, Bright())
    assert contents(root) == first


def test_labelling_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    relabel(make_dataset(tmp_path / "whole"), Bright())
    root = make_dataset(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        relabel(root, Bright(stop_after=3))
    half = Dataset.open(root)
    assert len([half.read(ref, check=True) for ref in half.refs()]) == 8
    assert len(half.refs(domain="day", labelled=True)) == 4
    rest = Bright()
    relabel(root, rest)
    assert rest.seen == 2 and contents(root) == contents(tmp_path / "whole")


def test_a_replaced_shard_that_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    root = make_dataset(tmp_path)
    old = (root / "shards/a_day.h5").read_bytes()
    relabel(root, Bright())
    first = contents(root)
    (root / "shards/a_day.h5").write_bytes(old)
    (root / "shards/.a_day.labels-00c0ffee.h5.4711.tmp").write_bytes(b"half")
    kept = [root / "shards" / name for name in ("foreign.h5", ".foreign.h5.4711.tmp")]
    for path in kept:
        path.write_bytes(b"kept")
    relabel(root, Bright())
    for path in kept:
        path.unlink()
    assert contents(root) == first


def test_building_again_keeps_the_labels_and_mends_what_is_lost(tmp_path: Path) -> None:
    drive = make_recording(tmp_path / "in", frames=3, labelled=False)
    rig_file = write_calibration(tmp_path / "rig.yaml")
    config = BuildConfig(grid=GridConfig(240))
    root = tmp_path / "out"
    build_dataset([drive], rig_file, root, config)
    plain = contents(root)
    relabel(root, Bright())
    labelled = contents(root)
    assert build_dataset([drive], rig_file, root, config).rows[0]["labelled"] and contents(root) == labelled
    (shard,) = (root / "shards").iterdir()
    shard.write_bytes(shard.read_bytes()[:-1])
    build_dataset([drive], rig_file, root, config)
    assert contents(root) == plain
    relabel(root, Bright())
    assert contents(root) == labelled


@pytest.mark.parametrize("wrong", ["size", "class"])
def test_a_teacher_that_answers_nonsense_is_refused(tmp_path: Path, wrong: str) -> None:
    root = make_dataset(tmp_path)
    before = contents(root)

    class Wrong(Bright):
        def __call__(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
            label, confidence = super().__call__(rgb)
            return (label[:-1], confidence[:-1]) if wrong == "size" else (label + 14, confidence)

    with pytest.raises(DatasetError, match=r"bright@1: label"):
        relabel(root, Wrong())
    assert contents(root) == before


def test_an_altered_shard_is_not_labelled(tmp_path: Path) -> None:
    root = make_dataset(tmp_path)
    path = root / "shards/a_day.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"a_day\.h5"):
        relabel(root, Bright())


LABEL = """
import sys
from pathlib import Path
from test_relabel import Bright
from heatnet.dataset_tools.relabel import relabel
print("begun", flush=True)
relabel(Path(sys.argv[1]), Bright())
print("done", flush=True)
"""


@pytest.mark.slow
def test_labelling_killed_at_any_moment_leaves_a_dataset_and_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)

    def start(root: Path) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": here}
        command = [sys.executable, "-c", LABEL, str(root)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        return process

    begun = start(make_dataset(tmp_path / "whole"))
    clock = time.monotonic()
    assert begun.stdout is not None and begun.stdout.readline() == "done\n"
    duration = time.monotonic() - clock
    assert begun.wait() == 0
    rng = random.Random(0)
    for i in range(20):
        root = make_dataset(tmp_path / f"out{i}")
        process = start(root)
        time.sleep(rng.uniform(0, duration))
        process.kill()
        process.wait()
        dataset = Dataset.open(root)
        assert len([dataset.read(ref, check=True) for ref in dataset.refs()]) == 8
        assert start(root).wait() == 0
        assert contents(root) == contents(tmp_path / "whole")
