"""How far to trust an estimate: intervals, alignment error over the image, and halves of the recording compared.

The stated 95 % alignment region is the set of all cameras whose mean alignment distance from the estimate, over the
grid of left RGB rays at 5 to 200 m that the thermal camera sees, is at most `stated_error`. Errors are drawn from three
independent parts: scatter of the key frames (Student's t: few of them tell their own spread badly), biases that they
share, and what the guess may be wrong by where the prior decides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from heatnet.calib.information import Information, information
from heatnet.calib.parameters import Estimate
from heatnet.calib.refine import Fit
from heatnet.calib.rig import RigCamera

Array = NDArray[np.float64]
DEPTHS_M = (5.0, 10.0, 20.0, 50.0, 200.0)
DRAWS = 1000
DRAWN_POINTS = 500  # of the grid, which is smooth
LEVEL = 0.95


@dataclass(frozen=True)
class Uncertainty:
    """What is known about the parameters, in the order of `Estimate.names`."""

    scatter: Array  # (P, P) covariance by the scatter of the key frames
    shared: Array  # (P, P) by the biases that they have in common
    prior: Array  # (P, P) by what the guess may be wrong by
    freedom: int  # degrees of freedom of the scatter
    prior_share: Array  # (P,) 0: the data alone tell the value; 1: the guess does
    information: Information

    @property
    def covariance(self) -> Array:
        """(P, P) of all parts together."""
        return self.scatter + self.shared + self.prior

    @property
    def half_width(self) -> Array:
        """(P,) of the 95 % intervals; degrees of freedom after Satterthwaite (1946)."""
        variance, scatter = np.diag(self.covariance), np.diag(self.scatter)
        freedom = np.minimum(self.freedom * (variance / np.maximum(scatter, 1e-6 * variance)) ** 2, 1e6)
        return np.asarray(special.stdtrit(freedom, 0.5 + LEVEL / 2) * np.sqrt(variance), np.float64)

    def correlation(self) -> Array:
        """Correlations (P, P)."""
        sigma = np.sqrt(np.diag(self.covariance))
        return self.covariance / np.maximum(np.outer(sigma, sigma), 1e-300)

    def deviations(self) -> Array:
        """(P, P), column by column: one deviation of a parameter, and what the others are then off by in the mean."""
        return self.covariance / np.maximum(np.sqrt(np.diag(self.covariance)), 1e-300)

    def draws(self, count: int, seed: int) -> Array:
        """Errors (count, P) of the parameters as they may be."""
        generator = np.random.default_rng(seed)
        scattered, rest = (generator.standard_normal((count, len(self.prior))) for _ in range(2))
        scattered /= np.sqrt(generator.chisquare(self.freedom, count) / self.freedom)[:, None]
        return scattered @ _root(self.scatter).T + rest @ _root(self.shared + self.prior).T


def _root(covariance: Array) -> Array:
    """A square root (P, P) of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def estimate_uncertainty(fit: Fit, grid: "AlignmentGrid", resolution: tuple[int, int]) -> Uncertainty:
    """Of a fit to thermal images of `resolution`; with a single key frame only the prior speaks."""
    told = information(fit, resolution)
    views = len(told.by_view)
    nothing = np.zeros_like(told.prior)
    if views < 2:
        alone = np.asarray(np.linalg.inv(told.prior), np.float64)
        return Uncertainty(nothing, nothing, alone, 1, np.ones(len(alone)), told)
    inverse = told.inverse
    centred = told.by_view - told.by_view.mean(axis=0)
    by_view = inverse @ centred.T @ centred @ inverse * views / (views - 1)
    by_block = inverse @ told.by_block.T @ told.by_block @ inverse
    # Blocks are many and tell the shape, key frames are few and tell whether blocks of one err alike.
    alike = max(1.0, grid.mean_square(by_view) / max(grid.mean_square(by_block), 1e-300))
    return Uncertainty(
        scatter=alike * by_block,
        shared=inverse @ told.shared.T @ told.shared @ inverse,
        prior=inverse @ told.prior @ inverse,
        freedom=views - 1,
        prior_share=np.clip(np.diag(inverse @ told.prior), 0.0, 1.0),
        information=told,
    )


