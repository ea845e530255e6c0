"""How the rig moved where there is no odometry: from the RGB images of neighbouring key frames and their depth.

Features (SIFT, Lowe 2004) of one image, with depth, are found again in the next, and the pose that agrees with most of
them is solved for (PnP in RANSAC). Of two neighbours the velocity at the key frame between them follows, which is all
that a few hundredths of a second to the thermal frames take.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.depth import DepthImage, working_camera
from heatnet.calib.depth_choice import DepthChoice
from heatnet.calib.motion import CamMotion
from heatnet.calib.rig import Body, Rig, RigCamera
from heatnet.calib.rigid import Rigid, quaternion_from_rotation, rotation_exp, rotation_log
from heatnet.calib.trajectory import Trajectory
from heatnet.calib.views import View, Views

Array = NDArray[np.float64]
NEIGHBOUR_NS = 3_000_000_000  # key frames farther apart in time say little about the velocity
SPAN_NS = 200_000_000  # around a key frame, where its velocity counts
FEATURES, FAINTEST, BLUR_PX = 3000, 0.015, 1.0  # as many as a dark street gives
DISTINCT = 0.8  # the best match is nearer than this share of the second best
LARGEST_ERROR_PX = 2.0  # of the working image
LEAST_AGREEING, LEAST_SHARE = 12, 0.1
ITSELF = Body("images", "start", "cam0", Rigid.identity())


@dataclass(frozen=True)
class _Features:
    """Features of one key frame."""

    rays: Array  # (N, 3) in the left camera, z = 1
    descriptors: NDArray[np.float32]  # (N, 128)


def motions_of(views: Views, rig: Rig, choice: DepthChoice) -> list[CamMotion]:
    """The motion of cam0 around every key frame, by odometry or else by images.

    Where neither tells, or depth is not known, the rig counts as standing still.
    """
    motions = [CamMotion(views.trajectories[view.recording], rig.body) for view in views.views]
    without = [i for i, m in enumerate(motions) if not m.known(views.views[i].stamp_ns)]
    if choice.name != "none":
        for index, velocity in _velocities(views, rig, choice, without).items():
            motions[index] = CamMotion(_around(views.views[index].stamp_ns, velocity), ITSELF)
    return motions


def motion_notes(motions: Sequence[CamMotion], stamps_ns: Sequence[int]) -> tuple[str, ...]:
    """In plain words, where no odometry told how the rig moved at these stamps."""
    by_images = sum(motion.body is ITSELF for motion in motions)
    unknown = sum(not motion.known(stamp) for motion, stamp in zip(motions, stamps_ns, strict=True))
    notes = []
    if by_images:
        notes.append(f"no odometry for {by_images} of {len(motions)} key frames: RGB images tell how the rig moved")
    if unknown:
        notes.append(
            f"nothing tells how the rig moved at {unknown} of {len(motions)} key frames: it counts as standing still, "
            "and stamps that differ as lens and place of the camera"
        )
    return tuple(notes)


def _velocities(views: Views, rig: Rig, choice: DepthChoice, indices: list[int]) -> dict[int, Array]:
    """Twist (6,) of each key frame that has a neighbour to tell it: see `_twist`."""
    sums: dict[int, list[tuple[float, Array]]] = {}
    cache: dict[int, _Features] = {}
    for first, second in itertools.pairwise(indices):
        a, b = views.views[first], views.views[second]
        seconds = (b.stamp_ns - a.stamp_ns) * 1e-9
        if a.recording != b.recording or not 0 < seconds <= NEIGHBOUR_NS * 1e-9:
            continue
        for i, view in ((first, a), (second, b)):
            cache[i] = cache.get(i) or _features(view, rig.rgb_left)
        moved = _between(a, rig.rgb_left, choice, cache[first], cache[second])
        if moved is not None:
            twist = _twist(moved, seconds)
            sums.setdefault(first, []).append((1 / seconds, twist))
            sums.setdefault(second, []).append((1 / seconds, twist))
        cache.pop(first)
    return {i: np.average([t for _, t in parts], axis=0, weights=[w for w, _ in parts]) for i, parts in sums.items()}


def _between(a: View, left: RigCamera, choice: DepthChoice, seen: _Features, again: _Features) -> Rigid | None:
    """cam0(b)_from_cam0(a), where `again` is what is seen at b; None where too few features agree."""
    depth = choice.of(a, CamMotion(None, None))
    if depth is None:
        return None
    moved = solve_motion(seen.rays, again.rays, _pairs(seen, again), depth, left)
    cam0_from_left = left.cam_from_cam0.inverse()
    return None if moved is None else cam0_from_left @ moved @ left.cam_from_cam0


def _features(view: View, left: RigCamera) -> _Features:
    width, height = working_camera(left.camera).resolution
    grey: NDArray[Any] = cv2.cvtColor(view.left, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), BLUR_PX)
    points, descriptors = cv2.SIFT.create(FEATURES, contrastThreshold=FAINTEST).detectAndCompute(blurred, None)
    if not points:
        return _Features(np.zeros((0, 3)), np.zeros((0, 128), np.float32))
    rays, found = left.camera.scaled(width, height).unproject(np.array([p.pt for p in points]))
    return _Features(rays[found], np.asarray(descriptors, np.float32)[found])


def _pairs(a: _Features, b: _Features) -> NDArray[np.int64]:
    """Which features (M, 2) of both are alike, and like no other."""
    if len(a.rays) < 2 or len(b.rays) < 2:
        return np.zeros((0, 2), np.int64)
    found = cv2.BFMatcher(cv2.NORM_L2).knnMatch(a.descriptors, b.descriptors, k=2)
    pairs = [(m.queryIdx, m.trainIdx) for m, n in found if m.distance < DISTINCT * n.distance]
    return np.array(pairs, np.int64).reshape(-1, 2)


def solve_motion(
    before: Array, after: Array, pairs: NDArray[np.int64], depth: DepthImage, left: RigCamera
) -> Rigid | None:
    """left(after)_from_left(before) of paired rays (N, 3) with depth of the former; None where too few agree."""
    rays, seen = before[pairs[:, 0]], after[pairs[:, 1]]
    points = rays * depth.sample(rays)[:, None]
    known = np.isfinite(points).all(axis=1)
    points, seen = np.ascontiguousarray(points[known]), np.ascontiguousarray(seen[known, :2])
    if len(points) < LEAST_AGREEING:
        return None
    error = LARGEST_ERROR_PX / working_camera(left.camera).intrinsics[0]
    cv2.setRNGSeed(0)
    solved, first_turn, first_shift, agreeing = cv2.solvePnPRansac(
        points, seen, np.eye(3), None, iterationsCount=1000, reprojectionError=error, confidence=0.999
    )
    if not solved or agreeing is None or len(agreeing) < max(LEAST_AGREEING, LEAST_SHARE * len(points)):
        return None
    kept = agreeing.reshape(-1)
    refined = cv2.solvePnPRefineLM(points[kept], seen[kept], np.eye(3), None, first_turn, first_shift)
    turn, shift = (np.asarray(vector, np.float64).reshape(3) for vector in refined)
    return Rigid(rotation_exp(turn), shift)


def _twist(moved: Rigid, seconds: float) -> Array:
    """Velocity and turning rate (6,) of the camera in its own axes, m/s and rad/s, at the middle of a motion.

    `moved` is later_from_earlier; half of the turn brings the way driven into the axes of the middle.
    """
    turn = -rotation_log(moved.rotation)
    way = moved.inverse().translation
    return np.concatenate([rotation_exp(-turn / 2) @ way, turn]) / seconds


def _around(stamp_ns: int, twist: Array) -> Trajectory:
    """Poses of cam0 around a key frame at constant velocity."""
    seconds = np.array([-SPAN_NS, 0, SPAN_NS]) * 1e-9
    turns = np.stack([quaternion_from_rotation(rotation_exp(twist[3:] * s)) for s in seconds])
    return Trajectory(stamp_ns + np.array([-SPAN_NS, 0, SPAN_NS]), turns, seconds[:, None] * twist[:3])
