"""From the bytes of a message to what it means. Types that nothing here knows are passed over by the readers."""

import math
from collections.abc import Callable

from heatnet.dataset_tools.recording.compressed import decode_compressed
from heatnet.dataset_tools.recording.messages import Fix, Image, Message, PointCloud, Pose
from heatnet.dataset_tools.recording.pixels import RawImage, decode_raw
from heatnet.dataset_tools.recording.pointcloud import Field, RawCloud, decode_cloud
from heatnet.dataset_tools.recording.wire import Cursor, Wire

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
POINT_CLOUD = "sensor_msgs/msg/PointCloud2"
ODOMETRY = "nav_msgs/msg/Odometry"
FIX = "sensor_msgs/msg/NavSatFix"
TRANSFORMS = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
IMAGES = (IMAGE, COMPRESSED_IMAGE)


def decode(data: bytes | memoryview, message_type: str, wire: Wire, mosaics: bool = False) -> list[Message]:
    """The messages in `data`: one, or one Pose for each transform of a tf message; `mosaics`: see `decode_raw`.

    Raises RecordingError where the bytes contradict themselves, KeyError for a type not in DECODERS.
    """
    cursor = Cursor(data, wire)
    return _image(cursor, mosaics) if message_type == IMAGE else DECODERS[message_type](cursor)


def first_stamp(data: bytes | memoryview, message_type: str, wire: Wire) -> int | None:
    """Header stamp (ns) of a message that starts with a header or a list of transforms; None for an empty list."""
    cursor = Cursor(data, wire)
    if message_type in TRANSFORMS and not cursor.number("I"):
        return None
    return cursor.stamp()


def _image(cursor: Cursor, mosaics: bool = False) -> list[Message]:
    header = cursor.header()
    height, width, encoding = cursor.number("I"), cursor.number("I"), cursor.string()
    raw = RawImage(height, width, encoding, bool(cursor.number("B")), cursor.number("I"), cursor.octets())
    return [Image(header.stamp_ns, header.frame_id, encoding, decode_raw(raw, mosaics))]


def _compressed(cursor: Cursor) -> list[Message]:
    header, encoding = cursor.header(), cursor.string()
    return [Image(header.stamp_ns, header.frame_id, encoding, decode_compressed(cursor.octets(), encoding))]


def _cloud(cursor: Cursor) -> list[Message]:
    header, height, width = cursor.header(), cursor.number("I"), cursor.number("I")
    fields = tuple(
        Field(cursor.string(), cursor.number("I"), cursor.number("B"), cursor.number("I"))
        for _ in range(cursor.number("I"))
    )
    big_endian, point_step, row_step = bool(cursor.number("B")), cursor.number("I"), cursor.number("I")
    raw = RawCloud(height, width, fields, big_endian, point_step, row_step, cursor.octets())
    return [PointCloud(header.stamp_ns, header.frame_id, decode_cloud(raw))]


def _transforms(cursor: Cursor) -> list[Message]:
    return [_transform(cursor) for _ in range(cursor.number("I"))]


def _transform(cursor: Cursor) -> Pose:
    header, child = cursor.header(), cursor.string()
    pose = cursor.floats(7)
    return Pose(header.stamp_ns, _frame(header.frame_id), _frame(child), quaternion=pose[3:], translation=pose[:3])


def _odometry(cursor: Cursor) -> list[Message]:
    return [_transform(cursor)]  # header, child frame, position and orientation lead, as in a transform


def _fix(cursor: Cursor) -> list[Message]:
    header, status, _service = cursor.header(), cursor.number("b"), cursor.number("H")
    latitude, longitude, altitude = (float(v) for v in cursor.floats(3))
    on_earth = math.isfinite(latitude + longitude) and abs(latitude) <= 90 and abs(longitude) <= 360
    return [Fix(header.stamp_ns, latitude, longitude, altitude, status >= 0 and on_earth)]


def _frame(name: str) -> str:
    return name.removeprefix("/")  # tf of old wrote /base_link where tf2 writes base_link


DECODERS: dict[str, Callable[[Cursor], list[Message]]] = {
    IMAGE: _image,
    COMPRESSED_IMAGE: _compressed,
    POINT_CLOUD: _cloud,
    ODOMETRY: _odometry,
    FIX: _fix,
    **dict.fromkeys(TRANSFORMS, _transforms),
}
