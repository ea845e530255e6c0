"""Datasets from recordings: right, repeatable, and whole whatever happens on the way."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flat_street import (
    MIDNIGHT_NS,
    NOON_NS,
    colours,
    counts,
    labels,
    look,
    make_recording,
    make_rig,
    write_calibration,
)
from full_disk import fill_disk

from heatnet.calib.camera import Camera
from heatnet.calib.rig import RigCamera
from heatnet.calib.rigid import Rigid
from heatnet.dataset_tools import build, tasks
from heatnet.dataset_tools.align import GridConfig
from heatnet.dataset_tools.build import BuildConfig, build_dataset
from heatnet.dataset_tools.manifest import Manifest
from heatnet.dataset_tools.shards import Dataset
from heatnet.dataset_tools.splits import SplitConfig
from heatnet.dataset_tools.sun import DomainConfig
from heatnet.dataset_tools.tasks import Crew
from heatnet.dataset_tools.writer import DatasetWriter
from heatnet.errors import DatasetError, HeatNetError, RecordingError, RigError

CONFIG = BuildConfig(grid=GridConfig(240))
SECOND = 10**9


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("day"))


@pytest.fixture(scope="module")
def rig_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_calibration(tmp_path_factory.mktemp("rig") / "calibration.yaml")


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def grid_of(dataset: Dataset) -> Camera:
    document = dataset.manifest.config["grid_camera"]
    return Camera("none", np.array(document["intrinsics"]), np.zeros(0), tuple(document["resolution"]))


def test_every_pair_of_a_drive_becomes_an_aligned_sample(day: Path, rig_file: Path, tmp_path: Path) -> None:
    summary = build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    assert summary.rows == (
        {"recording": "drive.bag", "split": "train", "domain": "day", "labelled": True, "samples": 4},
    )
    dataset = Dataset.open(tmp_path / "out")
    refs = dataset.refs("train", "day", labelled=True)
    grid = grid_of(dataset)
    for i, ref in enumerate(refs):
        sample = dataset.read(ref, check=True)
        assert sample.rgb_stamp_ns == NOON_NS + i * SECOND // 2
        assert sample.thermal_stamp_ns == sample.rgb_stamp_ns + 4_000_000
        assert sample.sun_elevation_deg == pytest.approx(57.5, abs=2)
        seen = look(RigCamera("grid", grid, "", False, Rigid.identity()), np.array([0.025 * i, 0, 0]))
        inner = sample.valid > 0
        error = np.abs(sample.thermal - counts(seen))[inner]
        assert inner.mean() > 0.6 and np.median(error) < 5 and np.percentile(error, 90) < 20
        assert sample.label is not None and (sample.label == labels(seen)).mean() > 0.99
    assert refs[0].label_source == "hand" and refs[0].sequence == "drive"
    card = (tmp_path / "out/README.md").read_text()
    told = dataset.manifest.provenance[0]["rhythms"]["thermal"]
    assert (told["frames"], told["interval_s"], told["bursts"], told["clock_set_back"]) == (4, 0.5, 1, 0)
    assert "| drive.bag | thermal | 4 | 2 Hz | none | 0.5 s | 0 back, 0 ahead |" in card
    assert "4 aligned pairs" in card and "| train | day | hand | 4 |" in card and "drive.bag" in card


def test_day_is_day_and_night_is_night_by_the_sun(day: Path, rig_file: Path, tmp_path: Path) -> None:
    night = make_recording(tmp_path / "day_of_judgement", frames=2, start_ns=MIDNIGHT_NS, labelled=False)
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    build_dataset([night], rig_file, tmp_path / "out", CONFIG)
    dataset = Dataset.open(tmp_path / "out")
    assert len(dataset.refs(domain="day")) == 4 and len(dataset.refs(domain="night", labelled=False)) == 2
    assert all(dataset.read(ref).sun_elevation_deg < -20 for ref in dataset.refs(domain="night"))
    assert len(dataset.manifest.provenance) == 2


def test_the_domain_can_be_given(day: Path, rig_file: Path, tmp_path: Path) -> None:
    build_dataset([day], rig_file, tmp_path / "out", BuildConfig(grid=GridConfig(240), domain="night", split="test"))
    assert len(Dataset.open(tmp_path / "out").refs("test", "night")) == 4


def test_without_gnss_the_domain_must_be_given(rig_file: Path, tmp_path: Path) -> None:
    blind = make_recording(tmp_path / "in", frames=2, gnss=False)
    with pytest.raises(DatasetError, match=r"drive\.bag.*--domain"):
        build_dataset([blind], rig_file, tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()
    build_dataset([blind], rig_file, tmp_path / "out", BuildConfig(grid=GridConfig(240), domain="day"))
    dataset = Dataset.open(tmp_path / "out")
    assert all(np.isnan(dataset.read(ref, check=True).sun_elevation_deg) for ref in dataset.refs(domain="day"))


def test_a_frame_without_a_true_stamp_is_left_out_and_counted(rig_file: Path, tmp_path: Path) -> None:
    drive = make_recording(tmp_path / "in", frames=3, booted=True)
    summary = build_dataset([drive], rig_file, tmp_path / "out", CONFIG)
    assert summary.drops == {"stamp is no UTC time": 1} and summary.rows[0]["samples"] == 3


def test_building_twice_changes_nothing_and_elsewhere_gives_the_same_bytes(
    day: Path, rig_file: Path, tmp_path: Path
) -> None:
    build_dataset([day], rig_file, tmp_path / "a", CONFIG)
    first = contents(tmp_path / "a")
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "a/shards").iterdir()}
    again = build_dataset([day], rig_file, tmp_path / "a", CONFIG)
    assert contents(tmp_path / "a") == first and again.rows[0]["samples"] == 4
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "a/shards").iterdir()} == times
    build_dataset([day], rig_file, tmp_path / "b", CONFIG)
    assert contents(tmp_path / "b") == first


def test_an_altered_shard_is_made_again(day: Path, rig_file: Path, tmp_path: Path) -> None:
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    first = contents(tmp_path / "out")
    (shard,) = (tmp_path / "out/shards").iterdir()
    altered = bytearray(shard.read_bytes())
    altered[5000] ^= 1
    for content in (altered, altered[:-10], b""):
        shard.write_bytes(content)
        build_dataset([day], rig_file, tmp_path / "out", CONFIG)
        assert contents(tmp_path / "out") == first
    shard.unlink()
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    assert contents(tmp_path / "out") == first


def test_a_build_that_was_stopped_goes_on_to_the_same_bytes(
    day: Path, rig_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "samples_per_shard", lambda height, width: 1)
    build_dataset([day], rig_file, tmp_path / "whole", CONFIG)
    write = tasks.write_shard
    written: list[str] = []

    def stopping(root: Path, name: str, *rest: Any) -> Any:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(name)
        return write(root, name, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tasks, "write_shard", stopping)
        build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    dataset = Dataset.open(tmp_path / "out")
    assert len([dataset.read(ref, check=True) for ref in dataset.refs()]) == 2
    made: list[str] = []

    def counting(root: Path, name: str, *rest: Any) -> Any:
        made.append(name)
        return write(root, name, *rest)

    monkeypatch.setattr(tasks, "write_shard", counting)
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert len(made) == 2 and not set(made) & set(written)


def test_two_processes_give_the_same_bytes_as_one(
    day: Path, rig_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "samples_per_shard", lambda height, width: 1)
    build_dataset([day], rig_file, tmp_path / "one", CONFIG)
    build_dataset([day], rig_file, tmp_path / "two", CONFIG, Crew(workers=2))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_full_disk_gives_one_message_and_keeps_finished_shards(
    day: Path, rig_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "samples_per_shard", lambda height, width: 2)
    fill_disk(monkeypatch, "_0001.h5")
    with pytest.raises(HeatNetError, match="No space left on device"):
        build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    dataset = Dataset.open(tmp_path / "out")
    assert len([dataset.read(ref, check=True) for ref in dataset.refs()]) == 2
    assert len(list((tmp_path / "out/shards").iterdir())) == 1


@pytest.mark.parametrize(
    ("silent", "message"), [("/ir_left", "thermal"), ("/rgb_left", "rgb"), ("/rgb_right", "right")]
)
def test_a_recording_without_a_camera_is_refused_by_name(
    rig_file: Path, tmp_path: Path, silent: str, message: str
) -> None:
    recording = make_recording(tmp_path / "in", frames=2, silent=(silent,))
    with pytest.raises(RecordingError, match=rf"drive\.bag: no {message} topic {silent}; it has: "):
        build_dataset([recording], rig_file, tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


def test_a_rig_with_one_rgb_camera_builds_on_a_plane(day: Path, tmp_path: Path) -> None:
    rig_file = write_calibration(tmp_path / "one.yaml", make_rig(right=False))
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    assert len(Dataset.open(tmp_path / "out").refs()) == 4
    with pytest.raises(DatasetError, match="second RGB camera"):
        build_dataset([day], rig_file, tmp_path / "b", BuildConfig(grid=GridConfig(240), depth="stereo"))


def test_wrong_labels_take_back_what_their_recording_brought(day: Path, rig_file: Path, tmp_path: Path) -> None:
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    before = contents(tmp_path / "out")
    bad = make_recording(tmp_path / "in", frames=3, start_ns=MIDNIGHT_NS)
    maps = dict(np.load(tmp_path / "in/labels.npz"))
    last = sorted(maps)[-1]
    maps[last] = np.full_like(maps[last], 200)
    np.savez(tmp_path / "in/labels.npz", **maps)
    with pytest.raises(DatasetError, match=rf"labels\.npz at {last}: label id 200"):
        build_dataset([bad], rig_file, tmp_path / "out", CONFIG)
    assert contents(tmp_path / "out") == before
    maps[last] = np.zeros((80, 239), np.uint8)
    np.savez(tmp_path / "in/labels.npz", **maps)
    with pytest.raises(DatasetError, match=rf"labels\.npz: label of {last} .*\(80, 240\) is needed"):
        build_dataset([bad], rig_file, tmp_path / "out", CONFIG)
    assert contents(tmp_path / "out") == before
    (tmp_path / "in/labels.npz").write_bytes(b"PK nonsense")
    with pytest.raises(DatasetError, match=r"labels\.npz"):
        build_dataset([bad], rig_file, tmp_path / "new", CONFIG)
    assert not (tmp_path / "new").exists()


def test_labels_of_which_none_has_a_stamp_of_the_drive_are_told(
    rig_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drive = make_recording(tmp_path / "in", frames=3)
    config = replace(CONFIG, depth="infinite")
    build_dataset([drive], rig_file, tmp_path / "labelled", config)
    assert not caplog.records
    maps = {str(int(stamp) + 1): label for stamp, label in np.load(tmp_path / "in/labels.npz").items()}
    np.savez(tmp_path / "in/labels.npz", **dict(list(maps.items())[:2]))
    build_dataset([drive], rig_file, tmp_path / "out", config)
    (told,) = [record.getMessage() for record in caplog.records]
    assert "labels.npz: none of its 2 label maps has the stamp of one of the 3 sets of drive.bag" in told
    assert len(Dataset.open(tmp_path / "out").refs(labelled=False)) == 3


def test_other_ways_of_building_do_not_mix_in_one_dataset(day: Path, rig_file: Path, tmp_path: Path) -> None:
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    before = contents(tmp_path / "out")
    with pytest.raises(DatasetError, match=r"another configuration.*depth"):
        build_dataset([day], rig_file, tmp_path / "out", BuildConfig(grid=GridConfig(240), depth="infinite"))
    with pytest.raises(DatasetError, match="in it already"):
        build_dataset([day], rig_file, tmp_path / "out", BuildConfig(grid=GridConfig(240), split="test"))
    assert contents(tmp_path / "out") == before


def test_a_drive_that_leaks_into_another_split_is_refused_and_leaves_nothing(
    day: Path, rig_file: Path, tmp_path: Path
) -> None:
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    before = contents(tmp_path / "out")
    test = replace(CONFIG, split="test")
    second_part = make_recording(tmp_path / "near", frames=2, start_ns=NOON_NS + 2 * SECOND, labelled=False)
    with pytest.raises(DatasetError, match=r"near/drive\.bag: test would leak from train: .* 500 ms .* of drive"):
        build_dataset([second_part], rig_file, tmp_path / "out", test)
    assert contents(tmp_path / "out") == before
    build_dataset([second_part], rig_file, tmp_path / "out", replace(CONFIG, split="train"))
    later = make_recording(tmp_path / "far", frames=2, start_ns=NOON_NS + 5 * SECOND, labelled=False)
    build_dataset([later], rig_file, tmp_path / "out", test)
    assert len(Dataset.open(tmp_path / "out").refs("test")) == 2


def test_a_long_drive_is_split_by_time_with_a_margin(rig_file: Path, tmp_path: Path) -> None:
    drive = make_recording(tmp_path / "in", frames=30, interval_ns=SECOND, speed_m_s=0.01, labelled=False)
    summary = build_dataset([drive], rig_file, tmp_path / "out", CONFIG)
    dataset = Dataset.open(tmp_path / "out")
    stamps = {s: [dataset.read(r).rgb_stamp_ns for r in dataset.refs(s)] for s in ("train", "val", "test")}
    assert all(len(found) >= 2 for found in stamps.values())
    assert min(stamps["val"]) - max(stamps["train"]) >= 2 * SECOND <= min(stamps["test"]) - max(stamps["val"])
    dropped = summary.drops["margin between two splits"]
    assert sum(map(len, stamps.values())) + dropped == 30


def test_frames_are_counted_with_the_reason_for_which_they_are_left_out(rig_file: Path, tmp_path: Path) -> None:
    drive = make_recording(tmp_path / "in", frames=3, lag_ns=80_000_000)
    with pytest.raises(RecordingError, match=r"no frames that belong together \(3 rgb: no thermal frame within"):
        build_dataset([drive], rig_file, tmp_path / "out", CONFIG)
    build_dataset([drive], rig_file, tmp_path / "out", BuildConfig(grid=GridConfig(240), tolerance_ms=90))
    assert len(Dataset.open(tmp_path / "out").refs()) == 3


def test_a_lag_that_the_calibration_found_is_undone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Thermal stamps 60 ms early, at 3 m/s: 18 cm between what the stamps say and where the camera was."""
    rig_file = write_calibration(tmp_path / "calibration.yaml")
    drive = make_recording(tmp_path / "in", frames=3, lag_ns=60_000_000, stamped_lag_ns=0, speed_m_s=3.0)
    pose = make_rig().thermal[0].cam_from_cam0.matrix
    errors = {}
    for name, told in (("none", np.eye(4)), ("right", pose)):
        document = {"cameras": {"cam2": {"T_cam_cam0": told.tolist(), "parameters": {"lag": {"value": 0.06}}}}}
        (tmp_path / "calibration.json").write_text(json.dumps(document))
        config = BuildConfig(grid=GridConfig(240), tolerance_ms=70)
        caplog.clear()
        build_dataset([drive], rig_file, tmp_path / name, config)
        assert ("belongs to another calibration" in caplog.text) == (name == "none")
        dataset = Dataset.open(tmp_path / name)
        seen = look(RigCamera("grid", grid_of(dataset), "", False, Rigid.identity()), np.zeros(3))
        sample = dataset.read(dataset.refs()[0])
        errors[name] = np.median(np.abs(sample.thermal - counts(seen))[(sample.valid > 0) & seen.board])
    assert errors["right"] < 8 < 25 < errors["none"]


