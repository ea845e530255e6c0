"""What is written into any kind of recording comes out of the one interface, in order and whole."""

import struct
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording_writers import (
    KINDS,
    ROS1,
    ROS2,
    build,
    cloud,
    compressed,
    fix,
    image,
    odometry,
    transform,
    write_recording,
)

from heatnet.calib.rig import Body
from heatnet.calib.rigid import Rigid
from heatnet.dataset_tools.recording import (
    Fix,
    Image,
    PointCloud,
    Pose,
    open_recording,
    read_trajectory,
    resolve_topic,
)
from heatnet.dataset_tools.recording.decode import decode, first_stamp
from heatnet.errors import RecordingError

IMAGE, CLOUD, TF = "sensor_msgs/msg/Image", "sensor_msgs/msg/PointCloud2", "tf2_msgs/msg/TFMessage"
ODOMETRY, FIX, JPEG = "nav_msgs/msg/Odometry", "sensor_msgs/msg/NavSatFix", "sensor_msgs/msg/CompressedImage"
START = 1_565_258_400_000_000_000
POINT = np.dtype(
    {
        "names": ["z", "x", "y", "ring"],
        "formats": ["<f4", "<f8", "<f4", "<u2"],
        "offsets": [0, 6, 16, 20],
        "itemsize": 23,
    }
)


def drive():
    """A few messages of every type the readers know, and one they do not."""
    rng = np.random.default_rng(3)
    thermal = rng.integers(21000, 25000, (3, 12, 16), np.uint16)
    points = np.zeros((2, 5), POINT)
    for name in POINT.names:
        points[name] = rng.integers(0, 1000, (2, 5))
    jpeg = cv2.imencode(".jpg", np.full((16, 24, 3), 128, np.uint8))[1].tobytes()
    quaternion = [0.0, 0.0, 0.6, 0.8]
    messages = []
    for i in range(3):
        t = START + i * 100_000_000
        tf = [
            transform(t, "odom", "base", [i, 2.0, 3.0], quaternion),
            transform(t + 5, "base", "lidar", [0, 0, 1], [0, 0, 0, 1]),
        ]
        messages += [
            ("/ir", IMAGE, image(t + 1, thermal[i], "mono16", padding=3, big_endian=i == 1), t + 10),
            ("/points", CLOUD, cloud(t + 2, points, row_padding=7), t + 11),
            ("/rgb/compressed", JPEG, compressed(t + 3, jpeg), t + 12),
            ("/tf", TF, {"transforms": tf}, t + 13),
            ("/odom", ODOMETRY, odometry(t + 4, "odom", "base", [i, 2.0, 3.0], quaternion), t + 14),
            ("/fix", FIX, fix(t + 5, 48.0 + i, 7.8), t + 15),
            ("/name", "std_msgs/msg/String", {"data": "x" * 9}, t + 16),
        ]
    return thermal, points, messages


@pytest.fixture(params=KINDS, scope="module")
def written(request, tmp_path_factory):
    return write_recording(tmp_path_factory.mktemp(request.param), request.param, drive()[2])


@pytest.fixture
def recording(written):
    with open_recording(written) as opened:
        yield opened


def test_topics_types_and_counts_are_those_written(recording):
    assert {t.name: (t.message_type, t.count) for t in recording.topics.values()} == {
        "/ir": (IMAGE, 3),
        "/points": (CLOUD, 3),
        "/rgb/compressed": (JPEG, 3),
        "/tf": (TF, 3),
        "/odom": (ODOMETRY, 3),
        "/fix": (FIX, 3),
        "/name": ("std_msgs/msg/String", 3),
    }
    assert recording.damage == []


def test_messages_come_in_the_order_of_the_log_and_whole(recording):
    thermal, points, _ = drive()
    read = list(recording.messages(list(recording.topics)))
    assert [topic for topic, _ in read[:7]] == ["/ir", "/points", "/rgb/compressed", "/tf", "/tf", "/odom", "/fix"]
    assert len(read) == 21  # a tf message has two transforms; the strings are passed over
    for i in range(3):
        ir, sweep, rgb, pose, _, odom, where = (message for _, message in read[7 * i : 7 * i + 7])
        t = START + i * 100_000_000
        assert isinstance(ir, Image) and (ir.stamp_ns, ir.frame_id, ir.encoding) == (t + 1, "eye", "mono16")
        np.testing.assert_array_equal(ir.pixels, thermal[i])
        assert isinstance(sweep, PointCloud) and sweep.stamp_ns == t + 2
        for name in POINT.names:
            np.testing.assert_array_equal(sweep.fields[name], points[name].reshape(-1))
        assert isinstance(rgb, Image) and rgb.pixels.shape == (16, 24, 3) and rgb.stamp_ns == t + 3
        for one in (pose, odom):
            assert isinstance(one, Pose) and (one.parent_frame, one.child_frame) == ("odom", "base")
            np.testing.assert_array_equal(one.translation, [i, 2, 3])
            np.testing.assert_array_equal(one.quaternion, [0, 0, 0.6, 0.8])
        assert where == Fix(t + 5, 48.0 + i, 7.8, 278.5, True)


