"""Writes recordings for the tests, by the rosbags library, which the readers under test do not use for these types."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

ROS1, ROS2 = get_typestore(Stores.ROS1_NOETIC), get_typestore(Stores.ROS2_HUMBLE)
ROS1.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage"))
KINDS = ("bag", "mcap", "db3", "folder")
POINT_CODES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
Stamped = tuple[str, str, dict[str, Any], int]  # topic, type, fields, log time in ns


def write_recording(path: Path, kind: str, messages: Iterable[Stamped], **options: Any) -> Path:
    """A recording of `kind` in `path` (a folder); what to open."""
    if kind == "bag":
        return _write1(path / "drive.bag", messages, **options)
    plugin = StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3
    writer = Writer2(path / "drive", version=9, storage_plugin=plugin)
    if "mode" in options:
        writer.set_compression(CompressionMode[options["mode"]], CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for topic, kind_of, fields, log_ns in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind_of, typestore=ROS2)
            writer.write(connections[topic], log_ns, ROS2.serialize_cdr(build(ROS2, kind_of, fields), kind_of))
    return path / "drive" if kind == "folder" else path / "drive" / f"drive.{kind}"


def _write1(path: Path, messages: Iterable[Stamped], compression: str = "none", chunk_bytes: int = 1 << 20) -> Path:
    writer = Writer1(path)
    writer.chunk_threshold = chunk_bytes
    if compression != "none":
        writer.set_compression(Writer1.CompressionFormat[compression.upper()])
    with writer:
        connections: dict[str, Any] = {}
        for topic, kind, fields, log_ns in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=ROS1)
            writer.write(connections[topic], log_ns, ROS1.serialize_ros1(build(ROS1, kind, fields), kind))
    return path


def build(store: Any, kind: str, fields: dict[str, Any]) -> Any:
    """A message of `store` from nested plain values; `header` is (stamp in ns, frame)."""
    made = {}
    for name, (_, detail) in store.get_msgdef(kind).fields:
        value = fields[name]
        if name == "header":
            made[name] = _header(store, *value)
        elif isinstance(value, dict):
            made[name] = build(store, detail, value)
        elif isinstance(value, list):
            made[name] = [build(store, detail[0][1], item) for item in value]
        else:
            made[name] = value
    return store.types[kind](**made)


def _header(store: Any, stamp_ns: int, frame: str) -> Any:
    time = store.types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 1_000_000_000))
    sequence = {"seq": 7} if store is ROS1 else {}
    return store.types["std_msgs/msg/Header"](**sequence, stamp=time, frame_id=frame)


def image(
    stamp_ns: int, pixels: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False
) -> dict[str, Any]:
    """Fields of a sensor_msgs/Image; every row is followed by `padding` bytes of noise."""
    height, width = pixels.shape[:2]
    stored = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<"))
    rows = stored.reshape(height, -1).view(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (height, padding), np.uint8)
    data = np.hstack([rows, noise])
    return {
        "header": (stamp_ns, "eye"),
        "height": height,
        "width": width,
        "encoding": encoding,
        "is_bigendian": int(big_endian),
        "step": data.shape[1],
        "data": data.reshape(-1),
    }


def compressed(stamp_ns: int, data: bytes, form: str = "jpeg") -> dict[str, Any]:
    """Fields of a sensor_msgs/CompressedImage."""
    return {"header": (stamp_ns, "eye"), "format": form, "data": np.frombuffer(data, np.uint8)}


def cloud(stamp_ns: int, points: np.ndarray, row_padding: int = 0, big_endian: bool = False) -> dict[str, Any]:
    """Fields of a sensor_msgs/PointCloud2 of structured points (H, W), laid out as their dtype is."""
    dtype = points.dtype
    rows = np.frombuffer(points.tobytes(), np.uint8).reshape(points.shape[0], -1)
    data = np.hstack([rows, np.full((points.shape[0], row_padding), 0xAB, np.uint8)])
    fields = [
        {
            "name": name,
            "offset": dtype.fields[name][1],
            "datatype": POINT_CODES[dtype[name].base.str[1:]],
            "count": int(np.prod(dtype[name].shape, dtype=int)),
        }
        for name in dtype.names
    ]
    return {
        "header": (stamp_ns, "lidar"),
        "height": points.shape[0],
        "width": points.shape[1],
        "fields": fields,
        "is_bigendian": big_endian,
        "point_step": dtype.itemsize,
        "row_step": data.shape[1],
        "data": data.reshape(-1),
        "is_dense": True,
    }


def transform(stamp_ns: int, parent: str, child: str, translation: Any, quaternion: Any) -> dict[str, Any]:
    """Fields of a geometry_msgs/TransformStamped."""
    return {
        "header": (stamp_ns, parent),
        "child_frame_id": child,
        "transform": {
            "translation": dict(zip("xyz", translation, strict=True)),
            "rotation": dict(zip("xyzw", quaternion, strict=True)),
        },
    }


def odometry(stamp_ns: int, parent: str, child: str, translation: Any, quaternion: Any) -> dict[str, Any]:
    """Fields of a nav_msgs/Odometry."""
    zero = {"x": 0.0, "y": 0.0, "z": 0.0}
    pose = {
        "position": dict(zip("xyz", translation, strict=True)),
        "orientation": dict(zip("xyzw", quaternion, strict=True)),
    }
    return {
        "header": (stamp_ns, parent),
        "child_frame_id": child,
        "pose": {"pose": pose, "covariance": np.zeros(36)},
        "twist": {"twist": {"linear": zero, "angular": zero}, "covariance": np.zeros(36)},
    }


def fix(stamp_ns: int, latitude: float, longitude: float, status: int = 0) -> dict[str, Any]:
    """Fields of a sensor_msgs/NavSatFix."""
    return {
        "header": (stamp_ns, "gnss"),
        "status": {"status": status, "service": 1},
        "latitude": latitude,
        "longitude": longitude,
        "altitude": 278.5,
        "position_covariance": np.zeros(9),
        "position_covariance_type": 0,
    }