def lag_said(folder: Path, **said: Any) -> Path:
    """A rig file of `make_rig` with what a calibration says beside it."""
    pose = make_rig().thermal[0].cam_from_cam0.matrix.tolist()
    document = {"cameras": {"cam2": {"T_cam_cam0": pose, "parameters": {"lag": {"value": 0.004}}, **said}}}
    path = write_calibration(folder / "calibration.yaml")
    (folder / "calibration.json").write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"status": "inconclusive", "reason": "halves\ndiffer"}, "cam2 is inconclusive: halves differ; it is used"),
        ({"status": "good"}, ""),
        ({}, ""),
    ],
)
def test_a_camera_that_the_calibration_does_not_call_good_is_named(
    day: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, said: dict[str, str], words: str
) -> None:
    build_dataset([day], lag_said(tmp_path, **said), tmp_path / "out", replace(CONFIG, depth="infinite"))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == bool(words) and all(words in line and "with its lag of 4.0 ms" in line for line in told)
    assert Dataset.open(tmp_path / "out").manifest.provenance[0]["thermal_lag_ns"] == 4_000_000


@pytest.mark.parametrize(
    "comment", ["cam2 is inconclusive, do not use it: too dark", "cam2 /ir_left: no frame in them; left as given"]
)
def test_a_comment_of_the_calibration_in_the_rig_file_is_repeated(
    day: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, comment: str
) -> None:
    rig_file = write_calibration(tmp_path / "calibration.yaml")
    others = "# cam3 is inconclusive, do not use it: too dark\n# cam2 is on the left\n"
    rig_file.write_text(f"{others}# {comment}\n{rig_file.read_text()}")
    build_dataset([day], rig_file, tmp_path / "out", replace(CONFIG, depth="infinite"))
    assert [r.getMessage() for r in caplog.records] == [f"{rig_file}: {comment}; it is used all the same"]


