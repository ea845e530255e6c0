"""Calibration of thermal cameras without a target: find the basin, refine, judge the result."""

from dataclasses import asdict, dataclass, field, replace

import numpy as np

from heatnet.calib.basin import find_basin
from heatnet.calib.coarse import CoarseConfig
from heatnet.calib.depth_choice import choose_depth
from heatnet.calib.edges import EdgeConfig
from heatnet.calib.ego_motion import motion_notes
from heatnet.calib.parallel import side_by_side
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.refine import FINAL, SETTLE, Fit, Observe, refine, refine_jointly
from heatnet.calib.result import CalibrationResult, CameraResult, FrameUse, write_calibration
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.scene import observer, prepare
from heatnet.calib.selection import without_edges
from heatnet.calib.verdict import Limits, assess, judge
from heatnet.calib.views import Views
from heatnet.errors import CalibrationError

__all__ = ["CalibrationConfig", "CalibrationResult", "calibrate", "write_calibration"]


@dataclass(frozen=True)
class CalibrationConfig:
    """How to calibrate."""

    depth: str = "auto"  # one of depth_choice.DEPTHS
    seed: int = 0
    edges: EdgeConfig = field(default_factory=EdgeConfig)
    coarse: CoarseConfig = field(default_factory=CoarseConfig)
    prior: Prior = field(default_factory=Prior)
    coarse_views: int = 6  # key frames that the search for the basin looks at
    limits: Limits = field(default_factory=Limits)


def calibrate(views: Views, rig: Rig, config: CalibrationConfig = CalibrationConfig()) -> CalibrationResult:
    """Refine every thermal camera of `rig` from the scenes in `views`.

    Raises CalibrationError, with the reason, where the views cannot carry a calibration at all; where they do but the
    result does not convince, its status is "inconclusive".
    """
    cameras = [c for c in rig.thermal if any(v.thermal.get(c.name) for v in views.views)]
    if not cameras:
        raise CalibrationError(f"{views.names()}: no thermal frame near any of {len(views.views)} key frames")
    depth = choose_depth(config.depth, views, rig)
    scenes = prepare(views, rig, config.edges, depth)
    guesses = [Estimate(c.camera, c.cam_from_cam0) for c in cameras]
    observes = [observer(scenes, c.name) for c in cameras]

    def approach(i: int) -> tuple[Estimate, Estimate]:
        start = find_basin(scenes, cameras[i], guesses[i], config.prior, config.coarse, config.coarse_views)
        return start, refine(observes[i], start, guesses[i], config.prior, SETTLE)

    starts, settled = zip(*side_by_side(approach, range(len(cameras)), "Searching the thermal cameras"), strict=True)
    fits = refine_jointly(observes, settled, guesses, config.prior, FINAL)
    results = side_by_side(
        lambda i: _result(views, rig, cameras[i], starts[i], fits[i], observes[i], config), range(len(cameras))
    )
    notes = (*depth.notes, *motion_notes([s.motion for s in scenes], [s.view.stamp_ns for s in scenes]))
    for result in results:
        rig = rig.with_camera(result.after)
    choices = without_edges(views.choices, {(s.view.recording, s.view.stamp_ns) for s in scenes})
    return CalibrationResult(rig, tuple(results), asdict(config), scenes, depth.name, notes, views.recordings, choices)


def _result(
    views: Views,
    rig: Rig,
    camera: RigCamera,
    start: Estimate,
    fit: Fit,
    observe: Observe,
    config: CalibrationConfig,
) -> CameraResult:
    if len(fit.matches) < config.limits.least_matches:
        raise CalibrationError(
            f"{camera.topic}: {len(fit.matches)} edges of {fit.matches.tried} found again in the thermal images; "
            f"at least {config.limits.least_matches} are needed (lens covered, wrong camera, or a guess too far off?)"
        )
    guess = Estimate(camera.camera, camera.cam_from_cam0)
    assessed = assess(fit, guess, config.prior, observe, rig.rgb_left, config.seed)
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
        start,
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
