"""The key frames made ready: landmarks with depth, and thermal frames with the motion since the key frame."""

import functools
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.depth_choice import DepthChoice
from heatnet.calib.edge_stereo import sharpen_depth
from heatnet.calib.edges import EdgeConfig, find_edges
from heatnet.calib.ego_motion import motions_of
from heatnet.calib.landmarks import Landmarks, place_edges
from heatnet.calib.matching import Gradients
from heatnet.calib.motion import CamMotion
from heatnet.calib.observations import Observations, Observe
from heatnet.calib.parallel import side_by_side
from heatnet.calib.rig import Rig
from heatnet.calib.views import ThermalFrame, View, Views
from heatnet.errors import CalibrationError

log = logging.getLogger(__name__)
LEAST_POINTS = 1500
LEAST_POINTS_A_VIEW = 100
FAR_AWAY = 1e5
NO_IMAGE = Gradients(np.zeros((0, 1, 2), np.float32), 1)
MOST_SHIFT_PX = 0.4  # of edges in the right RGB image, usually below 0.2, that does not speak against a calibration
SAME_GREY = 4.0  # key frames of which 90 % differ by less, noise averaged away, show the same place


@dataclass(frozen=True)
class Scene:
    """One key frame with what is looked for in its thermal frames."""

    index: int  # into Views.views
    view: View
    landmarks: Landmarks
    motion: CamMotion
    pinned: dict[str, NDArray[np.float64]] = field(default_factory=dict)  # centres in cam0 of cameras that must stay
    shift_px: float = 0.0  # how much nearer the right RGB image has the edges than the measured depth, in its pixels


def prepare(views: Views, rig: Rig, edges: EdgeConfig, choice: DepthChoice) -> tuple[Scene, ...]:
    """Find edges in every key frame and give them depth; key frames with hardly any are left out.

    Raises CalibrationError where too few edge points remain, or the rig's first camera is a thermal one: all is told
    in its axes, and calibrated they would move.
    """
    if rig.cameras[0].thermal:
        raise CalibrationError(
            f"{rig.cameras[0].name} {rig.cameras[0].topic} is thermal: the rig file's first camera must be the left "
            f"RGB one ({rig.rgb_left.topic})"
        )

    motions = motions_of(views, rig, choice)
    pinned = {} if choice.measured else {c.name: c.cam_from_cam0.inverse().translation for c in rig.thermal}

    def scene_of(index: int) -> tuple[Scene, Landmarks] | None:
        view, motion = views.views[index], motions[index]
        depth = choice.of(view, motion)
        if depth is None:
            return None
        measured = place_edges(find_edges(view.left, edges), rig.rgb_left, depth)
        landmarks, shift = measured, 0.0
        if choice.measured and view.right is not None:
            landmarks, shift = sharpen_depth(measured, rig.rgb_left, rig.rgb[1], view.right, edges)
        return Scene(index, view, landmarks, motion, pinned, shift), measured

    scenes: list[Scene] = []
    unsharpened: list[Landmarks] = []
    for made in side_by_side(scene_of, range(len(views.views)), "Finding edges and depth"):
        known = made is not None and len(made[1]) >= LEAST_POINTS_A_VIEW
        if made is not None and known and not (scenes and _repeats(made[0].view, scenes[-1].view)):
            scenes.append(made[0])
            unsharpened.append(made[1])
    if choice.name == "lidar" and contradiction(scenes, rig, choice):
        scenes = [replace(s, landmarks=measured) for s, measured in zip(scenes, unsharpened, strict=True)]
    total = sum(len(s.landmarks) for s in scenes)
    if total < LEAST_POINTS:
        raise CalibrationError(
            f"{views.names()}: {total} edge points with depth in {len(scenes)} key frames of different places "
            f"({len(views.views)} in all); "
            f"at least {LEAST_POINTS} are needed (too dark, a bare scene, or left and right do not match?)"
        )
    log.info("%d edge points with depth in %d of %d key frames", total, len(scenes), len(views.views))
    return tuple(scenes)