def test_a_camera_of_16_bits_is_thermal_whatever_its_topic_says(tmp_path: Path) -> None:
    rig = make_rig()
    rig = rig.with_camera(replace(rig.thermal[0], topic="/camera_2"))
    drive = make_recording(tmp_path / "in", frames=2, rig=rig)
    build_dataset([drive], write_calibration(tmp_path / "rig.yaml", rig), tmp_path / "out", CONFIG)
    dataset = Dataset.open(tmp_path / "out")
    assert len(dataset.refs()) == 2 and np.median(dataset.read(dataset.refs()[0]).thermal) > 20_000


def test_images_of_another_size_than_the_rig_file_says_are_named(day: Path, tmp_path: Path) -> None:
    rig = make_rig()
    small = replace(rig.thermal[0], camera=replace(rig.thermal[0].camera, resolution=(232, 96)))
    rig_file = write_calibration(tmp_path / "rig.yaml", rig.with_camera(small))
    with pytest.raises(DatasetError, match=r"drive\.bag: /ir_left at \d+ ns is 240x96; the rig file says 232x96"):
        build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


def test_the_right_image_is_kept_where_asked_for_as_the_grid_camera_sees_it_from_there(
    day: Path, rig_file: Path, tmp_path: Path
) -> None:
    build_dataset([day], rig_file, tmp_path / "out", replace(CONFIG, right=True, depth="infinite"))
    dataset = Dataset.open(tmp_path / "out")
    right = RigCamera("grid", grid_of(dataset), "", False, make_rig().rgb[1].cam_from_cam0)
    for i, ref in enumerate(dataset.refs()):
        sample, seen = dataset.read(ref, check=True), look(right, np.array([0.025 * i, 0, 0]))
        assert sample.rgb_right is not None
        assert np.median(np.abs(sample.rgb_right.astype(int) - colours(seen))) < 4
    with pytest.raises(DatasetError, match="one RGB camera only"):
        alone = write_calibration(tmp_path / "one.yaml", make_rig(right=False))
        build_dataset([day], alone, tmp_path / "other", replace(CONFIG, right=True))


