"""Which of many beginnings leads to the right calibration: searched widely, refined, and judged by the second score."""

import logging
from collections.abc import Sequence

import numpy as np

from heatnet.calib.ascent import ascend
from heatnet.calib.coarse import CoarseConfig, Sight, search_pose
from heatnet.calib.observations import Observe
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.refine import APPROACH, FINAL, SETTLE, Stage, fit, refine
from heatnet.calib.rig import RigCamera
from heatnet.calib.scene import Scene, observer
from heatnet.calib.score import BLUR_PX, agreement
from heatnet.errors import CalibrationError

log = logging.getLogger(__name__)
SCORED = 10_000  # landmarks that the second score asks
MET = 20_000  # landmarks that are asked whether a settled candidate meets them
FOLLOWED = 3  # candidates that are settled, of those that agree best after the first stage
ALIKE_PX = 0.15  # candidates nearer to each other than this end in the same place


def find_basin(
    scenes: Sequence[Scene], camera: RigCamera, guess: Estimate, prior: Prior, coarse: CoarseConfig, views: int
) -> Estimate:
    """The most convincing estimate of `camera` around `guess`, settled; the grid is searched in `views` of the scenes.

    Raises CalibrationError where no scene has a thermal frame of this camera.
    """
    seeing = [s for s in scenes if s.view.thermal.get(camera.name)]
    if not seeing:
        raise CalibrationError(f"{camera.topic}: no thermal frame near the key frames that have edges")
    chosen = [seeing[i] for i in np.unique(np.linspace(0, len(seeing) - 1, views).astype(int))]
    sights = [Sight(s.landmarks, s.view.thermal[camera.name][0].pixels) for s in chosen]
    observe = observer(scenes, camera.name)
    near = [_try(observe, candidate, guess, prior, (APPROACH,)) for candidate in search_pose(sights, guess, coarse)]
    near.sort(key=lambda pair: -pair[1])
    higher = [ascend(observe, estimate, guess, prior) for estimate, _ in near[:FOLLOWED]]
    begun = [_try(observe, e, guess, first, SETTLE[:1]) for e in higher for first in (prior, prior.held())]
    settled = [_settle(observe, e, guess, prior) for e in _unlike(observe, [e for e, _ in begun])]
    log.debug("%s: settled candidates meet %s edges", camera.name, ", ".join(f"{met:.0f}" for _, met in settled))
    return max(settled, key=lambda pair: pair[1])[0]


def _unlike(observe: Observe, estimates: Sequence[Estimate]) -> list[Estimate]:
    """Those of the estimates that place the landmarks elsewhere than the ones before."""
    observed = observe(BLUR_PX, 1).thinned(SCORED)
    kept: list[Estimate] = []
    for estimate in estimates:
        if all(observed.apart_px(estimate, other) > ALIKE_PX for other in kept):
            kept.append(estimate)
    return kept


def _settle(observe: Observe, begun: Estimate, guess: Estimate, prior: Prior) -> tuple[Estimate, float]:
    """A start settled, and how many edges it meets; -1 where it is lost."""
    try:
        settled = refine(observe, begun, guess, prior, SETTLE[1:])
    except np.linalg.LinAlgError:
        return begun, -1.0
    asked = observe(FINAL.blur_px, FINAL.frames).thinned(MET)
    return settled, float(fit(asked, settled, guess, prior, FINAL).normal.weights.sum())


def _try(
    observe: Observe, start: Estimate, guess: Estimate, prior: Prior, stages: Sequence[Stage]
) -> tuple[Estimate, float]:
    """A start refined, and how well its edges agree; below every agreement where it leads nowhere."""
    try:
        refined = refine(observe, start, guess, prior, stages)
    except np.linalg.LinAlgError:
        return start, -1.0
    return refined, agreement(observe(BLUR_PX, 1).thinned(SCORED), refined)[0]
