"""How far to trust an estimate: by leaving key frames out, and by what the prior had to say.

Neighbouring matches err alike, so that formal deviations are several times too small; whole key frames are the unit
instead (delete-one jackknife, Efron and Stein 1981). Each is left out by one linear step from the full solution.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from heatnet.calib.parameters import Estimate
from heatnet.calib.refine import Fit
from heatnet.calib.rig import RigCamera

Array = NDArray[np.float64]
DEPTHS_M = (5.0, 10.0, 20.0, 50.0, 200.0)
INFLATION = 2.2  # neighbouring key frames see the same walls, and all share biases that no jackknife sees
DRAWS = 400


@dataclass(frozen=True)
class Uncertainty:
    """What is known about the parameters, in the order of `Estimate.names`."""

    covariance: Array  # (P, P)
    prior_share: Array  # (P,) 0: the data alone tell the value; 1: the guess does
    half_width: Array  # (P,) of the 95 % interval

    def correlation(self) -> Array:
        """Correlations (P, P)."""
        sigma = np.sqrt(np.diag(self.covariance))
        return self.covariance / np.maximum(np.outer(sigma, sigma), 1e-300)


def leave_one_out(fit: Fit) -> tuple[NDArray[np.int64], Array]:
    """Key frames (V,) and the steps (V, P) that the estimate takes when each is left out."""
    matches, normal = fit.matches, fit.normal
    scale = np.trace(normal.data) / max(float((normal.weights[:, None] * matches.jacobian**2).sum()), 1e-300)
    views = np.unique(matches.views)
    steps = np.empty((len(views), len(normal.pull)))
    for i, view in enumerate(views):
        mine = matches.views == view
        weighted = matches.jacobian[mine] * (normal.weights[mine] * scale)[:, None]
        information = normal.information - weighted.T @ matches.jacobian[mine]
        steps[i] = np.linalg.solve(information, normal.pull - weighted.T @ matches.residuals[mine])
    return views, steps


def estimate_uncertainty(fit: Fit) -> Uncertainty:
    """Covariance and intervals of a fit; with a single key frame only the prior speaks."""
    views, steps = leave_one_out(fit)
    n = len(views)
    inverse = np.linalg.inv(fit.normal.information)
    prior = fit.normal.information - fit.normal.data
    from_prior = inverse @ prior @ inverse
    share = np.clip(np.diag(inverse @ prior), 0.0, 1.0)
    if n < 2:
        alone = np.asarray(np.linalg.inv(prior), np.float64)
        return Uncertainty(alone, np.ones(len(share)), 1.96 * np.sqrt(np.diag(alone)))
    spread = steps - steps.mean(axis=0)
    covariance = INFLATION**2 * (n - 1) / n * spread.T @ spread + from_prior
    student = float(stats.t.ppf(0.975, n - 1))
    return Uncertainty(covariance, share, np.asarray(student * np.sqrt(np.diag(covariance)), np.float64))


@dataclass(frozen=True)
class AlignmentGrid:
    """Rays of the left RGB image at several depths, and how their thermal pixels move with the parameters."""

    rgb_pixels: Array  # (G, 2) in the raw left image
    pixels: Array  # (D, G, 2) in the thermal image
    seen: NDArray[np.bool_]  # (D, G) inside the thermal image
    jacobian: Array  # (D, G, 2, P)

    @staticmethod
    def of(left: RigCamera, estimate: Estimate, columns: int = 32, rows: int = 14) -> "AlignmentGrid":
        """The grid over the left image, at `DEPTHS_M`."""
        width, height = left.camera.resolution
        axes = np.linspace(0, width - 1, columns), np.linspace(0, height - 1, rows)
        rgb_pixels = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
        rays, found = left.camera.unproject(rgb_pixels)
        points = left.cam_from_cam0.inverse().apply(np.concatenate([rays * z for z in DEPTHS_M]))
        still = np.zeros_like(points)
        placed = estimate.place(points, still)
        pixels, real = estimate.camera.project(placed)
        seen = real & np.tile(found, len(DEPTHS_M)) & estimate.camera.sees(pixels)
        jacobian = np.where(seen[:, None, None], estimate.jacobian(placed, still), 0.0)
        shape = (len(DEPTHS_M), len(rays))
        return AlignmentGrid(
            rgb_pixels, pixels.reshape(*shape, 2), seen.reshape(shape), jacobian.reshape(*shape, 2, -1)
        )

    def errors(self, step: Array) -> Array:
        """Lengths (M,) in pixels that a step (P,) of the parameters moves the pixels seen."""
        return np.asarray(np.linalg.norm(self.jacobian[self.seen] @ step, axis=-1))

    def sigma(self, covariance: Array) -> Array:
        """Deviation (D, G) in pixels of each pixel, NaN where not seen."""
        variance = np.einsum("dgip,pq,dgiq->dg", self.jacobian, covariance, self.jacobian)
        return np.where(self.seen, np.sqrt(np.maximum(variance, 0.0)), np.nan)


def stated_error(grid: AlignmentGrid, uncertainty: Uncertainty, views: int, seed: int) -> float:
    """The mean alignment error in pixels that the truth exceeds in 5 % of all cases, by draws from the covariance."""
    if not grid.seen.any():
        return float("inf")
    generator = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(uncertainty.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = generator.standard_normal((DRAWS, len(values)))
    if views > 1:  # few key frames tell their own spread badly: Student's t instead of the normal distribution
        normal /= np.sqrt(generator.chisquare(views - 1, DRAWS) / (views - 1))[:, None]
    return float(np.quantile([grid.errors(root @ draw).mean() for draw in normal], 0.95))


def split_halves(fit: Fit, grid: AlignmentGrid, seed: int) -> float:
    """Mean distance in pixels between the calibrations of two random halves of the key frames; NaN for fewer than 2."""
    views = np.unique(fit.matches.views)
    if len(views) < 2 or not grid.seen.any():
        return float("nan")
    half = np.random.default_rng(seed).permutation(views)[: len(views) // 2]
    first = np.isin(fit.matches.views, half)
    return float(grid.errors(_step_of(fit, first) - _step_of(fit, ~first)).mean())


def held_out(fit: Fit) -> float:
    """Median distance in pixels of matches from where a calibration without their key frame puts them."""
    views, steps = leave_one_out(fit)
    own = steps[np.searchsorted(views, fit.matches.views)]
    residuals = fit.matches.residuals - np.einsum("mp,mp->m", fit.matches.jacobian, own)
    return float(np.median(np.abs(residuals)))


def _step_of(fit: Fit, chosen: NDArray[np.bool_]) -> Array:
    """The step (P,) that the chosen matches and the prior take together."""
    matches, normal = fit.matches, fit.normal
    scale = np.trace(normal.data) / max(float((normal.weights[:, None] * matches.jacobian**2).sum()), 1e-300)
    weighted = matches.jacobian * (normal.weights * scale)[:, None]
    left_out = weighted[~chosen]
    information = normal.information - left_out.T @ matches.jacobian[~chosen]
    return np.linalg.solve(information, normal.pull - left_out.T @ matches.residuals[~chosen])
