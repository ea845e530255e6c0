"""Which key frames the stamps of a recording allow, and which of them are worth a look; nothing is decoded."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.rig import Rig
from heatnet.calib.trajectory import Trajectory
from heatnet.dataset_tools.recording import Recording, resolve_topic
from heatnet.errors import RecordingError

Array = NDArray[np.float64]
Stamps = NDArray[np.int64]
TURN_M = 20.0  # a radian of heading counts as this many metres of way


@dataclass(frozen=True)
class ViewsConfig:
    """Which frames are taken."""

    key_frames: int = 20  # of all recordings together: more cost time and add little
    looks: int = 60  # key frames that are looked at before the choice, of all recordings together
    thermal_window_ms: float = 60.0  # thermal frames this near to a key frame count
    thermal_frames: int = 3  # of one camera a key frame, the nearest ones
    stereo_tolerance_ms: float = 5.0
    standing_m_s: float = 0.3  # time counts as if the rig crept at this speed: frames taken while standing say the same
    lidar: bool = True  # read sweeps too, where rig and recording have a LiDAR
    salvage: bool = False  # use what can be read of a damaged recording


@dataclass(frozen=True)
class KeyFrame:
    """The stamps of one key frame."""

    stamp_ns: int
    right_ns: int | None
    thermal_ns: dict[str, tuple[int, ...]]  # by camera name, nearest first
    before_ns: dict[str, int]  # the thermal frame before the earliest of these, where there is one


def plan_key_frames(recording: Recording, rig: Rig, config: ViewsConfig, dropped: Counter[str]) -> list[KeyFrame]:
    """Every key frame that the stamps allow; `dropped` counts the others by reason.

    Left images without a right one are used only where no left image has one: what needs stereo says so later.
    Raises RecordingError where the recording has no left RGB or no thermal topic.
    """
    stamps = _camera_stamps(recording, rig)
    left = rig.rgb_left
    if left.name not in stamps:
        raise RecordingError(
            f"{recording.path}: no topic {left.topic}; it has: {', '.join(recording.topics) or 'none'}"
        )
    thermal = {c.name: stamps[c.name] for c in rig.thermal if c.name in stamps}
    if not thermal:
        wanted = ", ".join(c.topic for c in rig.thermal)
        raise RecordingError(
            f"{recording.path}: no thermal topic ({wanted}); it has: {', '.join(recording.topics) or 'none'}"
        )
    right = next((c.name for c in rig.rgb[1:2] if c.name in stamps), None)
    frames = []
    for stamp in stamps[left.name]:
        partner = _near(stamps[right], stamp, config.stereo_tolerance_ms)[:1] if right else ()
        around = {n: _near(s, stamp, config.thermal_window_ms)[: config.thermal_frames] for n, s in thermal.items()}
        if not any(around.values()):
            dropped["left RGB images without a thermal frame near"] += 1
        else:
            before = {n: b for n, s in around.items() if s and (b := _before(thermal[n], min(s))) is not None}
            frames.append(KeyFrame(int(stamp), partner[0] if partner else None, around, before))
    pairs = [frame for frame in frames if frame.right_ns is not None]
    if pairs and len(pairs) < len(frames):
        dropped["left RGB images without a right one"] += len(frames) - len(pairs)
    return pairs or frames


def _camera_stamps(recording: Recording, rig: Rig) -> dict[str, Stamps]:
    """Sorted stamps of the rig's cameras that the recording has, by camera name."""
    topics = {c.name: topic for c in rig.cameras if (topic := resolve_topic(recording, c.topic)) is not None}
    stamps = recording.stamps(list(topics.values()))
    return {name: np.unique(stamps[topic]) for name, topic in topics.items()}


def _near(stamps: Stamps, stamp: np.int64, tolerance_ms: float) -> tuple[int, ...]:
    """Stamps at most `tolerance_ms` away, the nearest first."""
    reach = int(tolerance_ms * 1e6)
    first, last = np.searchsorted(stamps, [stamp - reach, stamp + reach + 1])
    return tuple(sorted((int(s) for s in stamps[first:last]), key=lambda s: abs(s - int(stamp))))


def _before(stamps: Stamps, stamp: int) -> int | None:
    """The last of the stamps before `stamp`."""
    index = int(np.searchsorted(stamps, stamp))
    return int(stamps[index - 1]) if index else None


def worth_a_look(
    frames: list[KeyFrame], trajectory: Trajectory | None, count: int, config: ViewsConfig
) -> list[KeyFrame]:
    """At most `count` key frames, evenly spread over the way driven; turns count as way.

    They tell a lag of the thermal cameras from a forward offset, which driving straight ahead does not.
    """
    if len(frames) <= count:
        return frames
    stamps = np.array([f.stamp_ns for f in frames])
    way = config.standing_m_s * (stamps - stamps[0]) * 1e-9
    if trajectory is not None and len(trajectory.stamps_ns) > 1:
        way = way + np.interp(stamps, trajectory.stamps_ns, _way(trajectory))
    ideal = np.linspace(way[0], way[-1], count)
    chosen = np.unique(np.abs(way[:, None] - ideal[None]).argmin(axis=0))
    return [frames[i] for i in chosen]


def _way(trajectory: Trajectory) -> Array:
    """Metres (N,) of way up to each pose, turns among it."""
    steps = np.linalg.norm(np.diff(trajectory.translations, axis=0), axis=1)
    units = trajectory.quaternions / np.linalg.norm(trajectory.quaternions, axis=1, keepdims=True)
    turns = 2 * np.arccos(np.clip(np.abs((units[1:] * units[:-1]).sum(1)), 0.0, 1.0))
    return np.concatenate([[0.0], np.cumsum(steps + TURN_M * turns)])
