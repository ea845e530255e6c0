"""A look at the key frames of a recording, one after the other: what the choice among them is made by."""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.glance import Glance, Onlooker
from heatnet.calib.rig import Rig
from heatnet.calib.rigid import rotation_log
from heatnet.calib.selection import Candidate
from heatnet.calib.trajectory import Trajectory
from heatnet.dataset_tools.camera_images import camera_images
from heatnet.dataset_tools.key_frames import KeyFrame
from heatnet.dataset_tools.recording import Recording

WORKERS = 2
HALF_SECOND_NS = 500_000_000
TURNING_RAD_S = 0.07
SLOW, FAST = 0.7, 1.3  # of the usual speed
STANDING_M_S = 0.3
Pictures = dict[tuple[str, int], NDArray[Any]]


def look_at(
    recording: Recording, rig: Rig, frames: list[KeyFrame], index: int, trajectory: Trajectory | None
) -> list[Candidate]:
    """A candidate for each of `frames` whose left image can be read; few of them are in memory at a time.

    `index` is the recording's number. Raises RecordingError where images have another size than the rig file says.
    """
    onlooker, looks = Onlooker(rig), dict[int, Future[Glance]]()
    with ThreadPoolExecutor(WORKERS) as pool:
        for frame, pictures in _complete(recording, rig, frames):
            looks[frame.stamp_ns] = pool.submit(_glance, onlooker, rig, frame, pictures)
            running = [look for look in looks.values() if not look.done()]
            if len(running) > WORKERS:
                running[0].result()
    glances = {stamp: look.result() for stamp, look in looks.items()}
    usual = _usual_speed(trajectory)
    return [
        Candidate(index, f.stamp_ns, *_place(trajectory, rig, f.stamp_ns, usual), glances[f.stamp_ns])
        for f in frames
        if f.stamp_ns in glances
    ]


def _complete(recording: Recording, rig: Rig, frames: list[KeyFrame]) -> Iterator[tuple[KeyFrame, Pictures]]:
    """Key frames with their images as soon as all are there, and at the end those of which the left image is."""
    needs = {frame.stamp_ns: _needs(frame, rig) for frame in frames}
    by_stamp = {frame.stamp_ns: frame for frame in frames}
    waiting = {stamp: set(keys) for stamp, keys in needs.items()}
    users: dict[tuple[str, int], list[int]] = {}
    for stamp, keys in needs.items():
        for key in keys:
            users.setdefault(key, []).append(stamp)
    held: dict[int, Pictures] = {stamp: {} for stamp in needs}
    for name, at, pixels in camera_images(recording, rig, _by_camera(users), "Looking through"):
        for stamp in users.get((name, at), ()):
            if stamp in held:
                held[stamp][name, at] = pixels
                waiting[stamp].discard((name, at))
                if not waiting[stamp]:
                    yield by_stamp[stamp], held.pop(stamp)
    yield from ((by_stamp[s], p) for s, p in held.items() if (rig.rgb_left.name, s) in p)


def _needs(frame: KeyFrame, rig: Rig) -> list[tuple[str, int]]:
    """The images that a look takes: the pair, the nearest thermal frames, and those before them."""
    needs = [(rig.rgb_left.name, frame.stamp_ns)]
    if frame.right_ns is not None:
        needs.append((rig.rgb[1].name, frame.right_ns))
    for name, stamps in frame.thermal_ns.items():
        needs += [(name, s) for s in (stamps[0], _previous(frame, name)) if s is not None] if stamps else []
    return needs


def _previous(frame: KeyFrame, name: str) -> int | None:
    """The thermal frame before the nearest one."""
    stamps = frame.thermal_ns[name]
    earlier = [s for s in stamps if s < stamps[0]]
    return max(earlier) if earlier else frame.before_ns.get(name)


def _by_camera(keys: Collection[tuple[str, int]]) -> Mapping[str, set[int]]:
    wanted: dict[str, set[int]] = {}
    for name, stamp in keys:
        wanted.setdefault(name, set()).add(stamp)
    return wanted


def _glance(onlooker: Onlooker, rig: Rig, frame: KeyFrame, pictures: Pictures) -> Glance:
    left = pictures[rig.rgb_left.name, frame.stamp_ns]
    right = pictures.get((rig.rgb[1].name, frame.right_ns)) if frame.right_ns is not None else None
    thermal = {
        name: (pictures[name, stamps[0]], pictures.get((name, _previous(frame, name) or 0)))
        for name, stamps in frame.thermal_ns.items()
        if stamps and (name, stamps[0]) in pictures
    }
    return onlooker.look(left, right, thermal)


def _place(
    trajectory: Trajectory | None, rig: Rig, stamp_ns: int, usual_m_s: float
) -> tuple[NDArray[np.float64] | None, str]:
    """Where the body was, and how it moved."""
    if trajectory is None or rig.body is None or not trajectory.covers(stamp_ns):
        return None, ""
    before, here, after = (trajectory.at(stamp_ns + step) for step in (-HALF_SECOND_NS, 0, HALF_SECOND_NS))
    turn = rig.body.cam0_from_body.rotation @ rotation_log(before.rotation.T @ after.rotation)
    speed = float(np.linalg.norm(after.translation - before.translation))
    if abs(turn[1]) > TURNING_RAD_S:  # cam0's y points down
        return here.translation, "turning right" if turn[1] > 0 else "turning left"
    if speed < STANDING_M_S:
        return here.translation, "standing"
    kind = "slower than usual" if speed < SLOW * usual_m_s else "faster than usual" if speed > FAST * usual_m_s else ""
    return here.translation, kind or "at the usual speed"


def _usual_speed(trajectory: Trajectory | None) -> float:
    """Median speed in m/s while the rig moved; 0 where odometry does not tell."""
    if trajectory is None or len(trajectory.stamps_ns) < 2:
        return 0.0
    steps = np.linalg.norm(np.diff(trajectory.translations, axis=0), axis=1)
    speeds = steps / (np.diff(trajectory.stamps_ns) * 1e-9)
    moving = speeds[speeds > STANDING_M_S]
    return float(np.median(moving)) if len(moving) else 0.0
