"""What a calibration looks at: key frames of the left RGB camera and the thermal frames near them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.trajectory import Trajectory


@dataclass(frozen=True)
class ThermalFrame:
    """One raw thermal image."""

    stamp_ns: int
    pixels: NDArray[np.uint16]  # (H, W) counts; 8-bit sources keep theirs


@dataclass(frozen=True)
class Sweep:
    """One sweep of the LiDAR, without what lies behind the left RGB camera."""

    stamp_ns: int
    points: NDArray[np.float32]  # (N, 3) metres in the LiDAR's frame at the time of each
    times_ns: NDArray[np.int64] | None  # (N,) when each was measured; None: not recorded, all count as of `stamp_ns`


@dataclass(frozen=True)
class View:
    """One key frame: a left RGB image, its right partner where there is one, and the thermal frames near it."""

    recording: int  # index into Views.recordings
    stamp_ns: int
    left: NDArray[np.uint8]  # (H, W, 3) RGB, raw
    right: NDArray[np.uint8] | None
    thermal: dict[str, tuple[ThermalFrame, ...]]  # by camera name, nearest to `stamp_ns` first
    sweeps: tuple[Sweep, ...] = ()  # of the LiDAR, nearest to `stamp_ns` first


@dataclass(frozen=True)
class Choice:
    """Whether a key frame that was looked at is used, and why."""

    recording: int  # index into Views.recordings
    stamp_ns: int
    used: bool
    reason: str


@dataclass(frozen=True)
class Views:
    """The key frames of one or several recordings of one rig."""

    views: tuple[View, ...]
    recordings: tuple[str, ...]  # names, for messages and reports
    trajectories: tuple[Trajectory | None, ...]  # one a recording; None where it has no odometry
    candidates: int = 0  # how many key frames the recordings held before the choice
    dropped: dict[str, int] = field(default_factory=dict)  # how many were left out, by reason
    choices: tuple[Choice, ...] = ()  # of the key frames looked at, by recording and stamp

    def names(self) -> str:
        """The recordings' names in one line."""
        return ", ".join(self.recordings)
