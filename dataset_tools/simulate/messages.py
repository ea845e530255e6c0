"""ROS messages of what the sensors give, for ROS 1 and ROS 2."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from heatnet.calib.rigid import Rigid, quaternion_from_rotation
from heatnet.dataset_tools.simulate.lidar import POINT
from heatnet.dataset_tools.simulate.sensors import mosaic

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CLOUD, FIX, TRANSFORMS = "sensor_msgs/msg/PointCloud2", "sensor_msgs/msg/NavSatFix", "tf2_msgs/msg/TFMessage"
IMAGE_DELAY_NS, CLOUD_DELAY_NS = 2_000_000, 10_000_000  # from a stamp to its entry in the log
JPEG_QUALITY = 92


@dataclass(frozen=True)
class Outgoing:
    """One message on its way into a recording."""

    log_ns: int
    topic: str
    message_type: str
    message: Any


def type_store(ros1: bool) -> Typestore:
    """The message types of a ROS generation."""
    if not ros1:
        return get_typestore(Stores.ROS2_HUMBLE)
    store = get_typestore(Stores.ROS1_NOETIC)
    store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", TRANSFORMS))
    return store


class Messages:
    """Makes messages of one ROS generation."""

    def __init__(self, ros1: bool, compress: bool) -> None:
        self.store = type_store(ros1)
        self._ros1, self._compress = ros1, compress

    def colour(self, topic: str, stamp_ns: int, rgb: NDArray[np.uint8]) -> Outgoing:
        """A colour image (H, W, 3): bayer_bggr8, or JPEG."""
        if not self._compress:
            return self._raw(topic, stamp_ns, "bayer_bggr8", mosaic(rgb))
        data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        return self._coded(topic, stamp_ns, "rgb8; jpeg compressed bgr8", data)

    def thermal(self, topic: str, stamp_ns: int, counts: NDArray[np.uint16]) -> Outgoing:
        """A thermal image (H, W): mono16, or 16-bit PNG."""
        if not self._compress:
            return self._raw(topic, stamp_ns, "mono16", counts)
        data = cv2.imencode(".png", counts, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1]
        return self._coded(topic, stamp_ns, "mono16; png compressed ", data)

    def cloud(self, topic: str, stamp_ns: int, points: NDArray) -> Outgoing:
        """A LiDAR scan (N,) of type POINT."""
        field = self.store.types["sensor_msgs/msg/PointField"]
        kinds = {"<f4": 7, "<u2": 4}
        fields = [
            field(name, int(POINT.fields[name][1]), kinds[POINT.fields[name][0].str], 1)  # type: ignore[index]
            for name in POINT.names or ()
        ]
        size = POINT.itemsize
        data = np.frombuffer(points.tobytes(), np.uint8)
        header = self._header(stamp_ns, "velodyne")
        message = self.store.types[CLOUD](header, 1, len(points), fields, False, size, size * len(points), data, True)
        return Outgoing(stamp_ns + CLOUD_DELAY_NS, topic, CLOUD, message)

    def fix(self, topic: str, stamp_ns: int, latitude: float, longitude: float, altitude: float) -> Outgoing:
        """A GNSS fix in degrees and metres."""
        status = self.store.types["sensor_msgs/msg/NavSatStatus"](0, 1)
        covariance = np.diag([0.04, 0.04, 0.16]).ravel()
        header = self._header(stamp_ns, "gnss")
        message = self.store.types[FIX](header, status, latitude, longitude, altitude, covariance, 2)
        return Outgoing(stamp_ns, topic, FIX, message)

    def transform(self, topic: str, stamp_ns: int, parent: str, child: str, parent_from_child: Rigid) -> Outgoing:
        """A pose of the odometry."""
        types = self.store.types
        vector = types["geometry_msgs/msg/Vector3"](*map(float, parent_from_child.translation))
        turn = types["geometry_msgs/msg/Quaternion"](*map(float, quaternion_from_rotation(parent_from_child.rotation)))
        motion = types["geometry_msgs/msg/Transform"](vector, turn)
        stamped = types["geometry_msgs/msg/TransformStamped"](self._header(stamp_ns, parent), child, motion)
        return Outgoing(stamp_ns, topic, TRANSFORMS, types[TRANSFORMS]([stamped]))

    def _raw(self, topic: str, stamp_ns: int, encoding: str, pixels: NDArray) -> Outgoing:
        height, width = pixels.shape
        data = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8)
        header = self._header(stamp_ns, topic.strip("/"))
        message = self.store.types[IMAGE](header, height, width, encoding, 0, width * pixels.itemsize, data)
        return Outgoing(stamp_ns + IMAGE_DELAY_NS, topic, IMAGE, message)

    def _coded(self, topic: str, stamp_ns: int, kind: str, data: NDArray[np.uint8]) -> Outgoing:
        message = self.store.types[COMPRESSED](self._header(stamp_ns, topic.strip("/")), kind, data.ravel())
        return Outgoing(stamp_ns + IMAGE_DELAY_NS, f"{topic}/compressed", COMPRESSED, message)

    def _header(self, stamp_ns: int, frame: str) -> Any:
        stamp = self.store.types["builtin_interfaces/msg/Time"](*map(int, divmod(stamp_ns, 1_000_000_000)))
        header = self.store.types["std_msgs/msg/Header"]
        return header(0, stamp, frame) if self._ros1 else header(stamp, frame)
