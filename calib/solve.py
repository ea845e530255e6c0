"""Robust least squares of a thermal camera on matched edges, with priors.

Iteratively reweighted Gauss-Newton; the weights are those of Geman and McClure (1987), under which far outliers count
for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.acceleration import Acceleration
from heatnet.calib.matching import Search, search
from heatnet.calib.observations import Observations
from heatnet.calib.parameters import Estimate, Prior

Array = NDArray[np.float64]
DOUBTED_PX = 0.2  # of displacement by doubtful depth, at which a match is worth half


@dataclass(frozen=True)
class Matches:
    """Landmarks found in thermal images."""

    residuals: Array  # (M,) px across the edge, found minus predicted
    jacobian: Array  # (M, P) of the prediction across the edge
    pixels: Array  # (M, 2) predicted
    normals: Array  # (M, 2)
    depths: Array  # (M,) metres
    views: NDArray[np.int64]  # (M,)
    worth: Array  # (M,) how many landmarks each stands for
    numbers: NDArray[np.int64]  # (M,) of the landmarks
    tried: int  # how many landmarks fell into the images

    def __len__(self) -> int:
        return len(self.residuals)


def match(observed: Observations, estimate: Estimate, config: Search) -> Matches:
    """Look for every landmark in every image around where the estimate says it is."""
    seen = observed.seen(estimate)
    length = np.hypot(*seen.along.T)
    normals = seen.along[:, ::-1] * np.array([1.0, -1.0]) / np.maximum(length, 1e-9)[:, None]
    offsets, _ = search(observed.gradients, observed.images[seen.index], seen.pixels, normals, config)
    hit = np.isfinite(offsets) & (length > 1e-6)
    index, placed = seen.index[hit], seen.placed[hit]
    derivative = estimate.jacobian(placed, observed.velocities[index])
    across = np.einsum("ni,nip->np", normals[hit], derivative)
    worth = observed.worth / (1 + (_by_depth_px(observed, estimate, index, across) / DOUBTED_PX) ** 2)
    return Matches(
        offsets[hit],
        across,
        seen.pixels[hit],
        normals[hit],
        placed[:, 2],
        observed.views[observed.images[index]],
        worth,
        observed.numbers[index],
        tried=len(seen.index),
    )


def _by_depth_px(observed: Observations, estimate: Estimate, index: NDArray[np.int64], across: Array) -> Array:
    """How far (M,) across their edges the landmarks of `index` may lie elsewhere because their depth is doubted.

    The farther a thermal camera is from the left RGB camera, the more.
    """
    rays = observed.points[index] @ estimate.cam_from_cam0.rotation.T  # in the direction in which depth may change
    return observed.doubt[index] * np.einsum("ni,ni->n", across[:, 3:6], rays)


def agreeing(matches: Sequence[Matches], focals_px: Sequence[float], scale_px: float) -> list[Matches]:
    """Matches of several thermal cameras, worth less where the cameras find a landmark at different offsets.

    An error of the landmark itself moves it by the same angle in all of them; where they differ by more than
    `scale_px` is in a camera of that focal length, at least one met another edge.
    """
    if len(matches) < 2 or not all(len(m) for m in matches):
        return list(matches)
    focals = np.array(focals_px)[:, None]
    offsets = _mean_offsets(matches, scale_px) / focals
    known = np.isfinite(offsets)
    others = known.sum(axis=0) - known
    rest = (np.nansum(offsets, axis=0) - np.where(known, offsets, 0.0)) / np.maximum(others, 1)
    differences = focals * np.where(known & (others > 0), offsets - rest, 0.0)
    factors = robust_weights(differences, scale_px)
    return [replace(m, worth=m.worth * f[m.numbers]) for m, f in zip(matches, factors, strict=True)]


def _mean_offsets(matches: Sequence[Matches], scale_px: float) -> Array:
    """Mean residual (C, L) of every landmark in every camera's frames, NaN where a camera has not found it."""
    count = 1 + max(int(m.numbers.max()) for m in matches)
    rows = []
    for m in matches:
        weights = robust_weights(m.residuals, 2 * scale_px)
        total = np.bincount(m.numbers, weights, count)
        with np.errstate(invalid="ignore"):
            rows.append(np.bincount(m.numbers, weights * m.residuals, count) / total)
    return np.stack(rows)


@dataclass(frozen=True)
class Normal:
    """Normal equations of one camera at an estimate: the step solves `information @ step = pull`."""

    information: Array  # (P, P) of data and prior together
    data: Array  # (P, P) of the data alone
    pull: Array  # (P,)
    weights: Array  # (M,) robust weight times worth


def robust_weights(residuals: Array, scale_px: float) -> Array:
    """Weights (M,) in 0..1 of Geman and McClure."""
    return 1 / (1 + (residuals / scale_px) ** 2) ** 2


def normal_equations(
    matches: Matches, estimate: Estimate, guess: Estimate, prior: Prior, scale_px: float, sigma_px: float
) -> Normal:
    """Matches against priors; `sigma_px` is what one match is worth, neighbours that err alike considered."""
    weights = matches.worth * robust_weights(matches.residuals, scale_px)
    weighted = matches.jacobian * (weights / sigma_px**2)[:, None]
    rows = prior.rows(guess)
    data = weighted.T @ matches.jacobian
    pull = weighted.T @ matches.residuals - rows.T @ (rows @ estimate.difference(guess))
    return Normal(data + rows.T @ rows, data, pull, weights)


def solve_free(normal: Normal, free: NDArray[np.bool_]) -> Array:
    """The step (P,) of the free parameters; the others stay."""
    step = np.zeros(len(normal.pull))
    step[free] = np.linalg.solve(normal.information[np.ix_(free, free)], normal.pull[free])
    return step


def solve_joint(
    normals: Sequence[Normal], lag_information: float, lag_pull: float, acceleration: Acceleration
) -> list[Array]:
    """Moves of several cameras that share their lag, the last parameter of each.

    Each camera's equations hold the prior of the lag; all but one of these priors are taken out again.
    """
    sizes = [len(n.pull) - 1 for n in normals]
    total = sum(sizes) + 1
    matrix, right = np.zeros((total, total)), np.zeros(total)
    places = [np.append(np.arange(size) + sum(sizes[:i]), total - 1) for i, size in enumerate(sizes)]
    for place, normal in zip(places, normals, strict=True):
        matrix[np.ix_(place, place)] += normal.information
        right[place] += normal.pull
    matrix[-1, -1] -= (len(normals) - 1) * lag_information
    right[-1] -= (len(normals) - 1) * lag_pull
    step = np.asarray(np.linalg.solve(matrix, right), np.float64)
    move = acceleration.move(step, matrix)
    return [move[place] for place in places]