def test_stamps_need_no_decoding(recording):
    stamps = recording.stamps(list(recording.topics))
    steps = START + 100_000_000 * np.arange(3)
    for offset, topic in enumerate(["/ir", "/points", "/rgb/compressed"], 1):
        np.testing.assert_array_equal(stamps[topic], steps + offset)
    np.testing.assert_array_equal(stamps["/tf"], steps)
    np.testing.assert_array_equal(stamps["/name"], steps + 16)  # without a header: the time of the log
    np.testing.assert_array_equal(recording.timelines(["/ir"])["/ir"].log_ns, steps + 10)


def test_only_wanted_messages_are_decoded(recording):
    wanted = {"/ir": [np.int64(START + 1)], "/points": []}
    read = [(topic, m.stamp_ns) for topic, m in recording.messages(["/ir", "/points", "/fix"], wanted)]
    assert read == [
        ("/ir", START + 1),
        ("/fix", START + 5),
        ("/fix", START + 100_000_005),
        ("/fix", START + 200_000_005),
    ]


def test_two_readings_at_once_do_not_disturb_each_other(recording):
    both = zip(recording.messages(["/ir"]), recording.messages(["/fix"]), strict=True)
    assert [(a.stamp_ns, b.stamp_ns) for (_, a), (_, b) in both] == [
        (START + 100_000_000 * i + 1, START + 100_000_000 * i + 5) for i in range(3)
    ]


def test_a_topic_that_is_not_there_is_named_with_those_that_are(recording):
    with pytest.raises(RecordingError, match=r"no topic /thermal; it has: .*/ir"):
        next(recording.messages(["/thermal"]))
    with pytest.raises(RecordingError, match="no topic /thermal"):
        recording.stamps(["/thermal"])


def test_topics_match_with_transport_suffixes(recording):
    assert resolve_topic(recording, "/rgb") == "/rgb/compressed"
    assert resolve_topic(recording, "rgb/compressed") == "/rgb/compressed"
    assert resolve_topic(recording, "/ir") == "/ir"
    assert resolve_topic(recording, "/ir/compressed") == "/ir"
    assert resolve_topic(recording, "/thermal") is None


def test_frames_of_old_tf_lose_their_slash(tmp_path):
    transforms = [transform(START, "/odom", "/base", [1.0, 2.0, 3.0], [0.0, 0.0, 0.0, 1.0])]
    with open_recording(
        write_recording(tmp_path, "bag", [("/tf", TF, {"transforms": transforms}, START)])
    ) as recording:
        (_, pose), *_ = recording.messages(["/tf"])
        assert (pose.parent_frame, pose.child_frame) == ("odom", "base")
        assert read_trajectory(recording, Body("/tf", "/odom", "/base", Rigid.identity())) is not None


@pytest.mark.parametrize("topic", ["/tf", "/odom", "/elsewhere"])
def test_the_trajectory_is_that_of_the_frames_asked_for(recording, topic):
    trajectory = read_trajectory(recording, Body(topic, "odom", "base", Rigid.identity()))
    np.testing.assert_array_equal(trajectory.translations, [[0, 2, 3], [1, 2, 3], [2, 2, 3]])
    assert read_trajectory(recording, Body(topic, "map", "base", Rigid.identity())) is None


