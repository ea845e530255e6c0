"""A rig: its cameras in a chain, its LiDAR and its body."""

from dataclasses import dataclass, field, replace
from typing import Any

from heatnet.calib.camera import Camera
from heatnet.calib.rigid import Rigid
from heatnet.errors import RigError


@dataclass(frozen=True)
class RigCamera:
    """One camera of a rig and where it sits."""

    name: str  # cam0, cam1, ... as in the rig file
    camera: Camera
    topic: str
    thermal: bool
    cam_from_cam0: Rigid
    document: dict[str, Any] = field(default_factory=dict, repr=False)  # the block as the file had it


@dataclass(frozen=True)
class Lidar:
    """A LiDAR and where it sits."""

    topic: str
    cam0_from_lidar: Rigid


@dataclass(frozen=True)
class Body:
    """What the odometry speaks of: the motion of `child_frame` in `parent_frame`."""

    odometry_topic: str
    parent_frame: str
    child_frame: str
    cam0_from_body: Rigid


@dataclass(frozen=True)
class Rig:
    """Cameras in the order of the rig file; cam0 is the left RGB camera and the frame of reference."""

    cameras: tuple[RigCamera, ...]
    lidar: Lidar | None = None
    body: Body | None = None
    document: dict[str, Any] = field(default_factory=dict, repr=False)  # the whole file as read

    @property
    def rgb(self) -> tuple[RigCamera, ...]:
        """The cameras that are not thermal, in order: left, then right where there is one."""
        return tuple(c for c in self.cameras if not c.thermal)

    @property
    def thermal(self) -> tuple[RigCamera, ...]:
        """The thermal cameras, in order."""
        return tuple(c for c in self.cameras if c.thermal)

    @property
    def rgb_left(self) -> RigCamera:
        """The first RGB camera. Raises RigError where the rig has none."""
        if not self.rgb:
            raise RigError(
                f"no RGB camera among {', '.join(c.topic for c in self.cameras)}; cam0 must be the left RGB camera"
            )
        return self.rgb[0]

    def __getitem__(self, name: str) -> RigCamera:
        return next(c for c in self.cameras if c.name == name)

    def with_camera(self, changed: RigCamera) -> "Rig":
        """The same rig with the camera of that name replaced."""
        return replace(self, cameras=tuple(changed if c.name == changed.name else c for c in self.cameras))
