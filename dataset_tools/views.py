"""Key frames for a calibration, out of recordings."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.trajectory import Trajectory
from heatnet.calib.views import ThermalFrame, View, Views
from heatnet.dataset_tools.key_frames import KeyFrame, ViewsConfig, plan_key_frames, worth_a_look
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

__all__ = ["ViewsConfig", "load_views"]
_DEFAULT = ViewsConfig()


def load_views(recordings: Sequence[Path], rig: Rig, config: ViewsConfig = _DEFAULT) -> Views:
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
            plans = plan_key_frames(recording, rig, config, dropped)
            candidates += len(plans)
            chosen = worth_a_look(plans, trajectory, -(-config.key_frames // len(recordings)), config)
            views += _decode(recording, rig, chosen, index)
            trajectories.append(trajectory)
    if not views:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "no left RGB image"
        raise RecordingError(f"{', '.join(map(str, recordings))}: no key frame for a calibration ({reasons})")
    return Views(tuple(views), tuple(path.name for path in recordings), tuple(trajectories), candidates, dict(dropped))


def _decode(recording: Recording, rig: Rig, plans: list[KeyFrame], index: int) -> list[View]:
    cameras = {topic: c for c in rig.cameras if (topic := resolve_topic(recording, c.topic)) is not None}
    wanted = {topic: _wanted(camera, rig, plans) for topic, camera in cameras.items()}
    total = sum(len(stamps) for stamps in wanted.values())
    images: dict[tuple[str, int], Image] = {}
    messages = recording.messages(list(wanted), wanted, skipped=[])
    for topic, message in track(messages, f"Reading {recording.path.name}", total):
        if isinstance(message, Image):
            images[cameras[topic].name, message.stamp_ns] = _checked(message, cameras[topic], recording)
    return [view for plan in plans if (view := _view(images, rig, plan, index)) is not None]


def _view(images: dict[tuple[str, int], Image], rig: Rig, plan: KeyFrame, index: int) -> View | None:
    """The view of a plan; None where its RGB images turned out unreadable."""
    left = images.get((rig.rgb_left.name, plan.stamp_ns))
    right = images.get((rig.rgb[1].name, plan.right_ns)) if plan.right_ns is not None else None
    if left is None or (right is None) != (plan.right_ns is None):
        return None
    thermal = {name: _thermal(images, name, stamps) for name, stamps in plan.thermal_ns.items()}
    return View(index, plan.stamp_ns, _colour(left), _colour(right) if right else None, thermal)


def _wanted(camera: RigCamera, rig: Rig, plans: list[KeyFrame]) -> set[int]:
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