@pytest.mark.parametrize("depth", ["lidar", "fused"])
def test_depth_of_a_lidar_aligns_near_and_far(tmp_path: Path, depth: Any) -> None:
    rig = make_rig(lidar=True)
    drive, rig_file = make_recording(tmp_path / "in", rig=rig), write_calibration(tmp_path / "rig.yaml", rig)
    build_dataset([drive], rig_file, tmp_path / "out", replace(CONFIG, depth=depth))
    dataset = Dataset.open(tmp_path / "out")
    for i, ref in enumerate(dataset.refs()):
        sample = dataset.read(ref, check=True)
        grid = RigCamera("grid", grid_of(dataset), "", False, Rigid.identity())
        seen = look(grid, np.array([0.025 * i, 0, 0]))
        for part in (seen.board, ~seen.board):
            error = np.abs(sample.thermal - counts(seen))[(sample.valid > 0) & part]
            assert np.median(error) < 5 and np.percentile(error, 80) < 20
    assert len(dataset.refs()) == 4


@pytest.mark.parametrize(
    ("silent", "measured"), [((), ["stereo", "lidar"]), (("/rgb_right",), ["lidar"]), (("/points",), ["stereo"])]
)
def test_without_being_told_a_build_takes_what_measures_depth(
    tmp_path: Path, silent: tuple[str, ...], measured: list[str]
) -> None:
    rig = make_rig(lidar=True)
    recording = make_recording(tmp_path / "in", frames=2, rig=rig, silent=silent)
    build_dataset([recording], write_calibration(tmp_path / "rig.yaml", rig), tmp_path / "out", CONFIG)
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.manifest.provenance[0]["depth_from"] == measured
    assert len(dataset.refs()) == 2


