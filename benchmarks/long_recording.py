"""A recording as long as one likes, out of a short one: its messages again and again with later stamps."""

import struct
from pathlib import Path

from rosbags.rosbag1 import Reader, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from heatnet.dataset_tools.simulate import SimulationConfig, simulate

SECOND_NS = 10**9


def simulated_drive(folder: Path, frames: int = 2) -> Path:
    """A short drive of full size."""
    simulate(folder, SimulationConfig(frames=frames, edge_samples=1, compressed=False))
    return folder


def repeat_drive(drive: Path, folder: Path, pairs: int, without: tuple[str, ...] = ("velodyne",)) -> tuple[Path, Path]:
    """Write FOLDER/long.bag with at least `pairs` key frames of the drive's day.bag; returns it and its rig file.

    Topics whose name holds one of `without` are left out.
    """
    path, bag = folder / "long.bag", drive / "day.bag"
    path.unlink(missing_ok=True)
    store = get_typestore(Stores.ROS1_NOETIC)
    store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage"))
    with Reader(bag) as reader, Writer(path) as writer:
        chosen = [c for c in reader.connections if not any(word in c.topic for word in without)]
        made = {c.id: writer.add_connection(c.topic, c.msgtype, typestore=store) for c in chosen}
        keys = sum(c.msgcount for c in chosen if "rgb_fl" in c.topic)
        span_ns = (reader.duration // SECOND_NS + 1) * SECOND_NS
        for turn in range(-(-pairs // keys)):
            for connection, log_ns, raw in reader.messages(chosen):
                shift = turn * span_ns
                writer.write(made[connection.id], log_ns + shift, _later(bytes(raw), connection.msgtype, shift))
    return path, drive / "truth_camchain.yaml"


def _later(raw: bytes, kind: str, shift_ns: int) -> bytes:
    """A ROS 1 message with a later header stamp; of tf that of its one transform."""
    at = 8 if kind.endswith("TFMessage") else 4
    sec, nsec = struct.unpack_from("<II", raw, at)
    return raw[:at] + struct.pack("<II", *divmod(sec * SECOND_NS + nsec + shift_ns, SECOND_NS)) + raw[at + 8 :]
