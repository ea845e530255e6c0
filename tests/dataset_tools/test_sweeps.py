"""Sweeps: chosen by what they add, times of points read as drivers write them, none from behind the camera."""

import numpy as np
import pytest
from numpy.lib.recfunctions import append_fields

from heatnet.calib.rig import Lidar
from heatnet.calib.rigid import Rigid
from heatnet.calib.trajectory import Trajectory
from heatnet.dataset_tools.recording import PointCloud
from heatnet.dataset_tools.sweeps import choose_sweeps, load_sweeps, make_sweep, point_times

SECOND = 1_000_000_000
STAMP = 1_565_258_400 * SECOND
LIDAR = Lidar("/points", Rigid(np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]), np.zeros(3)))


def driving(speed_m_s: float = 8.0) -> Trajectory:
    stamps = STAMP + np.arange(0, 20 * SECOND, SECOND // 20)
    places = np.stack([speed_m_s * (stamps - STAMP) / SECOND, 0 * stamps, 0 * stamps], 1)
    return Trajectory(stamps, np.tile([0.0, 0, 0, 1], (len(stamps), 1)), places)


def test_the_nearest_sweep_comes_first_and_some_taken_before_follow() -> None:
    stamps = STAMP + np.arange(0, 15 * SECOND, SECOND // 10)
    key = STAMP + 10 * SECOND + 3_000_000
    first, *others = choose_sweeps(stamps, key, driving())
    assert first == STAMP + 10 * SECOND
    assert [round(8.0 * (key - s) / SECOND) for s in others] == [6, 12, 24, 48]


def test_a_standing_rig_needs_one_sweep() -> None:
    stamps = STAMP + np.arange(0, 15 * SECOND, SECOND // 10)
    assert len(choose_sweeps(stamps, STAMP + 10 * SECOND, driving(0.0))) == 1


def test_without_odometry_only_a_sweep_near_the_key_frame_counts() -> None:
    stamps = STAMP + np.arange(0, 15 * SECOND, SECOND)
    assert choose_sweeps(stamps, STAMP + SECOND + 10_000_000, None) == (STAMP + SECOND,)
    assert choose_sweeps(stamps, STAMP + SECOND // 2, None) == ()
    assert choose_sweeps(stamps[:0], STAMP, None) == ()


def cloud(**fields: np.ndarray) -> np.ndarray:
    points = np.zeros(4, [("x", "<f4"), ("y", "<f4"), ("z", "<f4")])
    points["x"] = 5, -5, np.nan, 0.01
    return np.asarray(append_fields(points, list(fields), list(fields.values()), usemask=False)) if fields else points


OFFSETS = np.array([0, 25_000_000, 50_000_000, 99_000_000])


@pytest.mark.parametrize(
    "fields",
    [
        {"t": OFFSETS.astype("<u4")},
        {"offset_time": OFFSETS.astype("<u4")},
        {"time": (OFFSETS * 1e-9).astype("<f4")},
        {"timestamp": (STAMP + OFFSETS) * 1e-9},
        {"timestamp": (STAMP + OFFSETS).astype("<f8")},
        {"timestamp": (STAMP + OFFSETS).astype("<u8")},
        {
            "time_sec": ((STAMP + OFFSETS) // SECOND).astype("<u4"),
            "time_nsec": ((STAMP + OFFSETS) % SECOND).astype("<u4"),
        },
    ],
)
def test_times_of_points_are_read_as_drivers_write_them(fields: dict[str, np.ndarray]) -> None:
    times = point_times(cloud(**fields), STAMP)
    assert times is not None
    assert np.abs(times - STAMP - OFFSETS).max() < 1000


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"time": np.zeros(4, "<f4")},
        {"time": np.full(4, np.nan, "<f4")},
        {"t": np.full(4, 7 * SECOND, "<i8")},
        {"timestamp": np.full(4, 3.6e6)},
    ],
)
def test_fields_that_cannot_be_times_are_none(fields: dict[str, np.ndarray]) -> None:
    assert point_times(cloud(**fields), STAMP) is None


def test_points_behind_the_camera_or_not_measured_are_left_out() -> None:
    sweep = make_sweep(PointCloud(STAMP, "lidar", cloud(t=OFFSETS.astype("<u4"))), LIDAR)
    assert sweep.points.tolist() == [[5, 0, 0]]
    assert sweep.times_ns is not None
    assert sweep.times_ns.tolist() == [STAMP]


def test_real_luminar_points_have_times(shared_data) -> None:
    from heatnet.dataset_tools.recording import open_recording

    with open_recording(shared_data / "bags" / "embag_test.bag") as recording:
        stamps = recording.stamps(["/luminar_pointcloud"])["/luminar_pointcloud"]
        found = load_sweeps(recording, Lidar("/luminar_pointcloud", LIDAR.cam0_from_lidar), [int(stamps[2])], None)
    (sweep,) = found[int(stamps[2])]
    assert sweep.times_ns is not None
    assert 0.05 < (sweep.times_ns.max() - sweep.times_ns.min()) * 1e-9 < 0.15


def test_a_recording_without_the_lidar_of_the_rig_file_gives_none(shared_data) -> None:
    from heatnet.dataset_tools.recording import open_recording

    with open_recording(shared_data / "bags" / "embag_test.bag") as recording:
        assert load_sweeps(recording, LIDAR, [STAMP], None) == {}
