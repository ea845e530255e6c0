"""From a rough estimate to a fine one: radii shrink while parameters are released in the order the data carry them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.acceleration import Acceleration
from heatnet.calib.matching import Search
from heatnet.calib.observations import Observations, Observe
from heatnet.calib.parallel import side_by_side
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.solve import (
    Matches,
    Normal,
    agreeing,
    match,
    normal_equations,
    solve_free,
    solve_joint,
)

Array = NDArray[np.float64]
EVERY_FRAME = 99
FOCAL_PX = 510.0  # of the cameras that the stages below are for
LEAST_RADIUS_PX, LEAST_BLUR_PX = 2.0, 0.7


@dataclass(frozen=True)
class Stage:
    """One radius of the search."""

    radius_px: float
    scale_px: float  # residual at which the robust weights turn
    blur_px: float
    released: tuple[str, ...]  # what the names of the parameters start with
    steps: int  # at most
    frames: int  # thermal frames a key frame
    most: int  # landmarks looked for, of all frames together: more cost time and tell nothing new
    agreed: bool = False  # whether landmarks count less that cameras find at different offsets

    def at(self, focal_px: float) -> "Stage":
        """The same angle in an image of fewer pixels: there, a radius as wide finds too many other edges."""
        radius = max(self.radius_px * min(focal_px / FOCAL_PX, 1.0), LEAST_RADIUS_PX)
        share = radius / self.radius_px
        blur = max(self.blur_px * share, min(self.blur_px, LEAST_BLUR_PX))
        blur = round(blur, 3)  # stages of one blur keep it: each other one is made of the images anew
        return replace(self, radius_px=radius, scale_px=self.scale_px * share, blur_px=blur)


APPROACH = Stage(14, 4.7, 2.0, ("rotation", "f", "k1"), 4, 1, 6_000)
SETTLE = (  # by small steps: where the radius shrinks at once, repeated edges hold on to wrong matches
    Stage(6, 1.5, 1.2, ("",), 12, 1, 6_000),
    Stage(4.5, 1.15, 1.2, ("",), 12, 1, 6_000),
    Stage(3.4, 0.85, 0.7, ("",), 12, 1, 6_000),
)
JOINTLY = (  # widely, agreement keeps them off other edges; nearer, landmarks on which they differ put them right
    Stage(4, 1.1, 1.2, ("",), 8, 1, 15_000, agreed=True),
    Stage(2.6, 0.6, 0.7, ("",), 8, 1, 15_000),
    Stage(2, 0.4, 0.3, ("",), 8, EVERY_FRAME, 30_000),
    Stage(2, 0.24, 0.3, ("",), 25, EVERY_FRAME, 30_000),
    Stage(2, 0.24, 0.3, ("",), 10, EVERY_FRAME, 60_000, agreed=True),
)
FINAL = JOINTLY[-1]
CALM = 0.4  # momentum (Polyak 1964) while the search settles: matches change too much to learn from earlier steps
STILL_PX = 0.01  # a step that moves the landmarks less is the last of its stage
AT_REST_PX = 0.0015  # likewise of the stages for all cameras
AGREEMENT = 1.25  # of a stage's scale: difference between thermal cameras at which a landmark's weight turns
MATCH_SIGMA_PX = 0.6  # worth of one match at last: 0.2 px each, and a dozen neighbours that err alike


@dataclass(frozen=True)
class Fit:
    """An estimate and the matches it was last solved with."""

    estimate: Estimate
    matches: Matches
    normal: Normal

    def moved_px(self, step: Array) -> float:
        """How far a step (P,) moves the landmarks across their edges (root mean square)."""
        total = self.normal.weights @ (self.matches.jacobian @ step) ** 2
        return float(np.sqrt(total / max(self.normal.weights.sum(), 1e-9)))


def refine(observe: Observe, start: Estimate, guess: Estimate, prior: Prior, stages: Sequence[Stage]) -> Estimate:
    """Run `start` through the stages; `guess` is what the prior is about."""
    estimate = start
    for stage in (s.at(float(guess.camera.intrinsics[:2].mean())) for s in stages):
        observed = observe(stage.blur_px, stage.frames).thinned(stage.most)
        free = np.array([name.startswith(stage.released) for name in estimate.names])
        move = np.zeros(len(free))
        for _ in range(stage.steps):
            found = fit(observed, estimate, guess, prior, stage)
            move = solve_free(found.normal, free) + CALM * move
            estimate = estimate.moved(move)
            if found.moved_px(move) < STILL_PX:
                break
    return estimate


def fit(observed: Observations, estimate: Estimate, guess: Estimate, prior: Prior, stage: Stage) -> Fit:
    """Match at an estimate and set up the equations of the next step."""
    return _weighed(match(observed, estimate, Search(stage.radius_px)), estimate, guess, prior, stage)


def _weighed(matches: Matches, estimate: Estimate, guess: Estimate, prior: Prior, stage: Stage) -> Fit:
    sigma_px = MATCH_SIGMA_PX * stage.scale_px / FINAL.scale_px
    normal = normal_equations(matches, estimate, guess, prior, stage.scale_px, sigma_px)
    return Fit(estimate, matches, normal)


def refine_jointly(
    observes: Sequence[Observe], starts: Sequence[Estimate], guesses: Sequence[Estimate], prior: Prior
) -> list[Fit]:
    """The last stages, for all thermal cameras at once: they are triggered together and see the same edges."""
    shared = float(np.mean([s.lag_s for s in starts]))
    estimates = [replace(s, lag_s=shared) for s in starts]
    lag_information = 1 / prior.lag_s**2
    for stage in JOINTLY:
        observed = _thinned_alike(observes, stage)
        acceleration = Acceleration()
        for _ in range(stage.steps):
            fits = _fits(observed, estimates, guesses, prior, stage)
            pull = lag_information * (guesses[0].lag_s - estimates[0].lag_s)
            moves = solve_joint([f.normal for f in fits], lag_information, pull, acceleration)
            estimates = [e.moved(move) for e, move in zip(estimates, moves, strict=True)]
            if max(f.moved_px(move) for f, move in zip(fits, moves, strict=True)) < AT_REST_PX:
                break
    return _fits(observed, estimates, guesses, prior, FINAL)


def _thinned_alike(observes: Sequence[Observe], stage: Stage) -> list[Observations]:
    """What a stage takes of each camera: the same landmarks of all."""
    whole = side_by_side(lambda observe: observe(stage.blur_px, stage.frames), observes)
    step = max(-(-len(o.points) // stage.most) for o in whole)
    return [o.every(step) for o in whole]


def _fits(
    observed: Sequence[Observations],
    estimates: Sequence[Estimate],
    guesses: Sequence[Estimate],
    prior: Prior,
    stage: Stage,
) -> list[Fit]:
    def of(i: int) -> Matches:
        return match(observed[i], estimates[i], Search(stage.radius_px))

    matches = side_by_side(of, range(len(estimates)))
    if stage.agreed:
        focals = [float(e.camera.intrinsics[:2].mean()) for e in estimates]
        matches = agreeing(matches, focals, AGREEMENT * stage.scale_px)
    return [_weighed(m, e, g, prior, stage) for m, e, g in zip(matches, estimates, guesses, strict=True)]
