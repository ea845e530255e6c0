"""Key frames for a calibration, out of recordings."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.trajectory import Trajectory
from heatnet.calib.views import ThermalFrame, View, Views
from heatnet.dataset_tools.recording import (
    Image,
    Recording,
    open_whole,
    read_trajectory,
    refuse_doubles,
    resolve_topic,
)
from heatnet.errors import RecordingError
from heatnet.progress import track

Stamps = NDArray[np.int64]


@dataclass(frozen=True)
class ViewsConfig:
    """Which frames are taken."""

    key_frames: int = 20  # of all recordings together: more cost time and add little
    thermal_window_ms: float = 60.0  # thermal frames this near to a key frame count
    thermal_frames: int = 3  # of one camera a key frame, the nearest ones
    stereo_tolerance_ms: float = 5.0
    standing_m_s: float = 0.3  # time counts as if the rig crept at this speed: frames taken while standing say the same
    salvage: bool = False  # use what can be read of a damaged recording


@dataclass(frozen=True)
class _Plan:
    """One key frame before anything is decoded."""

    stamp_ns: int
    right_ns: int | None
    thermal_ns: dict[str, tuple[int, ...]]


def load_views(recordings: Sequence[Path], rig: Rig, config: ViewsConfig = ViewsConfig()) -> Views:
    """Choose key frames spread over the way driven in `recordings` and decode them with the thermal frames around.

    A key frame is a left RGB image with its right partner (where the rig and the recording have one) and at least one
    thermal frame near. Raises RecordingError where there is none, naming the recordings and what was found, where a
    recording is given twice, or is damaged and not to be salvaged.
    """
    refuse_doubles(recordings)
    if not rig.thermal:
        raise RecordingError(
            f"the rig file names no thermal camera among {', '.join(c.topic for c in rig.cameras)}; "
            "a thermal topic says ir, thermal or lwir, or is named with --thermal"
        )
    views: list[View] = []
    trajectories: list[Trajectory | None] = []
    dropped: Counter[str] = Counter()
    candidates = 0
    for index, path in enumerate(recordings):
        with open_whole(path, config.salvage) as recording:
            trajectory = read_trajectory(recording, rig.body) if rig.body else None
            plans = _plan(recording, rig, config, dropped)
            candidates += len(plans)
            chosen = _choose(plans, trajectory, -(-config.key_frames // len(recordings)), config)
            views += _decode(recording, rig, chosen, index)
            trajectories.append(trajectory)
    if not views:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "no left RGB image"
        raise RecordingError(f"{', '.join(map(str, recordings))}: no key frame for a calibration ({reasons})")
    return Views(tuple(views), tuple(path.name for path in recordings), tuple(trajectories), candidates, dict(dropped))


def _plan(recording: Recording, rig: Rig, config: ViewsConfig, dropped: Counter[str]) -> list[_Plan]:
    """Every key frame that the stamps allow."""
    stamps = _camera_stamps(recording, rig)
    left = rig.rgb_left
    if left.name not in stamps:
        raise RecordingError(
            f"{recording.path}: no topic {left.topic}; it has: {', '.join(recording.topics) or 'none'}"
        )
    if not any(c.name in stamps for c in rig.thermal):
        wanted = ", ".join(c.topic for c in rig.thermal)
        raise RecordingError(
            f"{recording.path}: no thermal topic ({wanted}); it has: {', '.join(recording.topics) or 'none'}"
        )
    right = next((c.name for c in rig.rgb[1:2] if c.name in stamps), None)
    plans = []
    for stamp in stamps[left.name]:
        partner = _near(stamps[right], stamp, config.stereo_tolerance_ms)[:1] if right else ()
        thermal = {
            c.name: _near(stamps[c.name], stamp, config.thermal_window_ms)[: config.thermal_frames]
            for c in rig.thermal
            if c.name in stamps
        }
        if right and not partner:
            dropped["left RGB images without a right one"] += 1
        elif not any(thermal.values()):
            dropped["left RGB images without a thermal frame near"] += 1
        else:
            plans.append(_Plan(int(stamp), partner[0] if partner else None, thermal))
    return plans


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


def _choose(plans: list[_Plan], trajectory: Trajectory | None, count: int, config: ViewsConfig) -> list[_Plan]:
    """At most `count` plans, evenly spread over the way driven."""
    if len(plans) <= count:
        return plans
    stamps = np.array([p.stamp_ns for p in plans])
    way = config.standing_m_s * (stamps - stamps[0]) * 1e-9
    if trajectory is not None and len(trajectory.stamps_ns) > 1:
        places = np.stack([trajectory.at(float(s)).translation for s in stamps])
        way[1:] += np.cumsum(np.linalg.norm(np.diff(places, axis=0), axis=1))
    ideal = np.linspace(way[0], way[-1], count)
    chosen = np.unique(np.abs(way[:, None] - ideal[None]).argmin(axis=0))
    return [plans[i] for i in chosen]


def _decode(recording: Recording, rig: Rig, plans: list[_Plan], index: int) -> list[View]:
    cameras = {topic: c for c in rig.cameras if (topic := resolve_topic(recording, c.topic)) is not None}
    wanted = {topic: _wanted(camera, rig, plans) for topic, camera in cameras.items()}
    total = sum(len(stamps) for stamps in wanted.values())
    images: dict[tuple[str, int], Image] = {}
    messages = recording.messages(list(wanted), wanted, skipped=[])
    for topic, message in track(messages, f"Reading {recording.path.name}", total):
        if isinstance(message, Image):
            images[cameras[topic].name, message.stamp_ns] = _checked(message, cameras[topic], recording)
    return [view for plan in plans if (view := _view(images, rig, plan, index)) is not None]


def _view(images: dict[tuple[str, int], Image], rig: Rig, plan: _Plan, index: int) -> View | None:
    """The view of a plan; None where its RGB images turned out unreadable."""
    left = images.get((rig.rgb_left.name, plan.stamp_ns))
    right = images.get((rig.rgb[1].name, plan.right_ns)) if plan.right_ns is not None else None
    if left is None or (right is None) != (plan.right_ns is None):
        return None
    thermal = {name: _thermal(images, name, stamps) for name, stamps in plan.thermal_ns.items()}
    return View(index, plan.stamp_ns, _colour(left), _colour(right) if right else None, thermal)


def _wanted(camera: RigCamera, rig: Rig, plans: list[_Plan]) -> set[int]:
    if camera.thermal:
        return {s for p in plans for s in p.thermal_ns.get(camera.name, ())}
    if camera.name == rig.rgb_left.name:
        return {p.stamp_ns for p in plans}
    if camera.name == rig.rgb[1].name:
        return {p.right_ns for p in plans if p.right_ns is not None}
    return set()


def _checked(image: Image, camera: RigCamera, recording: Recording) -> Image:
    height, width = image.pixels.shape[:2]
    if (width, height) != camera.camera.resolution:
        expected = "x".join(map(str, camera.camera.resolution))
        raise RecordingError(
            f"{recording.path}: {camera.topic} at {image.stamp_ns} ns is {width}x{height}; "
            f"the rig file says {expected} for {camera.name}"
        )
    return image


def _colour(image: Image) -> NDArray[np.uint8]:
    wide = image.pixels.dtype == np.uint16  # a 16-bit RGB camera: the high byte is enough for edges
    pixels = np.asarray(image.pixels >> 8 if wide else image.pixels, dtype=np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def _thermal(images: dict[tuple[str, int], Image], name: str, stamps: tuple[int, ...]) -> tuple[ThermalFrame, ...]:
    """The frames of one camera near a key frame; one that repeats another's pixels (a closed shutter) is left out."""
    frames: list[ThermalFrame] = []
    for stamp in (s for s in stamps if (name, s) in images):
        pixels = images[name, stamp].pixels
        if pixels.ndim == 3:
            pixels = pixels[..., 0]
        if not any(np.array_equal(pixels, frame.pixels) for frame in frames):
            frames.append(ThermalFrame(stamp, pixels.astype(np.uint16, copy=False)))
    return tuple(frames)