def test_where_nothing_measures_depth_though_the_rig_could_the_build_says_so(tmp_path: Path) -> None:
    rig = make_rig(lidar=True)
    recording = make_recording(tmp_path / "in", frames=2, rig=rig, silent=("/rgb_right", "/points"))
    with pytest.raises(RecordingError, match="no right topic /rgb_right"):
        build_dataset([recording], write_calibration(tmp_path / "rig.yaml", rig), tmp_path / "out", CONFIG)


def test_without_a_lidar_its_depth_is_refused(day: Path, rig_file: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="lidar0"):
        build_dataset([day], rig_file, tmp_path / "out", replace(CONFIG, depth="lidar"))
    equipped = write_calibration(tmp_path / "rig.yaml", make_rig(lidar=True))
    with pytest.raises(RecordingError, match=r"drive\.bag: no LiDAR topic /points"):
        build_dataset([day], equipped, tmp_path / "out", replace(CONFIG, depth="fused"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_compressed_dataset_holds_the_same_samples(
    day: Path, rig_file: Path, tmp_path: Path, compression: Any
) -> None:
    config = replace(CONFIG, depth="infinite")
    build_dataset([day], rig_file, tmp_path / "plain", config)
    for again in ("a", "b"):
        build_dataset([day], rig_file, tmp_path / again, replace(config, compression=compression))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    plain, packed = Dataset.open(tmp_path / "plain"), Dataset.open(tmp_path / "a")
    assert packed.manifest.shards[0].bytes < 0.8 * plain.manifest.shards[0].bytes
    for one, other in zip(plain.refs(), packed.refs(), strict=True):
        first, second = plain.read(one, check=True), packed.read(other, check=True)
        assert all(np.array_equal(getattr(first, n), getattr(second, n)) for n in ("rgb", "thermal", "valid", "label"))
    with pytest.raises(DatasetError, match="compression"):
        build_dataset([day], rig_file, tmp_path / "plain", replace(config, compression=compression))


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tolerance_ms": NAN}, "tolerance in ms is nan"),
        ({"tolerance_ms": INF}, "tolerance in ms is inf"),
        ({"plane_m": INF}, "plane in m is inf"),
        ({"plane_m": 1e-300}, "at least 0.1"),
        ({"sun": DomainConfig(day_above_deg=NAN)}, "day above, in degrees, is nan"),
        ({"splits": SplitConfig((0.5, INF, 0.5))}, "fraction of val is inf"),
        ({"splits": SplitConfig((0.5, 0.5, -0.5))}, "fraction of test is -0.5"),
        ({"thermal_range": (5.0, 1.0)}, "from 5 to 1 is none"),
        ({"thermal_range": (NAN, 1.0)}, "from nan to 1 is none"),
        ({"grid": GridConfig(200_000)}, "images of 200000x66656 are too large; 16384 a side at most"),
    ],
)
def test_what_is_no_number_or_too_large_is_refused_before_anything_is_built(
    day: Path, rig_file: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(DatasetError, match=re.escape(words)):
        build_dataset([day], rig_file, tmp_path / "out", replace(CONFIG, **changes))
    assert not (tmp_path / "out").exists()


def test_missing_inputs_are_named(day: Path, rig_file: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"nowhere\.bag"):
        build_dataset([tmp_path / "nowhere.bag"], rig_file, tmp_path / "out", CONFIG)
    with pytest.raises(RigError, match=r"nowhere\.yaml"):
        build_dataset([day], tmp_path / "nowhere.yaml", tmp_path / "out", CONFIG)
    with pytest.raises(DatasetError, match="no thermal camera"):
        build_dataset([day], write_calibration(tmp_path / "r.yaml", make_rig(thermal=False)), tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["shards/.notes.tmp", "shards/mine.h5", "shards/sub/x", "shards", ".notes.7.tmp"])
def test_a_folder_of_somebody_else_is_neither_taken_nor_touched(
    day: Path, rig_file: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(DatasetError, match="exists and is no dataset"):
        build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    assert contents(tmp_path / "out") == {name: b"mine"}


def test_what_somebody_put_beside_the_shards_stays_and_what_a_killed_build_left_goes(
    day: Path, rig_file: Path, tmp_path: Path
) -> None:
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    whole = contents(tmp_path / "out")
    (shard,) = (tmp_path / "out/shards").iterdir()
    shard.with_name(f".{shard.name}.4711.tmp").write_text("half")
    (tmp_path / "out/.README.md.4711.tmp").write_text("half")
    theirs = {"shards/.notes.tmp": b"mine", ".notes.4711.tmp": b"mine"}
    for name, content in theirs.items():
        (tmp_path / "out" / name).write_bytes(content)
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    assert contents(tmp_path / "out") == {**whole, **theirs}


def test_a_build_killed_after_its_first_shard_goes_on_without_a_manifest(
    day: Path, rig_file: Path, tmp_path: Path
) -> None:
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    whole = contents(tmp_path / "out")
    for name in ("manifest.json", "README.md"):
        (tmp_path / "out" / name).unlink()
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    assert contents(tmp_path / "out") == whole


def test_two_builds_into_one_folder_do_not_meet(day: Path, rig_file: Path, tmp_path: Path) -> None:
    from heatnet.dataset_tools.writer import open_writer

    with open_writer(tmp_path / "out", {}, None), pytest.raises(DatasetError, match="another process"):
        build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    build_dataset([day], rig_file, tmp_path / "out", CONFIG)
    assert len(Dataset.open(tmp_path / "out").refs()) == 4


def test_the_rig_recordings_give_six_pairs_each(shared_data: Path, tmp_path: Path) -> None:
    for name in ("day", "night"):
        folder = shared_data / "recordings" / name
        build_dataset(
            [folder / f"{name}.bag"], folder / "rough_camchain.yaml", tmp_path / name, BuildConfig(depth="infinite")
        )
        dataset = Dataset.open(tmp_path / name)
        refs = dataset.refs(domain=name, labelled=True)
        assert len(refs) == len(dataset.refs()) == 6 and {r.label_source for r in refs} == {"simulation"}
        sample = dataset.read(refs[0], check=True)
        assert sample.rgb.shape == (320, 704, 3) and 20_000 < np.median(sample.thermal) < 25_000


def test_a_recording_that_fails_takes_back_its_own_shards_alone(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    writer = DatasetWriter(tmp_path, Manifest({}, None), new=True, claimed=["a_day.h5", "b_day.h5"])
    writer.finish({"name": "a.bag", "key": "k", "shards": ["a_day.h5"], "drops": {}})
    assert writer.claimed == ["b_day.h5"]
