"""What a recording holds, decoded: plain arrays with stamps."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured
from numpy.typing import NDArray

from heatnet.errors import RecordingError


@dataclass(frozen=True)
class Topic:
    """One topic of a recording."""

    name: str
    message_type: str  # as ROS 2 writes it: sensor_msgs/msg/Image
    count: int  # messages in the recording


@dataclass(frozen=True)
class Image:
    """One image as its sensor saw it."""

    stamp_ns: int
    frame_id: str
    encoding: str  # as recorded: bayer_bggr8, mono16, or the format of a compressed image
    pixels: NDArray[np.uint8] | NDArray[np.uint16]  # (H, W, 3) uint8 RGB, (H, W) uint8, or (H, W) uint16


@dataclass(frozen=True)
class PointCloud:
    """One sweep of a LiDAR."""

    stamp_ns: int
    frame_id: str
    fields: NDArray[np.void]  # (N,), a named field for each of the message, native byte order, rows one after another

    @property
    def xyz(self) -> NDArray[np.float64]:
        """Points (N, 3) in metres in `frame_id`, as recorded: invalid ones are NaN or whatever the driver wrote."""
        missing = [name for name in "xyz" if name not in (self.fields.dtype.names or ())]
        if missing:
            raise RecordingError(
                f"point cloud at {self.stamp_ns} has no field {', '.join(missing)} among {self.fields.dtype.names}"
            )
        points: NDArray[np.float64] = structured_to_unstructured(self.fields[["x", "y", "z"]], dtype=np.float64)
        return points


@dataclass(frozen=True)
class Pose:
    """parent_from_child at a time: a tf transform or an odometry message."""

    stamp_ns: int
    parent_frame: str
    child_frame: str
    quaternion: NDArray[np.float64]  # (4,) x y z w
    translation: NDArray[np.float64]  # (3,) metres


@dataclass(frozen=True)
class Fix:
    """One satellite fix (WGS 84)."""

    stamp_ns: int
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    valid: bool  # the receiver says it has a fix, and the position is one on Earth


Message: TypeAlias = Image | PointCloud | Pose | Fix
