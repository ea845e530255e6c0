"""Calibration of thermal cameras without a target: find the basin, refine, judge the result."""

from dataclasses import asdict, replace

import numpy as np

from heatnet.calib.config import CalibrationConfig
from heatnet.calib.depth_choice import choose_depth
from heatnet.calib.ego_motion import motion_notes
from heatnet.calib.parallel import side_by_side
from heatnet.calib.refine import Fit
from heatnet.calib.result import CalibrationResult, CameraResult, FrameUse, write_calibration
from heatnet.calib.rig import Rig
from heatnet.calib.scene import contradiction, depth_notes, prepare
from heatnet.calib.selection import without_edges
from heatnet.calib.several import Located, find_cameras
from heatnet.calib.verdict import assess, judge
from heatnet.calib.views import Views
from heatnet.errors import CalibrationError

__all__ = ["CalibrationConfig", "CalibrationResult", "calibrate", "write_calibration"]
_DEFAULT = CalibrationConfig()


def calibrate(views: Views, rig: Rig, config: CalibrationConfig = _DEFAULT) -> CalibrationResult:
    """Refine every thermal camera of `rig` from the scenes in `views`.

    Cameras that convince on their own are refined together, the others alone, so that they spoil none. Raises
    CalibrationError, with the reason, where the views cannot carry a calibration at all; where they do but the result
    does not convince, its status is "inconclusive". A camera that nothing is found of stays as given.
    """
    cameras = [c for c in rig.thermal if any(v.thermal.get(c.name) for v in views.views)]
    if not cameras:
        raise CalibrationError(f"{views.names()}: no thermal frame near any of {len(views.views)} key frames")
    depth = choose_depth(config.depth, views, rig)
    scenes = prepare(views, rig, config.edges, depth)
    found, lost = find_cameras(scenes, cameras, config)
    if not found:
        raise CalibrationError("; ".join(lost.values()))
    results = side_by_side(lambda pair: _result(views, rig, *pair, config), found)
    against = contradiction(scenes, rig, depth)
    if against and depth.name != "lidar":
        results = [replace(result, status="inconclusive", reason=against) for result in results]
    motion = motion_notes([s.motion for s in scenes], [s.view.stamp_ns for s in scenes])
    notes = (*depth.notes, *depth_notes(scenes, rig, depth), *motion)
    for result in results:
        rig = rig.with_camera(result.after)
    choices = without_edges(views.choices, {(s.view.recording, s.view.stamp_ns) for s in scenes})
    return CalibrationResult(
        rig, tuple(results), asdict(config), scenes, depth.name, notes, views.recordings, choices, lost
    )


def _result(views: Views, rig: Rig, search: Located, fit: Fit, config: CalibrationConfig) -> CameraResult:
    camera = search.camera
    assessed = assess(fit, search.guess, config.prior, search.observe, rig.rgb_left, config.seed)
    evidence = assessed.evidence
    status, reason = judge(evidence, config.limits)
    used, counts = np.unique(fit.matches.views, return_counts=True)
    frames = tuple(
        FrameUse(views.recordings[views.views[v].recording], views.views[v].stamp_ns, int(count))
        for v, count in zip(used, counts, strict=True)
    )
    after = replace(camera, camera=fit.estimate.camera, cam_from_cam0=fit.estimate.cam_from_cam0)
    return CameraResult(
        camera,
        after,
        fit,
        assessed.uncertainty,
        assessed.grid,
        evidence.score,
        frames,
        assessed.held_out_px,
        evidence.halves_px,
        evidence.stated_px,
        status,
        reason,
    )
