"""Which of many beginnings leads to the right calibration.

Searched widely, the beginnings are ranked and climbed by the second score, which needs no matches. Once settled, they
compete by how many edges they meet, which tells a wrong place from the right one where agreement hardly does; and from
a wrong place, halves of the image lead on.
"""

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.ascent import ascend
from heatnet.calib.coarse import CoarseConfig, Sight, search_pose
from heatnet.calib.observations import Observations, Observe
from heatnet.calib.parallel import side_by_side
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.refine import APPROACH, FINAL, SETTLE, Stage, fit, refine
from heatnet.calib.rig import RigCamera
from heatnet.calib.scene import Scene
from heatnet.calib.score import BLUR_PX, agreement
from heatnet.errors import CalibrationError

log = logging.getLogger(__name__)
SCORED = 10_000  # landmarks that the second score asks
MET = 10_000  # landmarks that are asked whether a settled candidate meets them
FOLLOWED = 2  # candidates that are settled, of those that agree best after the first stage
HOPS, MORE = 3, 0.01  # at most, from what is settled to what meets so many more edges
HALVINGS = 4  # of the thermal images, each by another line
ALONE = (replace(APPROACH, most=2_000), replace(SETTLE[0], most=3_000, steps=6))  # a half's: only to see where it goes
ALMOST, ELSEWHERE_PX = 0.95, 0.4  # share of the agreement, and distance, from which what a half leads to is followed
ALIKE_PX = 0.15  # candidates nearer to each other than this end in the same place


def find_basin(
    scenes: Sequence[Scene],
    camera: RigCamera,
    observe: Observe,
    guess: Estimate,
    prior: Prior,
    coarse: CoarseConfig,
    views: int,
) -> Estimate:
    """The most convincing estimate of `camera` around `guess`, settled; the grid is searched in `views` of the scenes.

    `observe` is what the camera sees in the scenes. Raises CalibrationError where no scene has a thermal frame of it.
    """
    seeing = [s for s in scenes if s.view.thermal.get(camera.name)]
    if not seeing:
        raise CalibrationError(f"{camera.topic}: no thermal frame near the key frames that have edges")
    chosen = [seeing[i] for i in np.unique(np.linspace(0, len(seeing) - 1, views).astype(int))]
    sights = [Sight(s.landmarks, s.view.thermal[camera.name][0].pixels) for s in chosen]
    near = [_refined(observe, c, guess, prior, (APPROACH,)) for c in search_pose(sights, guess, coarse)]
    asked = observe(BLUR_PX, 1).thinned(SCORED)
    near.sort(key=lambda estimate: -agreement(asked, estimate)[0])
    climbed = side_by_side(lambda start: ascend(observe, start, guess, prior), near[:FOLLOWED])
    best, met = _settle_best(observe, climbed, guess, prior)
    for _ in range(HOPS):
        others = _let_go(observe, best, guess, prior)
        if not others:
            break
        other, more = _settle_best(observe, others, guess, prior)
        log.debug("%s: %.0f edges met, %.0f by what halves of the image lead to", camera.name, met, more)
        if more <= met * (1 + MORE):
            break
        best, met = other, more
    return best


def _let_go(observe: Observe, at: Estimate, guess: Estimate, prior: Prior) -> list[Estimate]:
    """What halves of the thermal images lead to, where that is elsewhere and edges agree there about as well.

    Repeated edges hold a wrong place by pulling different parts of the image different ways; alone, a half lets go.
    """
    asked = observe(BLUR_PX, 1).thinned(SCORED)
    ends = side_by_side(lambda half: _refined(half, at, guess, prior, ALONE), list(_halves(observe, at)))
    agreed = [agreement(asked, end)[0] for end in ends]
    nearly = ALMOST * agreement(asked, at)[0]
    ranked = [ends[i] for i in np.argsort(agreed)[::-1] if agreed[i] > nearly]
    return _unlike(observe, [at, *ranked], ELSEWHERE_PX)[1 : 1 + FOLLOWED]


def _halves(observe: Observe, at: Estimate) -> Iterator[Observe]:
    """The half of the landmarks that `at` places farthest to the right in the images, and so on all around."""
    observed = observe(BLUR_PX, 1)
    seen = observed.seen(at)
    numbers = observed.numbers[seen.index]
    for angle in np.pi / HALVINGS * np.arange(2 * HALVINGS):
        order = np.argsort(seen.pixels @ np.array([np.cos(angle), np.sin(angle)]))
        yield _only(observe, numbers[order[len(order) // 2 :]])


def _only(observe: Observe, numbers: NDArray[np.int64]) -> Observe:
    """What `observe` gives, of the landmarks of these numbers."""

    def observe_some(blur_px: float, frames: int) -> Observations:
        observed = observe(blur_px, frames)
        return observed.only(np.flatnonzero(np.isin(observed.numbers, numbers)))

    return observe_some


def _settle_best(observe: Observe, starts: Sequence[Estimate], guess: Estimate, prior: Prior) -> tuple[Estimate, float]:
    """What meets most edges of all that the starts lead to when settled, and how many."""
    asked = observe(FINAL.blur_px, FINAL.frames).thinned(MET)

    def begin(pair: tuple[Estimate, Prior]) -> Estimate:
        return _refined(observe, pair[0], guess, pair[1], SETTLE[:1])

    def settle(begun: Estimate) -> tuple[Estimate, float]:
        end = _refined(observe, begun, guess, prior, SETTLE[1:])
        return end, float(fit(asked, end, guess, prior, FINAL).normal.weights.sum())

    apart = _unlike(observe, starts, ALIKE_PX)
    begun = _unlike(observe, side_by_side(begin, list(itertools.product(apart, (prior, prior.held())))), ALIKE_PX)
    settled, met = zip(*side_by_side(settle, begun), strict=True)
    return settled[int(np.argmax(met))], max(met)


def _unlike(observe: Observe, estimates: Sequence[Estimate], least_px: float) -> list[Estimate]:
    """Those of the estimates that place the landmarks elsewhere than all before them that are kept."""
    observed = observe(BLUR_PX, 1).thinned(SCORED)
    kept: list[Estimate] = []
    for estimate in estimates:
        if all(observed.apart_px(estimate, other) > least_px for other in kept):
            kept.append(estimate)
    return kept


def _refined(observe: Observe, start: Estimate, guess: Estimate, prior: Prior, stages: Sequence[Stage]) -> Estimate:
    """A start refined; itself where that leads nowhere."""
    try:
        return refine(observe, start, guess, prior, stages)
    except np.linalg.LinAlgError:
        return start
