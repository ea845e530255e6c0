"""From a rough estimate to a fine one: radii shrink while parameters are released in the order the data carry them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from heatnet.calib.matching import Search
from heatnet.calib.parallel import side_by_side
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.solve import (
    Matches,
    Normal,
    Observation,
    agreeing,
    match,
    normal_equations,
    solve_free,
    solve_joint,
    thinned,
)

Observe = Callable[[float, int], tuple[Observation, ...]]
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
    steps: int
    frames: int  # thermal frames a key frame
    most: int  # landmarks looked for, of all frames together: more cost time and tell nothing new
    held: bool = False  # what most edges hardly tell stays near the guess

    def at(self, focal_px: float) -> "Stage":
        """The same angle in an image of fewer pixels: there, a radius as wide finds too many other edges."""
        radius = max(self.radius_px * min(focal_px / FOCAL_PX, 1.0), LEAST_RADIUS_PX)
        share = radius / self.radius_px
        blur = max(self.blur_px * share, min(self.blur_px, LEAST_BLUR_PX))
        return replace(self, radius_px=radius, scale_px=self.scale_px * share, blur_px=blur)


APPROACH = (
    Stage(14, 4.7, 2.0, ("rotation", "f", "k1"), 4, 1, 6_000, held=True),
    Stage(10, 3.3, 1.5, ("rotation", "f", "k1", "k2"), 4, 1, 6_000, held=True),
    Stage(6, 2.0, 1.2, ("rotation", "f", "c", "k", "lag"), 3, 1, 9_000, held=True),
)
SETTLE = (  # by small steps: where the radius shrinks at once, repeated edges hold on to wrong matches
    Stage(6, 1.5, 1.2, ("",), 8, 1, 8_000),
    Stage(4.5, 1.15, 1.2, ("",), 8, 1, 8_000),
    Stage(3.4, 0.85, 0.7, ("",), 8, 1, 8_000),
)
JOINTLY = (
    Stage(2.6, 0.6, 0.7, ("",), 10, EVERY_FRAME, 30_000),
    Stage(2, 0.4, 0.3, ("",), 10, EVERY_FRAME, 60_000),
    Stage(2, 0.24, 0.3, ("",), 14, EVERY_FRAME, 60_000),
)
FINAL = JOINTLY[-1]
STRETCH, MOMENTUM = 1.5, 0.8  # of these steps (Polyak 1964): along weak directions reweighted ones are too short by far
AGREEMENT = 1.25  # of a stage's scale: difference between thermal cameras at which a landmark's weight turns
MATCH_SIGMA_PX = 0.6  # worth of one match at last: 0.2 px each, and a dozen neighbours that err alike


@dataclass(frozen=True)
class Fit:
    """An estimate and the matches it was last solved with."""

    estimate: Estimate
    matches: Matches
    normal: Normal


def refine(observe: Observe, start: Estimate, guess: Estimate, prior: Prior, stages: Sequence[Stage]) -> Estimate:
    """Run `start` through the stages; `guess` is what the prior is about."""
    estimate = start
    for stage in (s.at(float(guess.camera.intrinsics[:2].mean())) for s in stages):
        observations = thinned(observe(stage.blur_px, stage.frames), stage.most)
        free = np.array([name.startswith(stage.released) for name in estimate.names])
        for _ in range(stage.steps):
            estimate = estimate.moved(solve_free(fit(observations, estimate, guess, prior, stage).normal, free))
    return estimate


def fit(observations: Sequence[Observation], estimate: Estimate, guess: Estimate, prior: Prior, stage: Stage) -> Fit:
    """Match at an estimate and set up the equations of the next step."""
    return _weighed(match(observations, estimate, Search(stage.radius_px)), estimate, guess, prior, stage)


def _weighed(matches: Matches, estimate: Estimate, guess: Estimate, prior: Prior, stage: Stage) -> Fit:
    sigma_px = MATCH_SIGMA_PX * stage.scale_px / FINAL.scale_px
    prior = prior.held() if stage.held else prior
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
        observations = [thinned(observe(stage.blur_px, stage.frames), stage.most) for observe in observes]
        moves = [np.zeros(len(e.names)) for e in estimates]
        for _ in range(stage.steps):
            fits = _fits(observations, estimates, guesses, prior, stage)
            pull = lag_information * (guesses[0].lag_s - estimates[0].lag_s)
            steps = solve_joint([f.normal for f in fits], lag_information, pull)
            moves = [STRETCH * step + MOMENTUM * move for step, move in zip(steps, moves, strict=True)]
            estimates = [e.moved(move) for e, move in zip(estimates, moves, strict=True)]
    return _fits(observations, estimates, guesses, prior, FINAL)


def _fits(
    observations: Sequence[Sequence[Observation]],
    estimates: Sequence[Estimate],
    guesses: Sequence[Estimate],
    prior: Prior,
    stage: Stage,
) -> list[Fit]:
    def of(i: int) -> Matches:
        return match(observations[i], estimates[i], Search(stage.radius_px))

    matches = agreeing(side_by_side(of, range(len(estimates))), AGREEMENT * stage.scale_px)
    return [_weighed(m, e, g, prior, stage) for m, e, g in zip(matches, estimates, guesses, strict=True)]
