"""Time and memory of `heatnet calibrate` with its report, for 14 key frames and for 500; prints both and their ratio.

usage: python benchmarks/calibration_speed.py [SHORT.bag RIG.yaml]     without them, 14 key frames are simulated

The long recording is the short one over and over, stamps and odometry carried on and exposure changed each time.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Reader, Writer

from heatnet.calib.rigid import Rigid, quaternion_from_rotation, rotation_from_quaternion
from heatnet.calib.trajectory import Trajectory
from heatnet.dataset_tools.recording import open_recording
from heatnet.dataset_tools.simulate import SimulationConfig, simulate
from heatnet.dataset_tools.simulate.messages import TRANSFORMS, type_store

SHORT, LONG = 14, 500
SPAN_NS = SHORT * 1_000_000_000
STORE = type_store(ros1=True)
RUN = """
import sys, time
begun = time.perf_counter()
from heatnet.cli import main
main(sys.argv[1:], standalone_mode=False)
text = open("/proc/self/status").read()
print("wall", time.perf_counter() - begun, "cpu", time.process_time(), "VmHWM", text.split("VmHWM:")[1].split()[0])
"""


def main() -> None:
    """Make what is missing, measure, print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        short, rig = (Path(a) for a in sys.argv[1:3]) if len(sys.argv) > 2 else _simulated(folder / "short")
        long = lengthened(short, folder / "long.bag", LONG)
        begun = time.perf_counter()
        with open_recording(long) as recording:
            recording.stamps(list(recording.topics))
        reading = time.perf_counter() - begun
        walls = [_measured(path, rig, folder) for path in (short, long)]
        print(
            f"one pass over {long.stat().st_size / 1e9:.1f} GB: {reading:.1f} s; 500 : 14 = {walls[1] / walls[0]:.2f}"
        )


def _simulated(folder: Path) -> tuple[Path, Path]:
    simulate(folder, SimulationConfig(frames=SHORT, seed=1))
    return folder / "day.bag", folder / "rough_camchain.yaml"


def _measured(recording: Path, rig: Path, folder: Path) -> float:
    """Seconds of one calibration, in a process of its own."""
    output = folder / recording.stem
    output.mkdir()
    options = ["calibrate", recording, "--rig", rig, "-o", output / "c.yaml", "--report", output / "r.html"]
    text = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, options)], check=True, capture_output=True, text=True
    ).stdout
    found = re.search(r"wall (\S+) cpu (\S+) VmHWM (\S+)", text)
    assert found
    wall, cpu, peak_kb = map(float, found.groups())
    size = (output / "r.html").stat().st_size
    print(f"{recording.name}: {wall:5.1f} s, {cpu:5.1f} s of CPU, {peak_kb / 1e3:.0f} MB; report {size / 1e6:.1f} MB")
    return wall


def lengthened(short: Path, path: Path, key_frames: int) -> Path:
    """The recording `short` so often that it has `key_frames`, as one drive."""
    with Reader(short) as reader, Writer(path) as writer:
        connections = {c.id: writer.add_connection(c.topic, c.msgtype, typestore=STORE) for c in reader.connections}
        messages = [(c, log_ns, STORE.deserialize_ros1(data, c.msgtype)) for c, log_ns, data in reader.messages()]
        carried = _carried(messages)
        for again in range(-(-key_frames // SHORT)):
            for connection, log_ns, message in messages:
                shifted = _shifted(message, connection.msgtype, again, carried)
                data = STORE.serialize_ros1(shifted, connection.msgtype)
                writer.write(connections[connection.id], log_ns + again * SPAN_NS, data)
    return path


def _carried(messages: list[Any]) -> Rigid:
    """The motion from the start of the short recording to that of its next repetition."""
    poses = [t for c, _, m in messages if c.msgtype == TRANSFORMS for t in m.transforms]
    stamps = np.array([_ns(t.header.stamp) for t in poses])
    turns = np.array([[getattr(t.transform.rotation, a) for a in "xyzw"] for t in poses])
    places = np.array([[getattr(t.transform.translation, a) for a in "xyz"] for t in poses])
    trajectory = Trajectory.from_samples(stamps, turns, places)
    return trajectory.at(int(stamps.min()) + SPAN_NS) @ trajectory.at(int(stamps.min())).inverse()


def _shifted(message: Any, kind: str, again: int, carried: Rigid) -> Any:
    if kind == TRANSFORMS:
        return type(message)([_transform(t, again, carried) for t in message.transforms])
    fields = dict(_fields(message)) | {"header": _header(message.header, again)}
    if kind.endswith("/Image") and "bayer" in message.encoding:
        fields["data"] = np.minimum(message.data * np.float32(1 - 0.015 * again), 255).astype(np.uint8)
    return type(message)(**fields)


def _transform(transform: Any, again: int, carried: Rigid) -> Any:
    move = Rigid.identity()
    for _ in range(again):
        move = carried @ move
    vector, turn = transform.transform.translation, transform.transform.rotation
    rotation = rotation_from_quaternion(np.array([turn.x, turn.y, turn.z, turn.w]))
    pose = move @ Rigid(rotation, np.array([vector.x, vector.y, vector.z]))
    moved = type(transform.transform)(
        type(vector)(*map(float, pose.translation)), type(turn)(*map(float, quaternion_from_rotation(pose.rotation)))
    )
    return type(transform)(_header(transform.header, again), transform.child_frame_id, moved)


def _header(header: Any, again: int) -> Any:
    stamp = type(header.stamp)(*divmod(_ns(header.stamp) + again * SPAN_NS, 1_000_000_000))
    return type(header)(**(dict(_fields(header)) | {"stamp": stamp}))


def _fields(message: Any) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(message, name)) for name in message.__dataclass_fields__ if name != "__msgtype__")


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


if __name__ == "__main__":
    main()
