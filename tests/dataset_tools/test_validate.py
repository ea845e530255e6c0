"""What is wrong with a dataset is found; what is well is left alone."""

import random
from pathlib import Path

import numpy as np
import pytest

from heatnet.dataset_tools.manifest import Manifest, ShardRecord, read_manifest, write_manifest
from heatnet.dataset_tools.shards import Sample, ShardInfo, write_shard
from heatnet.dataset_tools.validate import Problem, validate_dataset
from heatnet.errors import DatasetError

SECOND = 10**9
START = 1_565_258_400 * SECOND


def make_sample(i: int, scene: int | None = None, **changes: object) -> Sample:
    """Frame `i` at `i` seconds; frames of one scene look alike."""
    rng = np.random.default_rng(i)
    base = np.random.default_rng(1000 + (i if scene is None else scene)).integers(0, 200, (3, 4, 3))
    rgb = np.kron(base, np.ones((8, 8, 1))) + rng.integers(0, 20, (24, 32, 3))
    values: dict[str, object] = {
        "rgb": rgb.astype(np.uint8),
        "thermal": rng.integers(22_000, 24_000, (24, 32)).astype(np.uint16),
        "valid": np.ones((24, 32), np.uint8),
        "label": rng.integers(0, 13, (24, 32)).astype(np.uint8),
        "rgb_stamp_ns": START + i * SECOND,
        "thermal_stamp_ns": START + i * SECOND + 4_000_000,
        "sun_elevation_deg": 40.0,
    }
    return Sample(**{**values, **changes})  # type: ignore[arg-type]


def make_dataset(root: Path, splits: dict[str, list[Sample]], drives: tuple[str, ...] = ()) -> Path:
    """One shard a split, of one drive or of these."""
    named = drives or ("drive",) * len(splits)
    records = [
        write_shard(root, f"{split}.h5", samples, ShardInfo(split, "day", drive, "hand"))
        for (split, samples), drive in zip(splits.items(), named, strict=True)
    ]
    _write(root, records)
    return root


def _write(root: Path, records: list[ShardRecord]) -> None:
    source = {"name": "drive", "key": "k", "shards": [r.name for r in records], "drops": {}}
    write_manifest(root, Manifest(provenance=(source,), shards=tuple(records)))


def found(root: Path) -> list[tuple[str, str]]:
    return [(p.severity, p.what) for p in validate_dataset(root)]


def test_a_good_dataset_has_no_problems(tmp_path: Path) -> None:
    make_dataset(tmp_path, {"train": [make_sample(i) for i in range(4)], "val": [make_sample(9)]})
    assert validate_dataset(tmp_path) == []


def test_every_flipped_bit_in_a_shard_is_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, {"train": [make_sample(i) for i in range(3)]})
    path = tmp_path / "shards/train.h5"
    content = path.read_bytes()
    rng = random.Random(0)
    for _ in range(100):
        altered = bytearray(content)
        altered[rng.randrange(len(altered))] ^= 1 << rng.randrange(8)
        path.write_bytes(altered)
        assert [p.severity for p in validate_dataset(tmp_path)] == ["error"]
    path.write_bytes(content)
    assert validate_dataset(tmp_path) == []


@pytest.mark.slow
def test_a_thousand_flipped_bits_are_found_and_never_read(tmp_path: Path) -> None:
    from heatnet.dataset_tools.shards import Dataset

    samples = [make_sample(i) for i in range(3)]
    make_dataset(tmp_path, {"train": samples})
    manifest = read_manifest(tmp_path)
    path = tmp_path / "shards/train.h5"
    content = path.read_bytes()
    rng = random.Random(1)
    for _ in range(1000):
        altered = bytearray(content)
        altered[rng.randrange(len(altered))] ^= 1 << rng.randrange(8)
        path.write_bytes(altered)
        assert any(p.severity == "error" for p in validate_dataset(tmp_path))
        dataset = Dataset(tmp_path, manifest)
        for ref, sample in zip(dataset.refs(), samples, strict=True):
            try:
                read = dataset.read(ref, check=True)
            except DatasetError:
                continue
            assert np.array_equal(read.rgb, sample.rgb) and np.array_equal(read.thermal, sample.thermal)


def test_missing_cut_off_and_foreign_files_are_found(tmp_path: Path) -> None:
    make_dataset(tmp_path, {"train": [make_sample(0)], "val": [make_sample(9)]})
    (tmp_path / "shards/stray.h5").write_bytes(b"?")
    (tmp_path / "shards/val.h5").unlink()
    problems = validate_dataset(tmp_path)
    assert Problem("warning", "shards/stray.h5", "not in the manifest") in problems
    assert (problems[0].severity, problems[0].where) == ("error", "val.h5")