@dataclass(frozen=True)
class AlignmentGrid:
    """Rays of the left RGB image at several depths, and how their thermal pixels move with the parameters."""

    rgb_pixels: Array  # (G, 2) in the raw left image
    pixels: Array  # (D, G, 2) in the thermal image
    seen: NDArray[np.bool_]  # (D, G) inside the thermal image
    jacobian: Array  # (D, G, 2, P)
    points: Array  # (D * G, 3) in cam0

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
            rgb_pixels, pixels.reshape(*shape, 2), seen.reshape(shape), jacobian.reshape(*shape, 2, -1), points
        )

    def errors(self, step: Array) -> Array:
        """Lengths (M,) in pixels that a step (P,) of the parameters moves the pixels seen."""
        return np.asarray(np.linalg.norm(self.jacobian[self.seen] @ step, axis=-1))

    def mean_error(self, step: Array) -> float:
        """Mean of `errors`, NaN where no pixel is seen."""
        return float(self.errors(step).mean()) if self.seen.any() else float("nan")

    def mean_square(self, covariance: Array) -> float:
        """Mean square distance in pixels that errors of that covariance (P, P) move the pixels seen."""
        jacobian = self.jacobian[self.seen].reshape(-1, len(covariance))
        metric = jacobian.T @ jacobian / max(int(self.seen.sum()), 1)
        return float(np.trace(metric @ covariance))

    def displacement(self, other: Estimate) -> Array:
        """Where (D, G, 2) another calibration puts the grid, minus where this one does; a whole image where nowhere."""
        pixels, real = other.camera.project(other.place(self.points, np.zeros_like(self.points)))
        moved = np.where(real[:, None], pixels - self.pixels.reshape(-1, 2), max(other.camera.resolution))
        return np.asarray(moved.reshape(self.pixels.shape))

    def sigma(self, covariance: Array) -> Array:
        """Deviation (D, G) in pixels of each pixel, NaN where not seen."""
        variance = np.einsum("dgip,pq,dgiq->dg", self.jacobian, covariance, self.jacobian)
        return np.where(self.seen, np.sqrt(np.maximum(variance, 0.0)), np.nan)


def stated_error(grid: AlignmentGrid, uncertainty: Uncertainty, seed: int) -> float:
    """The mean alignment error in pixels that the truth exceeds in 5 % of all cases, by draws."""
    return displacement_interval(grid, uncertainty, np.zeros((*grid.pixels.shape[:2], 2)), seed)[1]


def displacement_interval(
    grid: AlignmentGrid, uncertainty: Uncertainty, displacement: Array, seed: int
) -> tuple[float, float]:
    """Between what the mean distance in pixels of another calibration from the truth lies (5 % and 95 % quantile).

    `displacement` (D, G, 2): where the other calibration puts the grid, minus where the estimate puts it.
    """
    if not grid.seen.any():
        return 0.0, float("inf")
    every = -(-int(grid.seen.sum()) // DRAWN_POINTS)
    jacobian, moved = grid.jacobian[grid.seen][::every], displacement[grid.seen][::every]
    lengths = [np.linalg.norm(moved + jacobian @ error, axis=-1).mean() for error in uncertainty.draws(DRAWS, seed)]
    low, high = np.quantile(lengths, [1 - LEVEL, LEVEL])
    return float(low), float(high)


def split_halves(fit: Fit, told: Information, grid: AlignmentGrid) -> float:
    """Mean distance in pixels between the calibrations of the first and the second half of the key frames.

    In time, so that the halves see different places; NaN for fewer than 2 key frames.
    """
    views = np.unique(fit.matches.views)
    if len(views) < 2:
        return float("nan")
    first = fit.matches.views < views[len(views) // 2]
    return grid.mean_error(_step_of(fit, told, first) - _step_of(fit, told, ~first))


def held_out(fit: Fit, told: Information) -> float:
    """Median distance in pixels of matches from where a calibration without their key frame puts them."""
    matches = fit.matches
    residuals = matches.residuals.copy()
    for view in np.unique(matches.views):
        own = matches.views == view
        residuals[own] -= matches.jacobian[own] @ _step_of(fit, told, ~own)
    return float(np.median(np.abs(residuals))) if len(residuals) else float("nan")


def _step_of(fit: Fit, told: Information, chosen: NDArray[np.bool_]) -> Array:
    """The step (P,) that the estimate takes when only the chosen matches and the prior count."""
    matches, left_out = fit.matches, ~chosen
    jacobian = matches.jacobian[left_out]
    curvature = told.curvature - (jacobian * told.firm[left_out, None]).T @ jacobian
    pull = fit.normal.pull - jacobian.T @ (told.weights * matches.residuals)[left_out]
    return np.asarray(np.linalg.solve(curvature + told.prior, pull), np.float64)
