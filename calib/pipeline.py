"""Calibration of thermal cameras without a target: find the basin, refine, judge the result."""

from dataclasses import asdict, dataclass, field, replace

import numpy as np

from heatnet.calib.basin import SCORED, find_basin
from heatnet.calib.coarse import CoarseConfig
from heatnet.calib.edges import EdgeConfig
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.refine import FINAL, SETTLE, Fit, Observe, refine, refine_jointly
from heatnet.calib.result import CalibrationResult, CameraResult, FrameUse, Status, write_calibration
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.scene import observer, prepare
from heatnet.calib.score import BLUR_PX, Score, score
from heatnet.calib.solve import thinned
from heatnet.calib.uncertainty import AlignmentGrid, estimate_uncertainty, held_out, split_halves, stated_error
from heatnet.calib.views import Views
from heatnet.errors import CalibrationError
from heatnet.progress import track

__all__ = ["CalibrationConfig", "CalibrationResult", "calibrate", "write_calibration"]

LEAST_MATCHES = 500
DEPTHS = ("auto", "stereo")


@dataclass(frozen=True)
class CalibrationConfig:
    """How to calibrate."""

    depth: str = "auto"  # auto or stereo
    seed: int = 0
    edges: EdgeConfig = field(default_factory=EdgeConfig)
    coarse: CoarseConfig = field(default_factory=CoarseConfig)
    prior: Prior = field(default_factory=Prior)
    coarse_views: int = 6  # key frames that the search for the basin looks at
    least_margin: float = 0.35  # of the second score, below which a result is called inconclusive
    largest_strain: float = 5.0  # deviations of the prior that a result may be from the guess
    largest_error_px: float = 1.5  # stated error or difference of halves from which on likewise


def calibrate(views: Views, rig: Rig, config: CalibrationConfig = CalibrationConfig()) -> CalibrationResult:
    """Refine every thermal camera of `rig` from the scenes in `views`.

    Raises CalibrationError, with the reason, where the views cannot carry a calibration at all; where they do but the
    result does not convince, its status is "inconclusive".
    """
    if config.depth not in DEPTHS:
        raise CalibrationError(f"depth {config.depth!r}; one of {', '.join(DEPTHS)} is needed")
    cameras = [c for c in rig.thermal if any(v.thermal.get(c.name) for v in views.views)]
    if not cameras:
        raise CalibrationError(f"{views.names()}: no thermal frame near any of {len(views.views)} key frames")
    scenes = prepare(views, rig, config.edges)
    guesses = [Estimate(c.camera, c.cam_from_cam0) for c in cameras]
    observes = [observer(scenes, c.name) for c in cameras]
    starts = [
        find_basin(scenes, c, guess, config.prior, config.coarse, config.coarse_views)
        for c, guess in zip(track(cameras, "Searching the thermal cameras"), guesses, strict=True)
    ]
    settled = [
        refine(observe, start, guess, config.prior, SETTLE)
        for observe, start, guess in zip(observes, starts, guesses, strict=True)
    ]
    fits = refine_jointly(observes, settled, guesses, config.prior, FINAL)
    results = [
        _result(views, rig, camera, start, fit, observe, config)
        for camera, start, fit, observe in zip(cameras, starts, fits, observes, strict=True)
    ]
    for result in results:
        rig = rig.with_camera(result.after)
    return CalibrationResult(rig, tuple(results), asdict(config), scenes)


def _result(
    views: Views,
    rig: Rig,
    camera: RigCamera,
    start: Estimate,
    fit: Fit,
    observe: Observe,
    config: CalibrationConfig,
) -> CameraResult:
    if len(fit.matches) < LEAST_MATCHES:
        raise CalibrationError(
            f"{camera.topic}: {len(fit.matches)} edges of {fit.matches.tried} found again in the thermal images; "
            f"at least {LEAST_MATCHES} are needed (lens covered, wrong camera, or a guess too far off?)"
        )
    uncertainty = estimate_uncertainty(fit)
    grid = AlignmentGrid.of(rig.rgb_left, fit.estimate)
    second = score(thinned(observe(BLUR_PX, 1), SCORED), fit.estimate)
    halves = split_halves(fit, grid, config.seed)
    used, counts = np.unique(fit.matches.views, return_counts=True)
    stated = stated_error(grid, uncertainty, len(used), config.seed)
    strain = _strain(fit.estimate, Estimate(camera.camera, camera.cam_from_cam0), config.prior)
    status, reason = _judge(second, halves, stated, len(used), strain, config)
    frames = tuple(
        FrameUse(views.recordings[views.views[v].recording], views.views[v].stamp_ns, int(count))
        for v, count in zip(used, counts, strict=True)
    )
    after = replace(camera, camera=fit.estimate.camera, cam_from_cam0=fit.estimate.cam_from_cam0)
    return CameraResult(
        camera, after, start, fit, uncertainty, grid, second, frames, held_out(fit), halves, stated, status, reason
    )


def _strain(estimate: Estimate, guess: Estimate, prior: Prior) -> tuple[str, float]:
    """The part of the guess that the result contradicts most, and by how many deviations of the prior."""
    pulls = np.abs(prior.rows(guess) @ estimate.difference(guess))
    worst = int(np.argmax(pulls))
    return estimate.names[worst], float(pulls[worst])


def _judge(
    second: Score, halves: float, stated: float, views: int, strain: tuple[str, float], config: CalibrationConfig
) -> tuple[Status, str]:
    """Good, or inconclusive with the reason."""
    limit = config.largest_error_px
    if strain[1] > config.largest_strain:
        return "inconclusive", (
            f"{strain[0]} is {strain[1]:.0f} deviations from the guess (limit {config.largest_strain:.0f}): "
            "are cameras swapped in the rig file?"
        )
    if views < 3:
        return (
            "inconclusive",
            f"{views} key frames of different places; at least 3 are needed to tell agreement from chance",
        )
    if second.margin < config.least_margin:
        return "inconclusive", (
            f"edges agree hardly better here than with the camera turned away (margin {second.margin:.2f}, "
            f"{config.least_margin:.2f} is needed)"
        )
    if not halves < limit:
        return "inconclusive", f"halves of the key frames differ by {halves:.1f} px (limit {limit:.1f})"
    if not stated < limit:
        return "inconclusive", f"the stated error is {stated:.1f} px (limit {limit:.1f})"
    return "good", f"edges agree (margin {second.margin:.2f}); the mean error is below {stated:.2f} px at 95 %"
