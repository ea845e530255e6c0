"""When a calibration is called good, and when it only is what came out."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from heatnet.calib.basin import SCORED
from heatnet.calib.observations import Observe
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.refine import Fit
from heatnet.calib.rig import RigCamera
from heatnet.calib.score import BLUR_PX, Score, score
from heatnet.calib.uncertainty import (
    AlignmentGrid,
    Uncertainty,
    estimate_uncertainty,
    held_out,
    split_halves,
    stated_error,
)

Status = Literal["good", "inconclusive"]
CONTRADICTED = {"fx": "the focal length", "fy": "the ratio of fx and fy"}  # what rows of the prior are about


@dataclass(frozen=True)
class Limits:
    """What a calibration must keep to be called good."""

    least_matches: int = 500
    least_views: int = 3  # key frames of different places: fewer cannot tell agreement from chance
    least_margin: float = 0.35  # of the second score
    largest_strain: float = 3.2  # deviations of the prior that a result may be from the guess: 32 ms of lag among them
    largest_error_px: float = 1.0  # stated error, and difference of halves
    largest_rayless: float = 0.02  # share of the thermal image that the lens as found cannot show anything in


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against one calibration."""

    score: Score
    halves_px: float  # mean distance between the calibrations of two halves of the key frames
    stated_px: float  # the mean alignment error is below this in 95 % of all cases
    views: int  # key frames that gave matches
    matches: int
    strain: tuple[str, float]  # the part of the guess that the result contradicts most, and by how many deviations
    rayless: float = 0.0  # share of the thermal image to which no ray leads


@dataclass(frozen=True)
class Assessment:
    """How far one fit is to be trusted."""

    evidence: Evidence
    uncertainty: Uncertainty
    grid: AlignmentGrid
    held_out_px: float  # median distance of matches from a calibration without their key frame


def assess(fit: Fit, guess: Estimate, prior: Prior, observe: Observe, left: RigCamera, seed: int) -> Assessment:
    """Of a fit of one thermal camera to what `observe` gives; `left` is the left RGB camera."""
    grid = AlignmentGrid.of(left, fit.estimate)
    uncertainty = estimate_uncertainty(fit, grid, fit.estimate.camera.resolution)
    evidence = Evidence(
        score=score(observe(BLUR_PX, 1).thinned(SCORED), fit.estimate),
        halves_px=split_halves(fit, uncertainty.information, grid),
        stated_px=stated_error(grid, uncertainty, seed),
        views=len(np.unique(fit.matches.views)),
        matches=len(fit.matches),
        strain=strain(fit.estimate, guess, prior),
        rayless=fit.estimate.camera.rayless_share(),
    )
    return Assessment(evidence, uncertainty, grid, held_out(fit, uncertainty.information))


def strain(estimate: Estimate, guess: Estimate, prior: Prior) -> tuple[str, float]:
    """The part of the guess that an estimate contradicts most, and by how many deviations of the prior."""
    pulls = np.abs(prior.rows(guess) @ estimate.difference(guess))
    worst = int(np.argmax(pulls))
    return estimate.names[worst], float(pulls[worst])


def doubt(evidence: Evidence, limits: Limits) -> str:
    """Why the calibration is not to be trusted; empty where nothing speaks against it."""
    name, pulls = evidence.strain
    limit = limits.largest_error_px
    checks = (
        (
            evidence.matches < limits.least_matches,
            f"{evidence.matches} edges found again in the thermal images; at least {limits.least_matches} are needed "
            "(lens covered, wrong camera, or a guess too far off?)",
        ),
        (
            not evidence.rayless <= limits.largest_rayless,
            f"the distortion found folds over within the image: no ray leads to {evidence.rayless:.0%} of it (is the "
            "distortion right in the rig file? where it is not known, 0 0 0 0 is better)",
        ),
        (
            not pulls <= limits.largest_strain,
            f"{CONTRADICTED.get(name, name)} is {pulls:.1f} deviations from the guess (limit "
            f"{limits.largest_strain:.1f}): {'is that guess right' if name == 'fy' else 'are cameras swapped'} in the "
            "rig file, or did the search end in a wrong place?",
        ),
        (
            evidence.views < limits.least_views,
            f"{evidence.views} key frames of different places; at least {limits.least_views} are needed to tell "
            "agreement from chance",
        ),
        (
            not evidence.score.margin >= limits.least_margin,
            f"edges agree hardly better here than with the camera turned away (margin {evidence.score.margin:.2f}, "
            f"{limits.least_margin:.2f} is needed)",
        ),
        (
            not evidence.halves_px < limit,
            f"halves of the key frames differ by {evidence.halves_px:.1f} px (limit {limit:.1f})",
        ),
        (not evidence.stated_px < limit, f"the stated error is {evidence.stated_px:.1f} px (limit {limit:.1f})"),
    )
    return next((reason for holds, reason in checks if holds), "")


def judge(evidence: Evidence, limits: Limits) -> tuple[Status, str]:
    """Good with what speaks for it, or inconclusive with the reason."""
    reason = doubt(evidence, limits)
    if reason:
        return "inconclusive", reason
    margin, stated = evidence.score.margin, evidence.stated_px
    return "good", f"edges agree (margin {margin:.2f}); the mean error is below {stated:.2f} px at 95 %"
