"""Where the depth of a key frame comes from: its stereo pair, LiDAR sweeps, both, or nothing."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.depth import DepthImage, Resampling, StereoDepth, working_camera
from heatnet.calib.lidar import LidarDepth
from heatnet.calib.motion import CamMotion
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.rigid import Rigid
from heatnet.calib.upright import continued
from heatnet.calib.views import View, Views
from heatnet.errors import CalibrationError

Array = NDArray[np.float64]
ROAD_M, HOUSES_M, FAR_M = 1.6, 10.0, 50.0  # the street that is assumed where nothing tells depth
DEPTHS = ("auto", "stereo", "lidar", "none")


@dataclass(frozen=True)
class DepthChoice:
    """One way to depth."""

    name: str  # stereo, lidar, stereo and lidar, or none
    of: Callable[[View, CamMotion], DepthImage | None]  # None where a key frame has none
    notes: tuple[str, ...] = ()  # what is assumed, in plain words
    measured: bool = True  # False: assumed, so that translation must not be estimated by it


def choose_depth(kind: str, views: Views, rig: Rig) -> DepthChoice:
    """The depth that `kind` asks for: one of DEPTHS; auto is the best that rig and recordings have.

    Raises CalibrationError, saying what is missing, where they do not have it.
    """
    if kind not in DEPTHS:
        raise CalibrationError(f"depth {kind!r}; one of {', '.join(DEPTHS)} is needed")
    no_stereo, no_lidar = _without_stereo(views, rig), _without_lidar(views, rig)
    if (kind == "stereo" and no_stereo) or (kind == "lidar" and no_lidar):
        raise CalibrationError(f"{views.names()}: {no_stereo if kind == 'stereo' else no_lidar}")
    if kind == "none":
        return _assumed(rig.rgb_left, ())
    stereo = None if no_stereo or kind == "lidar" else StereoDepth(rig.rgb[0], rig.rgb[1])
    lidar = None if no_lidar or kind == "stereo" or rig.lidar is None else LidarDepth(rig.rgb_left, rig.lidar)
    if stereo is None and lidar is None:
        return _assumed(rig.rgb_left, (no_stereo, no_lidar))
    return _measured(stereo, lidar, _sweep_notes(views) if lidar else ())


def _without_stereo(views: Views, rig: Rig) -> str:
    """Why there is no depth by stereo; empty where there is."""
    if len(rig.rgb) < 2:
        return "the rig file has one RGB camera; depth by stereo needs two"
    if all(view.right is None for view in views.views):
        return f"no image of the right RGB camera {rig.rgb[1].topic} near a left one in time, for depth by stereo"
    return ""


def _without_lidar(views: Views, rig: Rig) -> str:
    if rig.lidar is None:
        return "the rig file has no block lidar0; depth by LiDAR needs one"
    if not any(view.sweeps for view in views.views):
        return f"no sweep of the LiDAR {rig.lidar.topic} near any key frame"
    return ""


def _sweep_notes(views: Views) -> tuple[str, ...]:
    sweeps = [sweep for view in views.views for sweep in view.sweeps]
    if all(sweep.times_ns is not None for sweep in sweeps):
        return ()
    return ("LiDAR points have no times of their own: each sweep counts as taken at its stamp",)


def _measured(stereo: StereoDepth | None, lidar: LidarDepth | None, notes: tuple[str, ...]) -> DepthChoice:
    left = None if lidar is None else working_camera(lidar.left.camera)
    resampling = Resampling.of(stereo.camera, stereo.left_from_rectified, left) if stereo and left else None

    def of(view: View, motion: CamMotion) -> DepthImage | None:
        by_stereo = stereo.match(view.left, view.right) if stereo and view.right is not None else None
        if lidar is None or not view.sweeps:
            return by_stereo
        if by_stereo is not None and resampling is not None:
            return fuse(by_stereo, lidar.draw(view.sweeps[:1], view.stamp_ns, motion), resampling)
        by_lidar = lidar.draw(view.sweeps, view.stamp_ns, motion)
        return replace(by_lidar, depth_m=continued(by_lidar.depth_m))

    names = [name for name, source in (("stereo", stereo), ("lidar", lidar)) if source is not None]
    return DepthChoice(" and ".join(names), of, notes)


def fuse(stereo: DepthImage, lidar: DepthImage, resampling: Resampling) -> DepthImage:
    """LiDAR where it sees a surface, stereo elsewhere; `resampling` is from the camera of stereo to that of LiDAR."""
    known = np.isfinite(lidar.depth_m)
    return replace(lidar, depth_m=np.where(known, lidar.depth_m, resampling.of_depth(stereo.depth_m)))


def _assumed(left: RigCamera, reasons: tuple[str, ...]) -> DepthChoice:
    """An empty street, seen by a camera that looks along it."""
    camera = working_camera(left.camera)
    width, height = camera.resolution
    pixels = np.stack(np.meshgrid(np.arange(float(width)), np.arange(float(height))), -1).reshape(-1, 2)
    x, y, _ = camera.unproject(pixels)[0].T
    inverse = np.maximum.reduce([y / ROAD_M, np.abs(x) / HOUSES_M, np.full_like(x, 1 / FAR_M)])
    depth = DepthImage(camera, Rigid.identity(), (1 / inverse).reshape(height, width).astype(np.float32))
    notes = (
        f"no depth is known: an empty street is assumed, its road {ROAD_M} m below the camera, houses {HOUSES_M:.0f} m "
        f"to the sides, nothing beyond {FAR_M:.0f} m",
        "rotation and intrinsics are estimated against it; translation and lag stay as they were given",
        *reasons,
    )
    return DepthChoice("none", lambda view, motion: depth, notes, measured=False)
