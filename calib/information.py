"""What matches tell about the parameters: how firmly, how noisily, and with which errors in common.

The estimate is an M-estimator, so its covariance is a sandwich (Huber 1967): the curvature of the robust cost on both
sides of the scatter of its gradient. Three things make it honest here:

- the curvature is that of the cost, not the weights: where an edge was found by chance anywhere in the search radius,
  the cost is flat, and such matches tell nothing however many there are;
- the gradient scatters by whole key frames and by blocks of an image (Liang and Zeger 1986), not by matches:
  neighbours err alike;
- errors that all key frames share leave traces in the mean residuals of image regions; what lies above the scatter is
  taken for a bias and carried to the parameters.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.refine import Fit
from heatnet.calib.solve import Matches

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
TRUST_CELLS = (6, 5)  # of the thermal image, each for upright and for level edges
NOISE_CELLS = (4, 3)
BIAS_CELLS = (3, 2)  # so coarse is a bias carried, since it may reach that far
BIAS_DEPTHS_M = (12.0, 30.0)
HIDDEN = 1.3  # the parameters swallow a good part of a smooth bias before the residuals show it
LEAST_BIAS_PX = 0.08  # that residuals do not show: edges of the two kinds of image agree no better over a region
CHANCE = (0.25, 0.35)  # firmness that matches by chance reach, drawn to where they are expected, and what is above it


@dataclass(frozen=True)
class Information:
    """The parts of the sandwich, of M matches and P parameters."""

    weights: Array  # (M,) under which the matches add up to the information of the normal equations
    firm: Array  # (M,) likewise to the curvature of the robust cost
    curvature: Array  # (P, P) of the robust cost of the data
    prior: Array  # (P, P)
    by_view: Array  # (V, P) gradient of the cost, key frame by key frame
    by_block: Array  # (B, P) likewise, by blocks of the images
    shared: Array  # (R, P) gradient that a bias of one deviation in each region would give

    @property
    def inverse(self) -> Array:
        """(P, P): what a gradient moves the estimate by."""
        return np.asarray(np.linalg.inv(self.curvature + self.prior), np.float64)


def information(fit: Fit, resolution: tuple[int, int]) -> Information:
    """Of a fit whose thermal images have `resolution` (width, height)."""
    matches, weights = fit.matches, information_weights(fit)
    upright = np.abs(matches.normals[:, 0]) > np.abs(matches.normals[:, 1])
    firm = weights * _firmness(weights, fit, 2 * _cells(matches, resolution, TRUST_CELLS) + upright)
    pulls = matches.jacobian * (weights * matches.residuals)[:, None]
    cells = NOISE_CELLS[0] * NOISE_CELLS[1]
    depth = np.digitize(matches.depths, BIAS_DEPTHS_M)
    regions = (2 * _cells(matches, resolution, BIAS_CELLS) + upright) * (len(BIAS_DEPTHS_M) + 1) + depth
    fine = (2 * _cells(matches, resolution, TRUST_CELLS) + upright) * (len(BIAS_DEPTHS_M) + 1) + depth
    return Information(
        weights=weights,
        firm=firm,
        curvature=(matches.jacobian * firm[:, None]).T @ matches.jacobian,
        prior=fit.normal.information - fit.normal.data,
        by_view=_sums(pulls, matches.views),
        by_block=_sums(pulls, matches.views * cells + _cells(matches, resolution, NOISE_CELLS)),
        shared=HIDDEN * common_bias_px(matches, weights, fine) * _sums(matches.jacobian * weights[:, None], regions),
    )


def information_weights(fit: Fit) -> Array:
    """Weights (M,) under which the matches add up to the information of the fit's normal equations."""
    weights = fit.normal.weights
    plain = float((weights[:, None] * fit.matches.jacobian**2).sum())
    return np.asarray(weights * np.trace(fit.normal.data) / max(plain, 1e-300))


def _firmness(weights: Array, fit: Fit, labels: Labels) -> Array:
    """For each match (M,), the curvature of the robust cost over its weights, 0..1, averaged over its label.

    The weights of Geman and McClure are w = 1 / (1 + u^2)^2; the curvature, (1 - 3 u^2) / (1 + u^2)^3, is
    4 w^(3/2) - 3 w. Where it is no larger than chance makes it, nothing is known.
    """
    robust = np.clip(fit.normal.weights / fit.matches.worth, 0.0, 1.0)
    share = 4 * np.sqrt(robust) - 3
    ids = np.unique(labels, return_inverse=True)[1]
    mean = np.bincount(ids, weights * share) / np.maximum(np.bincount(ids, weights), 1e-300)
    low, high = CHANCE
    return np.asarray((np.clip(mean, 0.0, 1.0) * np.clip((mean - low) / (high - low), 0.0, 1.0))[ids])


def common_bias_px(matches: Matches, weights: Array, regions: Labels) -> float:
    """Deviation in pixels of the mean residuals of regions, beyond what key frames scatter about these means.

    Never less than what residuals cannot show, because the parameters follow it.
    """
    regions = np.unique(regions, return_inverse=True)[1]
    views = np.unique(matches.views, return_inverse=True)[1]
    shape = int(regions.max(initial=0)) + 1, int(views.max(initial=0)) + 1
    key = regions * shape[1] + views
    total, pull = (
        np.bincount(key, values, shape[0] * shape[1]).reshape(shape)
        for values in (weights, weights * matches.residuals)
    )
    weight = np.maximum(total.sum(1), 1e-100)
    mean = pull.sum(1) / weight
    counted = (total > 0).sum(1)
    scatter = ((pull - mean[:, None] * total) ** 2).sum(1) / weight**2 * counted / np.maximum(counted - 1, 1)
    weight = weight * (counted >= 3)
    seen = max((weight * (mean**2 - scatter)).sum() / max(weight.sum(), 1e-100), 0.0)
    return float(np.sqrt(seen + LEAST_BIAS_PX**2))


def _cells(matches: Matches, resolution: tuple[int, int], cells: tuple[int, int]) -> Labels:
    """Which of `cells` (columns, rows) of the image each match lies in."""
    column, row = (
        np.clip(matches.pixels[:, i] * cells[i] / resolution[i], 0, cells[i] - 1).astype(np.int64) for i in (0, 1)
    )
    return np.asarray(row * cells[0] + column)


def _sums(rows: Array, labels: Labels) -> Array:
    """Sums (L, P) of rows (M, P) by label."""
    ids = np.unique(labels, return_inverse=True)[1]
    return np.stack([np.bincount(ids, column) for column in rows.T], axis=1)