def contradiction(scenes: Sequence[Scene], rig: Rig, choice: DepthChoice) -> str:
    """How the right RGB camera and a LiDAR contradict each other, in plain words; empty where they do not.

    Where LiDAR alone was asked for, it stands, and the camera is not used; else nobody knows which of them is right.
    """
    shifts = [scene.shift_px for scene in scenes if scene.view.right is not None]
    shift = abs(float(np.median(shifts))) if shifts else 0.0
    if rig.lidar is None or "lidar" not in choice.name or shift <= MOST_SHIFT_PX:
        return ""
    return (
        f"{rig.rgb[1].topic} sees edges {shift:.1f} px from where {rig.lidar.topic} puts them: lidar0 of the rig file "
        f"or its RGB pair is off{'; the camera is not used' if choice.name == 'lidar' else ''}"
    )


def depth_notes(scenes: Sequence[Scene], rig: Rig, choice: DepthChoice) -> tuple[str, ...]:
    """What became of the depth of edges, in plain words, where that is not as it was asked for."""
    if found := contradiction(scenes, rig, choice):
        return (found,)
    if choice.name == "lidar" and any(scene.view.right is not None for scene in scenes):
        return (f"{rig.rgb[1].topic} sharpens the LiDAR's depth of edges that it sees (a rig file without it: not)",)
    return ()


def _repeats(view: View, other: View) -> bool:
    """Whether both show the same place: a standing rig says nothing twice, and seems surer than it is."""
    small, before = (cv2.resize(v.left, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA) for v in (view, other))
    return float(np.quantile(cv2.absdiff(small, before).max(axis=-1), 0.9)) < SAME_GREY


def observer(scenes: Sequence[Scene], name: str) -> Observe:
    """What the thermal camera `name` sees, each blur and number of frames computed once, whichever threads ask."""
    alone = threading.Lock()
    firsts = np.cumsum([0, *(len(scene.landmarks) for scene in scenes)])

    def frames_of(scene: Scene, frames: int) -> tuple[ThermalFrame, ...]:
        return scene.view.thermal.get(name, ())[:frames]

    @functools.cache
    def placed(frames: int) -> Observations:
        parts = [
            _placed(scene, int(first), frame.stamp_ns, scene.pinned.get(name))
            for scene, first in zip(scenes, firsts[:-1], strict=True)
            for frame in frames_of(scene, frames)
        ]
        return Observations.joined(parts)

    @functools.cache
    def blurred(sigma_px: float, frames: int) -> Observations:
        images = [frame.pixels for scene in scenes for frame in frames_of(scene, frames)]
        return replace(placed(frames), gradients=Gradients.of_thermal(images, sigma_px))

    def observe(sigma_px: float, frames: int) -> Observations:
        with alone:
            return blurred(sigma_px, frames)

    return observe


def _placed(scene: Scene, first: int, stamp_ns: int, pinned: NDArray[np.float64] | None) -> Observations:
    """The landmarks of a scene, numbered from `first` on, as they are at `stamp_ns`; without an image."""
    motion = scene.motion.between(stamp_ns, scene.view.stamp_ns)
    before, after, seconds = scene.motion.rate(stamp_ns, scene.view.stamp_ns)
    points, along = scene.landmarks.points, scene.landmarks.along
    velocities = (after.apply(points) - before.apply(points)) / seconds
    points, along = motion.apply(points), motion.apply(along)
    if pinned is not None:  # seen from there and moved far away, points say nothing about translation or lag
        points, along = (points - pinned) * FAR_AWAY, (along - pinned) * FAR_AWAY
    return Observations(
        NO_IMAGE,
        np.array([scene.index]),
        np.zeros(len(points), np.int64),
        points,
        along,
        velocities,
        first + np.arange(len(points)),
        scene.landmarks.doubt,
    )
