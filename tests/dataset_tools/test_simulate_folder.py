"""What `simulate` promises of the folder that it writes."""

import json
import resource
from pathlib import Path

import numpy as np
import pytest

from heatnet.calib.camchain import read_rig
from heatnet.dataset_tools.recording import Image, PointCloud, open_recording, read_trajectory
from heatnet.dataset_tools.simulate import SimulationConfig, simulate
from heatnet.errors import HeatNetError

SMALL = SimulationConfig(frames=2, scale=0.1, seed=3, view_m=60)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "day"
    simulate(folder, SMALL)
    return folder


def test_the_folder_holds_recording_and_truth(day: Path) -> None:
    names = {p.name for p in day.iterdir()}
    assert names == {
        "day.bag",
        "rough_camchain.yaml",
        "truth_camchain.yaml",
        "truth.json",
        "labels.npz",
        "depth.npz",
        "poses.csv",
        "simulation.json",
    }


def test_labels_and_depth_belong_to_the_colour_stamps(day: Path) -> None:
    rig = read_rig(day / "rough_camchain.yaml")
    with open_recording(day / "day.bag") as recording:
        images = [m for _, m in recording.messages([rig.rgb_left.topic]) if isinstance(m, Image)]
    with np.load(day / "labels.npz") as labels, np.load(day / "depth.npz") as depth:
        assert sorted(labels) == sorted(depth) == [str(m.stamp_ns) for m in images]
        for image in images:
            assert labels[str(image.stamp_ns)].shape == depth[str(image.stamp_ns)].shape == image.pixels.shape[:2]
            assert labels[str(image.stamp_ns)].max() <= 12


def test_the_rough_rig_is_wrong_about_thermal_cameras_only(day: Path) -> None:
    rough, true = read_rig(day / "rough_camchain.yaml"), read_rig(day / "truth_camchain.yaml")
    for a, b in zip(rough.rgb, true.rgb, strict=True):
        assert np.allclose(a.camera.intrinsics, b.camera.intrinsics)
        assert np.allclose(a.cam_from_cam0.matrix, b.cam_from_cam0.matrix)
    truth = json.loads((day / "truth.json").read_text())
    for a, b, side in zip(rough.thermal, true.thermal, ("left", "right"), strict=True):
        assert np.abs(a.camera.intrinsics - b.camera.intrinsics).max() > 1
        assert np.allclose(truth[side]["K"], b.camera.intrinsics)
        assert np.allclose(truth[side]["T_cam_rgb_fl"], b.cam_from_cam0.matrix)


def test_sensors_speak_as_the_real_rig_does(day: Path) -> None:
    rig = read_rig(day / "rough_camchain.yaml")
    assert rig.lidar is not None and rig.body is not None
    with open_recording(day / "day.bag") as recording:
        stamps = recording.stamps(list(recording.topics))
        clouds = [m for _, m in recording.messages([rig.lidar.topic]) if isinstance(m, PointCloud)]
        trajectory = read_trajectory(recording, rig.body)
    assert trajectory is not None and trajectory.covers(int(stamps[rig.rgb_left.topic][-1]))
    assert {"intensity", "ring"} <= set(clouds[0].fields.dtype.names or ())
    ranges = np.linalg.norm(clouds[0].xyz, axis=1)
    assert len(ranges) > 1000 and ranges.min() > 1 and ranges.max() < 101
    for colour, thermal in zip(
        stamps[rig.rgb_left.topic],
        (
            min(stamps[rig.thermal[0].topic], key=lambda s, c=c: abs(int(s) - int(c)))
            for c in stamps[rig.rgb_left.topic]
        ),
        strict=True,
    ):
        assert 3_000_000 < int(thermal) - int(colour) < 8_000_000


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(day: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "again", SMALL)
    for path in day.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
    simulate(tmp_path / "other", SimulationConfig(frames=2, scale=0.1, seed=4, view_m=60))
    assert (day / "day.bag").read_bytes() != (tmp_path / "other" / "day.bag").read_bytes()


def test_a_night_in_mcap_is_compressed_and_dark(tmp_path: Path) -> None:
    summary = simulate(tmp_path / "n", SimulationConfig(night=True, frames=1, scale=0.1, format="mcap", view_m=60))
    assert summary["sun_elevation_deg"] < -12
    with open_recording(tmp_path / "n" / "night.mcap") as recording:
        assert "/rgb_fl_burst/compressed" in recording.topics
        images = dict(recording.messages(["/rgb_fl_burst/compressed", "/ir_left_burst/compressed"]))
    colour, thermal = images["/rgb_fl_burst/compressed"], images["/ir_left_burst/compressed"]
    assert isinstance(colour, Image) and isinstance(thermal, Image)
    assert np.median(colour.pixels) < 90
    assert thermal.pixels.dtype == np.uint16 and 20_000 < np.median(thermal.pixels) < 25_000


def test_an_impossible_configuration_is_refused() -> None:
    for wrong in ({"seed": -1}, {"rig_seed": -1}, {"frames": 0}, {"scale": 0.0}, {"scale": float("nan")}):
        with pytest.raises(HeatNetError, match=next(iter(wrong))):
            SimulationConfig(**wrong)  # type: ignore[arg-type]


def test_a_folder_in_use_is_left_alone(day: Path) -> None:
    before = (day / "day.bag").stat().st_mtime_ns
    with pytest.raises(HeatNetError, match="not an empty folder"):
        simulate(day, SMALL)
    assert (day / "day.bag").stat().st_mtime_ns == before


def test_a_disk_that_fills_up_is_one_message_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(HeatNetError, match="cannot be written"):
            simulate(tmp_path / "full", SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
