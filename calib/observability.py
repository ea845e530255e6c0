"""What a recording cannot tell, and what that is worth in pixels.

Directions in which the prior tells more than the data are the eigenvectors of the share that the prior has in all
information. Most are harmless: the alignment hardly moves along them. Lag and forward translation are the pair that
matters: at constant speed they are one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from heatnet.calib.refine import Fit
from heatnet.calib.uncertainty import AlignmentGrid, Uncertainty

Array = NDArray[np.float64]
PRIOR_RULES = 0.5
LEADING = 0.3  # of its own deviation: from here on a parameter is named
STILL_PX_MS = 1e-3  # what a millisecond of lag moves where the rig stands or nothing tells how it moves
TIED = 0.2  # of its variance is left of the lag once forward translation is held: the two are nearly one
WEAKENED = 1e-3  # so much of the prior stays, that the data alone are heard and still have a solution


@dataclass(frozen=True)
class WeakDirection:
    """A combination of parameters that the prior decides."""

    moves: dict[str, float]  # of the leading parameters, by one deviation
    prior_share: float
    alignment_px: float  # mean distance that one deviation moves the image


def prior_directions(names: tuple[str, ...], uncertainty: Uncertainty, grid: AlignmentGrid) -> list[WeakDirection]:
    """The directions that the prior decides, those that move the image most first."""
    told = uncertainty.information
    total = told.curvature + told.prior
    shares, vectors = linalg.eigh(told.prior, total)  # vectors are one deviation long
    sigma = np.sqrt(np.diag(np.linalg.inv(total)))
    found = []
    for share, vector in zip(shares, vectors.T, strict=True):
        if share > PRIOR_RULES:
            sign = np.sign(vector[np.argmax(np.abs(vector / sigma))])
            moves = {n: float(sign * v) for n, v, s in zip(names, vector, sigma, strict=True) if abs(v) > LEADING * s}
            found.append(WeakDirection(moves, float(min(share, 1.0)), grid.mean_error(vector)))
    return sorted(found, key=lambda direction: -direction.alignment_px)


def lag_note(fit: Fit, uncertainty: Uncertainty) -> str:
    """What the recording says of the lag between stamp and exposure, in plain words."""
    names = fit.estimate.names
    lag, forward = names.index("lag"), names.index("translation_z")
    if not len(fit.matches) or np.quantile(np.abs(fit.matches.jacobian[:, lag]), 0.9) * 1e-3 < STILL_PX_MS:
        return (
            "the lag cannot be observed: the rig stands, nothing tells how it moves, or its depth is assumed; its "
            "value is the guess, and it does not matter while the rig stands"
        )
    half_ms = uncertainty.half_width[lag] * 1e3
    told = uncertainty.information
    data = told.curvature + WEAKENED * told.prior
    freely = np.linalg.inv(data)
    held = np.linalg.inv(np.delete(np.delete(data, forward, 0), forward, 1))[-1, -1]
    if held < TIED * freely[lag, lag]:
        millimetres = abs(freely[lag, forward] / freely[lag, lag])
        share = uncertainty.prior_share[lag]
        return (
            f"the lag is known to {half_ms:.1f} ms: at a speed this constant it cannot be told from forward "
            f"translation (1 ms is {millimetres:.0f} mm), so the tape measure decides (the guess of the lag itself "
            f"tells {share:.0%})"
        )
    return f"the lag is known to {half_ms:.1f} ms, by turns and changes of speed"
