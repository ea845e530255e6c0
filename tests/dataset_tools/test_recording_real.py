"""Recordings that nobody here wrote, against plain struct reads and the rosbags library."""

import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from heatnet.calib.camchain import read_rig
from heatnet.dataset_tools.inspect_recording import inspect_recording
from heatnet.dataset_tools.recording import open_recording, read_trajectory, thermal_cameras

BAGS = (
    "bags/embag_test.bag",
    "bags/swri_PointCloud2.bag",
    "bags/fox_example-lz4.bag",
    "bags/evo_nav2_turtlebot.mcap",
    "recordings/day/day.bag",
    "recordings/night/night.bag",
)
CODES = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 8: "d"}


def by_rosbags(path: Path):
    """(topic, type, log time, message or None) of every message, by the library's own path."""
    with AnyReader([path]) as reader:
        known = {"sensor_msgs/msg/PointCloud2", "tf2_msgs/msg/TFMessage", "tf/msg/tfMessage", "nav_msgs/msg/Odometry"}
        for connection, log_ns, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype) if connection.msgtype in known else None
            yield connection.topic, connection.msgtype, log_ns, message


@pytest.mark.parametrize("name", BAGS)
def test_inspect_tells_the_truth(name, shared_data):
    summary = inspect_recording(shared_data / name)
    messages = list(by_rosbags(shared_data / name))
    counts = Counter((topic, kind) for topic, kind, _, _ in messages)
    assert {(t.name, t.message_type): t.count for t in summary.topics} == counts
    logs = [log_ns for _, _, log_ns, _ in messages]
    assert summary.messages == len(messages)
    assert summary.duration_s == pytest.approx((max(logs) - min(logs)) / 1e9, abs=1e-9)
    assert summary.start_utc == str(np.datetime64(min(logs) // 10**6, "ms")) + "+00:00"
    assert summary.size_bytes == (shared_data / name).stat().st_size
    frames = Counter(
        (t.header.frame_id.removeprefix("/"), t.child_frame_id.removeprefix("/"))
        for _, kind, _, m in messages
        if "tf" in kind
        for t in m.transforms
    )
    assert {(f.parent, f.child): f.count for f in summary.frames} == frames


@pytest.mark.parametrize("name", BAGS)
def test_point_clouds_are_read_to_the_last_point(name, shared_data):
    theirs = [m for _, kind, _, m in by_rosbags(shared_data / name) if kind == "sensor_msgs/msg/PointCloud2"]
    with open_recording(shared_data / name) as recording:
        topics = [t.name for t in recording.topics.values() if t.message_type == "sensor_msgs/msg/PointCloud2"]
        ours = [m for _, m in recording.messages(topics)]
    assert len(ours) == len(theirs)
    for mine, message in zip(ours, theirs, strict=True):
        assert len(mine.fields) == message.width * message.height
        data = message.data.tobytes()
        for i in {0, 1, len(mine.fields) // 2, len(mine.fields) - 1}:
            for field in message.fields:
                row, column = divmod(i, message.width)
                at = row * message.row_step + column * message.point_step + field.offset
                (value,) = struct.unpack_from("<" + CODES[field.datatype], data, at)
                assert mine.fields[field.name][i] == value or np.isnan(value)
        first = next(f for f in message.fields if f.name == "x")
        every = np.array([p[0] for p in struct.iter_unpack(f"<{CODES[first.datatype]}{message.point_step - 4}x", data)])
        assert first.offset == 0
        np.testing.assert_array_equal(mine.xyz[:, 0], every)


@pytest.mark.parametrize(("name", "points"), [("bags/swri_PointCloud2.bag", 124914), ("bags/embag_test.bag", 35707)])
def test_the_size_of_the_first_cloud_is_told(name, points, shared_data):
    contents = [t.content for t in inspect_recording(shared_data / name).topics]
    assert any(content.startswith(f"{points} points: x f4, y f4, z f4") for content in contents)


@pytest.mark.parametrize("drive", ["day", "night"])
def test_the_rig_of_the_drives_is_found(drive, shared_data):
    rig = read_rig(shared_data / "recordings" / drive / "rough_camchain.yaml")
    with open_recording(shared_data / "recordings" / drive / f"{drive}.bag") as recording:
        assert set(thermal_cameras(recording, rig)) == {c.name for c in rig.cameras if "ir" in c.topic}
        trajectory = read_trajectory(recording, rig.body)
        assert len(trajectory.stamps_ns) == 120
        assert trajectory.covers(recording.stamps([next(t for t in recording.topics if "rgb_fl" in t)]).popitem()[1][0])
