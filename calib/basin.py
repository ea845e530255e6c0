"""Which of many beginnings leads to the right calibration: searched widely, refined, and judged by the second score."""

import logging
from collections.abc import Sequence

import numpy as np

from heatnet.calib.ascent import ascend
from heatnet.calib.coarse import CoarseConfig, Sight, search_pose
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.refine import APPROACH, Observe, Stage, refine
from heatnet.calib.rig import RigCamera
from heatnet.calib.scene import Scene, observer
from heatnet.calib.score import BLUR_PX, agreement
from heatnet.calib.solve import thinned
from heatnet.errors import CalibrationError

log = logging.getLogger(__name__)
SCORED = 10_000  # landmarks that the second score asks
FOLLOWED = 2  # candidates that are refined to the end, of those that agree best after the first stage


def find_basin(
    scenes: Sequence[Scene], camera: RigCamera, guess: Estimate, prior: Prior, coarse: CoarseConfig, views: int
) -> Estimate:
    """The most convincing estimate of `camera` around `guess`, from `views` of the scenes.

    Raises CalibrationError where no scene has a thermal frame of this camera.
    """
    seeing = [s for s in scenes if s.view.thermal.get(camera.name)]
    if not seeing:
        raise CalibrationError(f"{camera.topic}: no thermal frame near the key frames that have edges")
    chosen = [seeing[i] for i in np.unique(np.linspace(0, len(seeing) - 1, views).astype(int))]
    sights = [Sight(s.landmarks, s.view.thermal[camera.name][0].pixels) for s in chosen]
    observe = observer(chosen, camera.name)
    tried = [_try(observe, candidate, guess, prior, APPROACH[:1]) for candidate in search_pose(sights, guess, coarse)]
    log.debug("%s: candidates agree by %s", camera.name, ", ".join(f"{score:.3f}" for _, score in tried))
    tried.sort(key=lambda pair: -pair[1])
    followed = [_try(observe, near, guess, prior, APPROACH[1:]) for near, _ in tried[:FOLLOWED]]
    best, _ = max(followed, key=lambda pair: pair[1])
    return ascend(observe, best, guess, prior)


def _try(
    observe: Observe, start: Estimate, guess: Estimate, prior: Prior, stages: Sequence[Stage]
) -> tuple[Estimate, float]:
    """A start refined, and how well its edges agree; below every agreement where it leads nowhere."""
    try:
        refined = refine(observe, start, guess, prior, stages)
    except np.linalg.LinAlgError:
        return start, -1.0
    return refined, agreement(thinned(observe(BLUR_PX, 1), SCORED), refined)[0]
