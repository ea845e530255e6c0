"""LiDAR sweeps for the key frames of a calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.rig import Lidar
from heatnet.calib.trajectory import Trajectory
from heatnet.calib.views import Sweep
from heatnet.dataset_tools.recording import PointCloud, Recording, resolve_topic
from heatnet.progress import track

Stamps = NDArray[np.int64]
ALONE_NS = 60_000_000  # without odometry a sweep counts as of the key frame: half a turn at 10 Hz
REACH_NS = 12_000_000_000  # with it, older and younger sweeps see what the nearest does not
WAY_M = (6.0, 12.0, 24.0, 48.0)  # driven between the key frame and the sweeps that are taken before it
NEAREST_M, FARTHEST_M = 0.5, 250.0
LARGEST_OFFSET_S = 10.0  # a time field below this speaks of seconds after the stamp, or nanoseconds where it counts
SECOND_NS = 1_000_000_000


def load_sweeps(
    recording: Recording, lidar: Lidar, keys_ns: Sequence[int], trajectory: Trajectory | None
) -> dict[int, tuple[Sweep, ...]]:
    """The sweeps for key frames at `keys_ns`, by key frame; none where the recording has no such topic."""
    topic = resolve_topic(recording, lidar.topic)
    if topic is None or not keys_ns:
        return {}
    stamps = np.unique(recording.stamps([topic])[topic])
    chosen = {key: choose_sweeps(stamps, key, trajectory) for key in keys_ns}
    wanted = {stamp for stamps in chosen.values() for stamp in stamps}
    messages = recording.messages([topic], {topic: wanted}, skipped=[])
    clouds = (message for _, message in track(messages, f"Reading {lidar.topic}", len(wanted)))
    sweeps = {cloud.stamp_ns: make_sweep(cloud, lidar) for cloud in clouds if isinstance(cloud, PointCloud)}
    return {key: tuple(sweeps[s] for s in stamps if s in sweeps) for key, stamps in chosen.items()}


def choose_sweeps(stamps: Stamps, key_ns: int, trajectory: Trajectory | None) -> tuple[int, ...]:
    """Stamps of the sweeps worth having for a key frame, the nearest first.

    Besides the nearest: those taken some metres before, which see higher and farther up what is near now. Only the
    nearest, if near enough, where odometry does not tell how the rig moved.
    """
    if not len(stamps):
        return ()
    near = int(stamps[np.argmin(np.abs(stamps - key_ns))])
    known = trajectory is not None and trajectory.covers(key_ns) and trajectory.covers(near)
    if trajectory is None or not known:
        return (near,) if abs(near - key_ns) <= ALONE_NS else ()
    earlier = [int(s) for s in stamps[(stamps < near) & (stamps > key_ns - REACH_NS)] if trajectory.covers(int(s))]
    here = trajectory.at(key_ns).translation
    ways = np.array([np.linalg.norm(trajectory.at(s).translation - here) for s in earlier])
    chosen = {earlier[int(np.argmin(np.abs(ways - way)))] for way in WAY_M if len(ways) and ways.max() > way / 2}
    return (near, *sorted(chosen, reverse=True))


def make_sweep(cloud: PointCloud, lidar: Lidar) -> Sweep:
    """What of a point cloud lies in front of the left RGB camera, with the time of each point where that is recorded.

    Raises RecordingError where the cloud has no x, y, z.
    """
    points = cloud.xyz
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.linalg.norm(points, axis=1)
        depth = points @ lidar.cam0_from_lidar.rotation[2]
        good = (distance > NEAREST_M) & (distance < FARTHEST_M) & (depth > NEAREST_M)
    times = point_times(cloud.fields, cloud.stamp_ns)
    return Sweep(cloud.stamp_ns, points[good].astype(np.float32), None if times is None else times[good])


def point_times(fields: NDArray[np.void], stamp_ns: int) -> Stamps | None:
    """When each point (N,) was measured; None where the cloud does not say.

    Drivers write `time_sec` and `time_nsec` (Luminar), `timestamp` in seconds or nanoseconds since 1970 (Hesai,
    Robosense, Livox), or `t`, `time`, `offset_time` after the stamp: floats are seconds, integers nanoseconds.
    """
    names = fields.dtype.names or ()
    if {"time_sec", "time_nsec"} <= set(names) and len(fields):
        seconds, rest = (np.asarray(fields[name], np.int64) for name in ("time_sec", "time_nsec"))
        return _plausible(seconds * SECOND_NS + rest, stamp_ns)
    name = next((n for n in ("t", "time", "offset_time", "time_offset", "timestamp", "time_stamp") if n in names), None)
    if name is None or not len(fields) or fields[name].ndim != 1:
        return None
    return _plausible(_since_1970(fields[name], stamp_ns), stamp_ns)


def _since_1970(values: NDArray[Any], stamp_ns: int) -> Stamps | None:
    largest = float(np.max(np.abs(values.astype(np.float64)), initial=0.0))
    if not np.isfinite(largest) or largest == 0.0:
        return None
    if values.dtype.kind == "f":
        if largest < LARGEST_OFFSET_S:
            return stamp_ns + np.asarray(values * np.float64(1e9), np.int64)
        unit = 1e9 if largest < 1e11 else 1.0
        return np.asarray(values.astype(np.float64) * unit, np.int64)
    whole = values.astype(np.int64)
    return whole if largest > stamp_ns / 2 else stamp_ns + whole


def _plausible(times: Stamps | None, stamp_ns: int) -> Stamps | None:
    """The times, unless they lie so far from the stamp that the field must mean something else."""
    if times is None or np.abs(times - stamp_ns).max() > SECOND_NS:
        return None
    return times
