"""Uphill on the second score: out of places where repeated edges (windows, posts) hold a search that matches them.

Under a wide blur the agreement of edges in direction has few peaks, and it needs no matches. It is climbed along
directions that each move the image in a way of its own: by turning, zooming, bending.
"""

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.observations import Observations, Observe
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.score import agreement

Array = NDArray[np.float64]
WIDE_PX = 2.0  # blur of the thermal images: the wider, the fewer peaks
ASKED = 3_000  # landmarks
STEPS_PX = (3.0, 1.5, 0.75)
ROUNDS = 3
LEAST_PX = 0.7  # a direction that moves the image less within one deviation of the prior is left alone


def ascend(observe: Observe, start: Estimate, guess: Estimate, prior: Prior) -> Estimate:
    """What agrees best around `start` of all that is reached without a step down; `start` itself if nothing does."""
    observed = observe(WIDE_PX, 1).thinned(ASKED)
    ways = directions(observed, start, guess, prior)
    best, agreed = start, agreement(observed, start)[0]
    for length in STEPS_PX:
        for _ in range(ROUNDS):
            before = agreed
            for way in np.concatenate([ways, -ways]) * length:
                tried = best.moved(way)
                while (higher := agreement(observed, tried)[0]) > agreed:
                    best, agreed = tried, higher
                    tried = best.moved(way)
            if agreed == before:
                break
    return best


def directions(observed: Observations, at: Estimate, guess: Estimate, prior: Prior) -> Array:
    """Steps (D, P) that move the landmarks by one pixel each (root mean square), independent of each other.

    Those of turn, intrinsics and distortion only, within what the prior allows.
    """
    jacobian = _jacobian(observed, at)
    free = [i for i, name in enumerate(at.names) if not name.startswith(("translation", "lag"))]
    rows = prior.rows(guess)
    root = np.linalg.cholesky(np.linalg.inv(rows.T @ rows)[np.ix_(free, free)])
    moves = (jacobian[..., free] @ root).reshape(-1, len(free)) / np.sqrt(max(len(jacobian), 1))
    _, lengths, ways = np.linalg.svd(moves, full_matrices=False)
    told = lengths > LEAST_PX
    steps = np.zeros((int(told.sum()), len(at.names)))
    steps[:, free] = ways[told] @ root.T / lengths[told, None]
    return steps


def _jacobian(observed: Observations, at: Estimate) -> Array:
    """Derivative (N, 2, P) of the landmarks in the images by the parameters."""
    seen = observed.seen(at)
    return at.jacobian(seen.placed, observed.velocities[seen.index])
