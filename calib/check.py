"""Is an existing calibration still right? Pass, fail or inconclusive, with the reason.

The calibration is refined from where it stands, against its own recording, and the mean alignment distance of the given
calibration from the truth is bracketed: that of the refined one is known by its scatter, and the two differ by a known
displacement. A search from afar runs only where the refinement nearby does not convince. Nothing is assumed of
rotation, focal length, centre or lens beyond what `calibrate` assumes of a rough guess.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.basin import SCORED, find_basin
from heatnet.calib.config import CalibrationConfig
from heatnet.calib.depth_choice import choose_depth
from heatnet.calib.parameters import Estimate
from heatnet.calib.refine import APPROACH, SETTLE, Fit, Stage, refine
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.rigid import rotation_log
from heatnet.calib.scene import Scene, contradiction, observer, prepare
from heatnet.calib.score import BLUR_PX, Score, agreement, score
from heatnet.calib.several import Located, refine_together
from heatnet.calib.uncertainty import displacement_interval
from heatnet.calib.verdict import assess, doubt
from heatnet.calib.views import Views
from heatnet.errors import CalibrationError
from heatnet.progress import track

Verdict = Literal["pass", "fail", "inconclusive"]
NEARBY: tuple[tuple[Stage, ...], ...] = (SETTLE, (APPROACH, *SETTLE))  # from within 6 px, and from within 14
ADDED = 0.02  # share of the agreement that a better place must add to prove the given one wrong
LACKING = 0.10  # share that a right one may lack: refined to the last, edges always agree a little better


@dataclass(frozen=True)
class CheckConfig:
    """What counts as right, and how it is found out."""

    tolerance_px: float = 0.5  # mean alignment error, at 5 to 200 m, above which a calibration is wrong
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)


@dataclass(frozen=True)
class CameraCheck:
    """What a recording says of one thermal camera's calibration."""

    given: RigCamera
    status: Verdict
    reason: str
    refined: Estimate | None = None  # where the recording would have it
    distance_px: float = float("nan")  # mean alignment distance between the two
    interval_px: tuple[float, float] = (0.0, float("inf"))  # in which the error of the given one lies, 5 to 95 %
    given_score: Score | None = None
    refined_score: Score | None = None
    matches: int = 0
    views: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers only where the verdict rests on them."""
        said: dict[str, Any] = {"topic": self.given.topic, "status": self.status, "reason": self.reason}
        said |= {"matches": self.matches, "key_frames": self.views}
        if self.given_score and self.refined_score:
            scores = {"given": self.given_score, "refined": self.refined_score}
            said["score"] = {k: {"agreement": s.agreement, "margin": s.margin} for k, s in scores.items()}
        if self.refined is None:
            return said
        step = self.refined.difference(Estimate(self.given.camera, self.given.cam_from_cam0))
        said["alignment_error_px"] = {"distance_from_refined": self.distance_px, "interval_90": list(self.interval_px)}
        said["refined_minus_given"] = dict(zip(self.refined.names, step.tolist(), strict=True))
        return said


@dataclass(frozen=True)
class CheckResult:
    """The verdict on a rig."""

    cameras: tuple[CameraCheck, ...]
    tolerance_px: float

    @property
    def status(self) -> Verdict:
        """Fail where any camera fails, pass where all pass."""
        found = {camera.status for camera in self.cameras}
        return "fail" if "fail" in found else "pass" if found == {"pass"} else "inconclusive"

    def lines(self) -> list[str]:
        """The verdict in a line a camera."""
        return [f"{c.given.name} {c.given.topic}: {c.status}, {c.reason}" for c in self.cameras]

    def as_dict(self) -> dict[str, Any]:
        """What `heatnet check --json` prints."""
        cameras = {c.given.name: c.as_dict() for c in self.cameras}
        return {"status": self.status, "tolerance_px": self.tolerance_px, "cameras": cameras}


def check(views: Views, rig: Rig, config: CheckConfig = CheckConfig()) -> CheckResult:
    """Compare every thermal camera of `rig` with the scenes in `views`.

    What keeps a recording from judging at all (darkness, bare walls, no thermal frames) makes it inconclusive.
    Raises CalibrationError where the rig has no thermal camera.
    """
    if not rig.thermal:
        raise CalibrationError(
            f"no thermal camera among {', '.join(c.topic for c in rig.cameras)}: name it by --thermal"
        )
    try:
        depth = choose_depth(config.calibration.depth, views, rig)
        scenes = prepare(views, rig, config.calibration.edges, depth)
    except CalibrationError as error:
        return unjudged(rig, str(error), config)
    against = contradiction(scenes, rig, depth)
    if against and depth.name != "lidar":
        return unjudged(rig, against, config)
    judged = check_scenes(scenes, rig, config)
    return CheckResult(judged, config.tolerance_px)


def unjudged(rig: Rig, reason: str, config: CheckConfig) -> CheckResult:
    """Inconclusive for every thermal camera, for the same reason."""
    return CheckResult(tuple(CameraCheck(c, "inconclusive", reason) for c in rig.thermal), config.tolerance_px)


def check_scenes(scenes: Sequence[Scene], rig: Rig, config: CheckConfig) -> tuple[CameraCheck, ...]:
    """Likewise, of scenes made ready."""
    seen = [c for c in rig.thermal if any(s.view.thermal.get(c.name) for s in scenes)]
    searches = [
        search
        for camera in track(seen, "Checking the cameras")
        if (search := _settled(scenes, camera, config.calibration))
    ]
    fits = refine_together(searches, config.calibration)
    checked = {s.camera.name: _judge(s, fit, rig.rgb_left, config) for s, fit in fits if fit is not None}
    nothing = "no thermal frame near the key frames that have edges, or no edge found again in them"
    return tuple(checked.get(c.name, CameraCheck(c, "inconclusive", nothing)) for c in rig.thermal)


def _settled(scenes: Sequence[Scene], camera: RigCamera, config: CalibrationConfig) -> Located | None:
    """The most convincing place: nearby where that convinces, else from a wide search; None where equations fail."""
    given, observe = Estimate(camera.camera, camera.cam_from_cam0), observer(scenes, camera.name)
    asked = observe(BLUR_PX, 1).thinned(SCORED)
    tried: list[Located] = []
    for stages in NEARBY:
        with contextlib.suppress(np.linalg.LinAlgError):
            refined = refine(observe, given, given, config.prior, stages)
            tried.append(Located.of(camera, observe, refined, config))
            if tried[-1].convincing:
                return tried[-1]
    try:
        settled = find_basin(scenes, camera, observe, given, config.prior, config.coarse, config.coarse_views)
    except np.linalg.LinAlgError:
        return None
    tried.append(Located.of(camera, observe, settled, config))
    return max(tried, key=lambda search: agreement(asked, search.settled)[0])


def _judge(search: Located, fit: Fit, left: RigCamera, config: CheckConfig) -> CameraCheck:
    camera, observe, given, calibration = search.camera, search.observe, search.guess, config.calibration
    assessed = assess(fit, given, calibration.prior, observe, left, calibration.seed)
    evidence, grid = assessed.evidence, assessed.grid
    # How far the refined one is from the given one speaks against the given one here, not against the refined.
    limits = replace(calibration.limits, largest_strain=float("inf"))
    found = CameraCheck(camera, "inconclusive", doubt(evidence, limits), matches=evidence.matches, views=evidence.views)
    if found.reason:
        return found
    moved = grid.displacement(given)
    interval = displacement_interval(grid, assessed.uncertainty, moved, calibration.seed)
    scored = score(observe(BLUR_PX, 1).thinned(SCORED), given)
    status, reason = _verdict(interval, scored, evidence.score, config.tolerance_px)
    if status == "fail":
        reason = f"{reason}: {_difference(fit.estimate, given)}"
    return replace(
        found,
        status=status,
        reason=reason,
        refined=fit.estimate,
        distance_px=float(np.linalg.norm(moved[grid.seen], axis=-1).mean()),
        interval_px=interval,
        given_score=scored,
        refined_score=evidence.score,
    )


def _verdict(interval: tuple[float, float], given: Score, refined: Score, tolerance_px: float) -> tuple[Verdict, str]:
    """By the interval of the error, when the second score does not contradict."""
    low, high = interval
    gain = refined.agreement - given.agreement
    between = f"the mean alignment error is {low:.2f} to {high:.2f} px (tolerance {tolerance_px:.2f})"
    scores = f"edges agree by {given.agreement:.3f} as given, {refined.agreement:.3f} as refined"
    if low > tolerance_px:
        if gain > ADDED * refined.agreement:
            return "fail", between
        return "inconclusive", f"{between}, but {scores}"
    if high <= tolerance_px:
        if gain <= LACKING * refined.agreement:
            return "pass", between
        return "inconclusive", f"{between}, but {scores}"
    return "inconclusive", f"{between}: a recording with more key frames, nearer and more varied, would tell"


def _difference(refined: Estimate, given: Estimate) -> str:
    """What would have to change, in words; what hardly would is left out."""
    turned = np.rad2deg(rotation_log(refined.cam_from_cam0.rotation @ given.cam_from_cam0.rotation.T))
    centres = (of.cam_from_cam0.inverse().translation for of in (refined, given))
    moved = 100 * np.subtract(*centres)
    before, after = given.camera.intrinsics, refined.camera.intrinsics
    focal = 100 * (after[:2] / before[:2] - 1)
    shifted = after[2:] - before[2:]
    parts = (
        (turned, 0.02, f"turned by {_row(turned, 2)} degrees about x, y and z"),
        (moved, 0.5, f"moved by {_row(moved, 1)} cm along cam0's x, y and z"),
        (focal, 0.1, f"fx and fy by {_row(focal, 1)} %"),
        (shifted, 0.5, f"image centre by {_row(shifted, 1)} px"),
    )
    said = [words for values, least, words in parts if np.abs(values).max() >= least]
    return ", ".join(said) or "by its distortion"


def _row(values: NDArray[np.float64], digits: int) -> str:
    return " ".join(f"{value:+.{digits}f}" for value in values)
