"""Key frames for a calibration, out of recordings."""

import itertools
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from heatnet.calib.glance import is_frozen
from heatnet.calib.rig import Lidar, Rig, RigCamera
from heatnet.calib.selection import Candidate, choose
from heatnet.calib.trajectory import Trajectory
from heatnet.calib.views import Choice, ThermalFrame, View, Views
from heatnet.dataset_tools.camera_images import camera_images
from heatnet.dataset_tools.key_frames import KeyFrame, ViewsConfig, plan_key_frames, worth_a_look
from heatnet.dataset_tools.looking import look_at
from heatnet.dataset_tools.recording import Recording, open_whole, read_trajectory, refuse_doubles
from heatnet.dataset_tools.sweeps import load_sweeps
from heatnet.errors import NoKeyFrameError, RecordingError
from heatnet.progress import track

__all__ = ["ViewsConfig", "load_views"]
Images = dict[tuple[str, int], NDArray[Any]]
_DEFAULT = ViewsConfig()


def load_views(recordings: Sequence[Path], rig: Rig, config: ViewsConfig = _DEFAULT) -> Views:
    """Choose key frames of `recordings` by what they add and decode them with the thermal frames around.

    A key frame is a left RGB image with its right partner (where the rig and the recording have one) and at least one
    thermal frame near. Many are looked at, few decoded for good: what became of each stands in `choices`. Raises
    RecordingError where none can be used, naming the recordings and what was found, where a recording is given twice,
    or is damaged and not to be salvaged.
    """
    refuse_doubles(recordings)
    if not rig.thermal:
        raise RecordingError(
            f"the rig file names no thermal camera among {', '.join(c.topic for c in rig.cameras)}; "
            "a thermal topic says ir, thermal or lwir, or is named with --thermal"
        )
    with ExitStack() as stack:
        opened = [stack.enter_context(open_whole(path, config.salvage)) for path in recordings]
        scans = [_scan(recording, rig, config) for recording in track(opened, "Reading stamps and odometry")]
        candidates = [
            candidate
            for index, scan in enumerate(scans)
            for candidate in _look(scan, rig, index, -(-config.looks // len(scans)), config)
        ]
        choices = choose(candidates, config.key_frames)
        views = [view for index, scan in enumerate(scans) for view in _decode(scan, rig, choices, index)]
        if config.lidar and rig.lidar is not None:
            views = [v for i, scan in enumerate(scans) for v in _with_sweeps(scan, rig.lidar, views, i)]
    dropped = sum((scan.dropped for scan in scans), Counter[str]())
    if not views:
        dropped.update(f"left out because {choice.reason}" for choice in choices)
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "no left RGB image"
        raise NoKeyFrameError(f"{', '.join(map(str, recordings))}: no key frame for a calibration ({reasons})")
    return Views(
        tuple(views),
        tuple(path.name for path in recordings),
        tuple(scan.trajectory for scan in scans),
        sum(len(scan.frames) for scan in scans),
        dict(dropped),
        tuple(choices),
    )


@dataclass(frozen=True)
class _Scan:
    """What the stamps of one recording allow."""

    recording: Recording
    trajectory: Trajectory | None
    frames: list[KeyFrame]
    dropped: Counter[str]


def _scan(recording: Recording, rig: Rig, config: ViewsConfig) -> _Scan:
    dropped = Counter[str]()
    trajectory = read_trajectory(recording, rig.body) if rig.body else None
    return _Scan(recording, trajectory, plan_key_frames(recording, rig, config, dropped), dropped)


def _look(scan: _Scan, rig: Rig, index: int, count: int, config: ViewsConfig) -> list[Candidate]:
    frames = worth_a_look(scan.frames, scan.trajectory, count, config)
    return look_at(scan.recording, rig, frames, index, scan.trajectory)


def _decode(scan: _Scan, rig: Rig, choices: Sequence[Choice], index: int) -> list[View]:
    stamps = {c.stamp_ns for c in choices if c.used and c.recording == index}
    plans = [frame for frame in scan.frames if frame.stamp_ns in stamps]
    wanted = {camera.name: _wanted(camera, rig, plans) for camera in rig.cameras}
    images = {(n, s): pixels for n, s, pixels in camera_images(scan.recording, rig, wanted, "Reading")}
    return [view for plan in plans if (view := _view(images, rig, plan, index)) is not None]


def _with_sweeps(scan: _Scan, lidar: Lidar, views: Sequence[View], index: int) -> list[View]:
    """The views of one recording with the LiDAR's sweeps near them."""
    ours = [view for view in views if view.recording == index]
    sweeps = load_sweeps(scan.recording, lidar, [view.stamp_ns for view in ours], scan.trajectory)
    return [replace(view, sweeps=sweeps.get(view.stamp_ns, ())) for view in ours]


def _view(images: Images, rig: Rig, plan: KeyFrame, index: int) -> View | None:
    """The view of a plan; None where its RGB images turned out unreadable."""
    left = images.get((rig.rgb_left.name, plan.stamp_ns))
    right = images.get((rig.rgb[1].name, plan.right_ns)) if plan.right_ns is not None else None
    if left is None or (right is None) != (plan.right_ns is None):
        return None
    thermal = {name: _thermal(images, name, plan) for name in plan.thermal_ns}
    return View(index, plan.stamp_ns, left, right, thermal)


def _wanted(camera: RigCamera, rig: Rig, plans: list[KeyFrame]) -> set[int]:
    if camera.thermal:
        before = {p.before_ns[camera.name] for p in plans if camera.name in p.before_ns}
        return before | {s for p in plans for s in p.thermal_ns.get(camera.name, ())}
    if camera.name == rig.rgb_left.name:
        return {p.stamp_ns for p in plans}
    if camera.name == rig.rgb[1].name:
        return {p.right_ns for p in plans if p.right_ns is not None}
    return set()


def _thermal(images: Images, name: str, plan: KeyFrame) -> tuple[ThermalFrame, ...]:
    """The frames of one camera near a key frame; those that repeat the one before them (a closed shutter) are left out.

    They show what was to be seen before the shutter closed, up to a second ago.
    """
    stamps = plan.thermal_ns[name]
    there = [s for s in sorted({*stamps, plan.before_ns.get(name, stamps[0])} if stamps else ()) if (name, s) in images]
    stale = {s for b, s in itertools.pairwise(there) if is_frozen(images[name, s], images[name, b])}
    return tuple(ThermalFrame(s, images[name, s]) for s in stamps if s in there and s not in stale)
