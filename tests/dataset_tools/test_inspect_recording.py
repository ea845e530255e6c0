"""The summary of a recording tells what a rig engineer would want to know."""

import json

import numpy as np
import pytest
from recording_writers import KINDS, cloud, compressed, fix, image, transform, write_recording

from heatnet.dataset_tools.inspect_recording import inspect_recording, timeline_warnings
from heatnet.dataset_tools.recording.reader import Timeline

SECOND = 10**9
START = 1_565_258_400 * SECOND


def warnings(stamps, logs=None):
    array = START + (np.array(stamps, np.float64) * SECOND).astype(np.int64)
    return timeline_warnings("/ir", Timeline(array, array if logs is None else array + int(logs * SECOND)))


def test_an_even_topic_raises_no_warning():
    rng = np.random.default_rng(0)
    assert warnings(np.arange(300) / 30 + rng.uniform(-0.003, 0.003, 300)) == []
    assert warnings([1.0]) == warnings([1.0, 2.0]) == []


def test_gaps_bursts_and_jumps_are_told():
    even = np.arange(300) / 30
    assert "1 gap, the largest 2.033 s, 3.300 s from the first" in warnings(np.where(even > 3.31, even + 2, even))[0]
    bursts = np.concatenate([np.arange(3) / 30 + second for second in range(8)])
    assert "8 bursts of 3.0 messages, 0.933 s between" in warnings(bursts)[0]
    assert "1 stamp of 300 go backwards, by up to 5" in warnings(np.where(even > 5, even - 5.05, even))[0]
    assert "299 stamps of 300 repeat" in warnings(np.zeros(300))[0]
    assert "62.000 s behind the recorder" in warnings(even, 62)[0]
    assert warnings([]) == ["/ir: no messages"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_summary_is_what_was_written(kind, tmp_path):
    points = np.zeros((2, 5), np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("ring", "<u2")]))
    messages = []
    for i in range(5):
        t = START + i * SECOND // 2
        messages += [
            ("/ir", "sensor_msgs/msg/Image", image(t, np.zeros((8, 10), np.uint16), "mono16"), t),
            ("/points", "sensor_msgs/msg/PointCloud2", cloud(t, points), t + 1),
            (
                "/tf",
                "tf2_msgs/msg/TFMessage",
                {"transforms": [transform(t, "odom", "base", [0.0] * 3, [0.0, 0.0, 0.0, 1.0])]},
                t + 2,
            ),
            ("/fix", "sensor_msgs/msg/NavSatFix", fix(t, 48.0, 7.8), t + 3),
            ("/bad", "sensor_msgs/msg/CompressedImage", compressed(t, b"nothing"), t + 4),
        ]
    summary = inspect_recording(write_recording(tmp_path, kind, messages))
    assert summary.start_utc == "2019-08-08T10:00:00.000+00:00"
    assert summary.duration_s == pytest.approx(2.000000004, abs=1e-12) and summary.messages == 25
    rows = {row[0]: row[2:] for row in summary.rows()}
    assert rows["/ir"] == ("5", "2 Hz", "0.5 s", "10x8 mono16, 16 bit")
    assert rows["/points"][-1] == "10 points: x f4, y f4, z f4, ring u2"
    assert [(f.parent, f.child, f.count, f.rate_hz) for f in summary.frames] == [("odom", "base", 5, 2.0)]
    assert len(summary.warnings) == 1 and "5 messages cannot be read, the first: " in summary.warnings[0]
    assert json.loads(json.dumps(summary.as_dict()))["topics"][0]["name"] == "/bad"