def test_an_altered_manifest_cannot_be_validated(tmp_path: Path) -> None:
    make_dataset(tmp_path, {"train": [make_sample(0)]})
    text = (tmp_path / "manifest.json").read_text()
    for i in random.Random(2).sample(range(len(text)), 60):
        (tmp_path / "manifest.json").write_text(text[:i] + chr(ord(text[i]) ^ 1) + text[i + 1 :])
        with pytest.raises(DatasetError):
            validate_dataset(tmp_path)


def test_a_recording_that_was_not_finished_is_told(tmp_path: Path) -> None:
    record = write_shard(tmp_path, "train.h5", [make_sample(0)], ShardInfo("train", "day", "drive", "hand"))
    write_manifest(tmp_path, Manifest(shards=(record,)))
    assert found(tmp_path) == [("warning", "its recording was not finished; build it again to go on")]


def test_attributes_must_say_what_the_manifest_says(tmp_path: Path) -> None:
    record = write_shard(tmp_path, "a.h5", [make_sample(0)], ShardInfo("train", "day", "drive", "hand"))
    _write(tmp_path, [ShardRecord(**{**vars(record), "domain": "night"})])
    assert ("error", "attribute domain is 'day', the manifest says 'night'") in found(tmp_path)


def test_frames_of_one_scene_in_two_splits_are_a_leak(tmp_path: Path) -> None:
    near = make_sample(4, scene=0, rgb_stamp_ns=START + SECOND // 2)
    make_dataset(tmp_path, {"train": [make_sample(0, scene=0)], "val": [near]}, ("one", "other"))
    (problem,) = validate_dataset(tmp_path)
    assert problem.severity == "error" and "500 ms" in problem.what and "leak" in problem.what


def test_another_scene_at_the_same_time_is_no_leak(tmp_path: Path) -> None:
    other_drive = make_sample(5, rgb_stamp_ns=START)
    make_dataset(tmp_path, {"train": [make_sample(0)], "val": [other_drive]}, ("one", "other"))
    assert found(tmp_path) == []


def test_a_moment_of_one_drive_in_two_splits_is_a_leak_whatever_it_looks_like(tmp_path: Path) -> None:
    near = make_sample(5, rgb_stamp_ns=START + SECOND // 2)
    make_dataset(tmp_path, {"train": [make_sample(0)], "val": [near]})
    assert [severity for severity, _ in found(tmp_path)] == ["error"]


def test_the_same_picture_twice_is_found_with_and_without_stamps(tmp_path: Path) -> None:
    first, second = (make_sample(0, rgb_stamp_ns=-1, thermal_stamp_ns=-1) for _ in range(2))
    make_dataset(tmp_path, {"train": [first], "test": [second]})
    assert ("error", "test holds the very RGB image of train.h5 sample 0") in found(tmp_path)


def test_odd_data_are_told(tmp_path: Path) -> None:
    blank = np.zeros((24, 32), np.uint8)
    samples = [
        make_sample(0, valid=blank),
        make_sample(1, thermal=np.full((24, 32), 22_000, np.uint16)),
        make_sample(2, rgb=np.zeros((24, 32, 3), np.uint8)),
        make_sample(3, label=blank + 13),
        make_sample(4, sun_elevation_deg=-30.0),
        make_sample(5),
        make_sample(6, thermal=make_sample(5).thermal),
    ]
    make_dataset(tmp_path, {"train": samples})
    expected = [
        "thermal covers no pixel",
        "thermal is 22000 everywhere",
        "RGB is 0 everywhere",
        "labelled with nothing but ignore",
        "day, though the sun stood at -30.0 degrees",
        "the same thermal image as train.h5 sample 5: the camera was stuck",
    ]
    assert found(tmp_path) == [("warning", what) for what in expected]


def test_impossible_labels_and_masks_are_errors(tmp_path: Path) -> None:
    blank = np.zeros((24, 32), np.uint8)
    make_dataset(tmp_path, {"train": [make_sample(0, label=blank + 14), make_sample(1, valid=blank + 2)]})
    assert found(tmp_path) == [
        ("error", "label id 14; 0 to 13 are needed"),
        ("error", "valid holds 2; 0 and 1 are needed"),
    ]
