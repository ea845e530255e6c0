"""Which of many beginnings leads to the right calibration.

Searched widely, the beginnings are ranked and climbed by the second score, which needs no matches; once settled, those
compete by how many edges they meet, which tells a wrong place from the right one where agreement hardly does.
"""

import itertools
import logging
from collections.abc import Sequence

import numpy as np

from heatnet.calib.ascent import ascend
from heatnet.calib.coarse import CoarseConfig, Sight, search_pose
from heatnet.calib.observations import Observe
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
WIDE_PX, NARROW_PX = 2.0, 1.2  # blurs under which the second score is climbed
HOPS, MORE = 3, 0.01  # at most, from what is settled to what meets so many more edges
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
    best, met = _settle_best(observe, near[:FOLLOWED], guess, prior, (WIDE_PX,))
    for _ in range(HOPS):
        other, more = _settle_best(observe, [best], guess, prior, (NARROW_PX, WIDE_PX))
        log.debug("%s: %.0f edges met, %.0f from higher up", camera.name, met, more)
        if more <= met * (1 + MORE):
            break
        best, met = other, more
    return best


def _settle_best(
    observe: Observe, starts: Sequence[Estimate], guess: Estimate, prior: Prior, blurs_px: Sequence[float]
) -> tuple[Estimate, float]:
    """What meets most edges of all that the starts lead to, and how many: uphill under each blur, then settled."""
    asked = observe(FINAL.blur_px, FINAL.frames).thinned(MET)

    def climb(way: tuple[Estimate, float]) -> Estimate:
        return ascend(observe, way[0], guess, prior, way[1])

    def begin(way: tuple[Estimate, Prior]) -> Estimate:
        return _refined(observe, way[0], guess, way[1], SETTLE[:1])

    def settle(begun: Estimate) -> tuple[Estimate, float]:
        end = _refined(observe, begun, guess, prior, SETTLE[1:])
        return end, float(fit(asked, end, guess, prior, FINAL).normal.weights.sum())

    higher = _unlike(observe, side_by_side(climb, list(itertools.product(starts, blurs_px))))
    begun = _unlike(observe, side_by_side(begin, list(itertools.product(higher, (prior, prior.held())))))
    settled, met = zip(*side_by_side(settle, begun), strict=True)
    return settled[int(np.argmax(met))], max(met)


def _unlike(observe: Observe, estimates: Sequence[Estimate]) -> list[Estimate]:
    """Those of the estimates that place the landmarks elsewhere than the ones before."""
    observed = observe(BLUR_PX, 1).thinned(SCORED)
    kept: list[Estimate] = []
    for estimate in estimates:
        if all(observed.apart_px(estimate, other) > ALIKE_PX for other in kept):
            kept.append(estimate)
    return kept


def _refined(observe: Observe, start: Estimate, guess: Estimate, prior: Prior, stages: Sequence[Stage]) -> Estimate:
    """A start refined; itself where that leads nowhere."""
    try:
        return refine(observe, start, guess, prior, stages)
    except np.linalg.LinAlgError:
        return start