def test_chunks_that_overlap_in_time_are_merged(tmp_path):
    times = [0, 50, 10, 40, 20, 30]
    messages = [("/ir", IMAGE, image(START + t, np.zeros((9, 9), np.uint16), "mono16"), START + t) for t in times]
    path = write_recording(tmp_path, "bag", messages, chunk_bytes=300)
    assert path.read_bytes().count(b"compression=none") == 4  # 0, 50 and 10, 40 and 20, 30
    with open_recording(path) as recording:
        assert (recording.stamps(["/ir"])["/ir"] - START).tolist() == sorted(times)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(KINDS),
    compression=st.sampled_from(["none", "lz4", "bz2"]),
    times=st.lists(st.integers(0, 50), min_size=1, max_size=30),
    chunk_bytes=st.sampled_from([1, 400, 1 << 20]),
    seed=st.integers(0, 2**32),
)
def test_any_order_of_writing_is_read_in_the_order_of_the_log(kind, compression, times, chunk_bytes, seed):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 65535, (len(times), 3, 4), np.uint16)
    messages = [(f"/ir{i % 2}", IMAGE, image(START + i, frames[i], "mono16"), START + t) for i, t in enumerate(times)]
    options = {"compression": compression, "chunk_bytes": chunk_bytes} if kind == "bag" else {}
    with tempfile.TemporaryDirectory() as folder:
        path = write_recording(Path(folder), kind, messages, **options)
        with open_recording(path) as recording:
            topics = list(recording.topics)
            read = list(recording.messages(topics))
            logs = np.concatenate([t.log_ns for t in recording.timelines(topics).values()])
    order = [m.stamp_ns - START for _, m in read]
    assert [times[i] for i in order] == sorted(times) and sorted(order) == list(range(len(times)))
    assert sorted(logs - START) == sorted(times)
    for (topic, message), i in zip(read, order, strict=True):
        assert topic == f"/ir{i % 2}"
        np.testing.assert_array_equal(message.pixels, frames[i])


@pytest.mark.parametrize("mode", ["FILE", "MESSAGE", "STORAGE"])
@pytest.mark.parametrize("kind", ["mcap", "folder"])
def test_what_zstandard_packed_reads_the_same(kind, mode, tmp_path):
    if (kind, mode) == ("folder", "STORAGE"):
        pytest.skip("SQLite has no compression of its own")
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.mkdir()
    packed.mkdir()
    with open_recording(write_recording(plain, kind, drive()[2])) as recording:
        expected = [repr(message) for message in recording.messages(list(recording.topics))]
    write_recording(packed, kind, drive()[2], mode=mode)
    with open_recording(packed / "drive") as recording:
        assert [repr(message) for message in recording.messages(list(recording.topics))] == expected
        assert recording.damage == []
    if mode == "MESSAGE":
        with pytest.raises(RecordingError, match="name the folder"):
            open_recording(next(file for file in (packed / "drive").iterdir() if file.stem == "drive"))


def test_an_mcap_without_chunks_with_messages_of_ros_1_is_read(tmp_path):
    """As converters write it: no summary, each message a record of its own."""

    def record(kind, data):
        return struct.pack("<BQ", kind, len(data)) + data

    def text(value):
        return struct.pack("<I", len(value)) + value

    thermal, _, messages = drive()
    data = [
        ROS1.serialize_ros1(build(ROS1, IMAGE, fields), IMAGE) for topic, _, fields, _ in messages if topic == "/ir"
    ]
    head = record(3, struct.pack("<H", 1) + text(b"sensor_msgs/Image") + text(b"ros1msg") + text(b""))
    head += record(4, struct.pack("<HH", 7, 1) + text(b"/ir") + text(b"ros1") + text(b""))
    body = b"".join(record(5, struct.pack("<HIQQ", 7, i, i, i) + bytes(one)) for i, one in enumerate(data))
    magic = b"\x89MCAP0\r\n"
    path = tmp_path / "converted.mcap"
    path.write_bytes(magic + record(1, text(b"ros1") + text(b"")) + head + body + record(2, bytes(20)) + magic)
    with open_recording(path) as recording:
        assert recording.topics["/ir"].count == 3 and recording.topics["/ir"].message_type == IMAGE
        for i, (_, message) in enumerate(recording.messages(["/ir"])):
            np.testing.assert_array_equal(message.pixels, thermal[i])


@pytest.mark.parametrize("number", range(6))
def test_big_endian_messages_of_ros_2_read_the_same(number):
    _, kind, fields, _ = drive()[2][number]
    message = build(ROS2, kind, fields)
    little, big = (bytes(ROS2.serialize_cdr(message, kind, little_endian=order)) for order in (True, False))
    one, other = decode(little, kind, "cdr"), decode(big, kind, "cdr")
    assert little != big and repr(one) == repr(other)
    assert first_stamp(big, kind, "cdr") == one[0].stamp_ns


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 5),
    st.sampled_from(["ros1", "cdr"]),
    st.integers(0, 400),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
)
def test_damaged_messages_decode_or_give_one_error(number, wire, cut, changes):
    _, kind, fields, _ = drive()[2][number]
    store, write = (ROS1, ROS1.serialize_ros1) if wire == "ros1" else (ROS2, ROS2.serialize_cdr)
    data = bytearray(write(build(store, kind, fields), kind))
    for at, value in changes:
        data[at % len(data)] = value
    try:
        assert isinstance(decode(bytes(data[: len(data) - cut % len(data)]), kind, wire), list)
    except RecordingError as error:
        assert "\n" not in str(error)
