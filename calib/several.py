"""All thermal cameras of a rig: each is searched alone; those that convince are refined together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heatnet.calib.basin import SCORED, find_basin
from heatnet.calib.config import CalibrationConfig
from heatnet.calib.observations import Observe
from heatnet.calib.parallel import side_by_side
from heatnet.calib.parameters import Estimate
from heatnet.calib.refine import Fit, refine_jointly
from heatnet.calib.rig import RigCamera
from heatnet.calib.scene import Scene, observer
from heatnet.calib.score import BLUR_PX, score
from heatnet.errors import CalibrationError


@dataclass(frozen=True)
class Located:
    """One thermal camera, found and settled, but not refined to the end."""

    camera: RigCamera  # as given
    observe: Observe
    settled: Estimate
    convincing: bool  # by the second score, with a lens that shows all of the image

    @staticmethod
    def of(camera: RigCamera, observe: Observe, settled: Estimate, config: CalibrationConfig) -> "Located":
        """A settled camera, asked whether it convinces."""
        margin, limits = score(observe(BLUR_PX, 1).thinned(SCORED), settled).margin, config.limits
        whole = settled.camera.rayless_share() <= limits.largest_rayless
        return Located(camera, observe, settled, whole and margin >= limits.least_margin)

    @property
    def guess(self) -> Estimate:
        """What was given, and what the prior is about."""
        return Estimate(self.camera.camera, self.camera.cam_from_cam0)


def find_cameras(
    scenes: Sequence[Scene], cameras: Sequence[RigCamera], config: CalibrationConfig
) -> tuple[list[tuple[Located, Fit]], dict[str, str]]:
    """The cameras that something is found of with their fits, and why the others are lost, by name.

    A camera that does not convince is refined by itself, so that it spoils none.
    """
    searched = side_by_side(lambda c: _search(scenes, c, config), cameras, "Searching the thermal cameras")
    found = dict(zip((c.name for c in cameras), searched, strict=True))
    lost = {name: s for name, s in found.items() if isinstance(s, str)}
    fits = []
    for search, fit in refine_together([s for s in found.values() if isinstance(s, Located)], config):
        reason = _too_few(search.camera, fit, config.limits.least_matches)
        if fit is None or reason:
            lost[search.camera.name] = reason
        else:
            fits.append((search, fit))
    return fits, lost


def refine_together(searches: Sequence[Located], config: CalibrationConfig) -> list[tuple[Located, Fit | None]]:
    """The last stage, for those that convince together; no fit where the equations have no solution."""
    convincing = [s for s in searches if s.convincing]
    groups = [convincing, *([s] for s in searches if not s.convincing)]
    fits = {s.camera.name: fit for group in groups for s, fit in _finish(group, config)}
    return [(s, fits[s.camera.name]) for s in searches]


def _search(scenes: Sequence[Scene], camera: RigCamera, config: CalibrationConfig) -> Located | str:
    """A camera found and settled, or why it is not."""
    guess, observe = Estimate(camera.camera, camera.cam_from_cam0), observer(scenes, camera.name)
    try:
        settled = find_basin(scenes, camera, observe, guess, config.prior, config.coarse, config.coarse_views)
    except CalibrationError as error:
        return str(error)
    except np.linalg.LinAlgError:
        return _too_few(camera, None, config.limits.least_matches)
    return Located.of(camera, observe, settled, config)


def _finish(group: Sequence[Located], config: CalibrationConfig) -> list[tuple[Located, Fit | None]]:
    if not group:
        return []
    try:
        fits = refine_jointly(
            [s.observe for s in group], [s.settled for s in group], [s.guess for s in group], config.prior
        )
    except np.linalg.LinAlgError:
        if len(group) == 1:
            return [(group[0], None)]
        return [pair for s in group for pair in _finish([s], config)]
    return list(zip(group, fits, strict=True))


def _too_few(camera: RigCamera, fit: Fit | None, least: int) -> str:
    """Why so few edges make no calibration; empty where they are enough."""
    if fit is None:
        return f"{camera.topic}: the equations have no solution (lens covered, wrong camera, or a guess far off?)"
    found = len(fit.matches)
    if found >= least:
        return ""
    return (
        f"{camera.topic}: {found} edges of {fit.matches.tried} found again in the thermal images; at least {least} are "
        "needed (lens covered, wrong camera, or a guess too far off?)"
    )
