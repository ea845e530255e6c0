"""A second opinion on an estimate: how well edges agree in direction where they are predicted, no search involved.

Each landmark inside the thermal image votes with the cosine of twice the angle between its edge and the thermal
gradient, weighted by how clear that gradient is: 1 where every edge is met, 0 on average where edges meet by chance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.observations import Observations
from heatnet.calib.parameters import Estimate

Array = NDArray[np.float64]
BLUR_PX = 1.0  # of the thermal images that are asked
CLEAR = 8.0  # a gradient of this many deviations of the noise has half a vote
RINGS_PX = (6.0, 12.5, 20.0)  # how far wrong the estimates are that it is compared with
DIRECTIONS = 8


@dataclass(frozen=True)
class Score:
    """Agreement of an estimate, and of estimates turned away from it."""

    agreement: float  # -1..1
    turned: float  # the best of those turned away
    seen: int  # landmarks inside the thermal images

    @property
    def margin(self) -> float:
        """How far the estimate stands out: 0 when turning away costs nothing, near 1 when it costs everything."""
        return 1 - max(self.turned, 0.0) / self.agreement if self.agreement > 0 else 0.0


def agreement(observed: Observations, estimate: Estimate) -> tuple[float, int]:
    """Mean vote of the landmarks, and how many fell into the images."""
    seen = observed.seen(estimate)
    x, y = observed.gradients.at(observed.images[seen.index], seen.pixels).T
    square = x * x + y * y
    parallel = (x * seen.along[:, 0] + y * seen.along[:, 1]) ** 2 / np.maximum((seen.along**2).sum(1), 1e-18)
    length = np.sqrt(square)
    votes = float(((square - 2 * parallel) / np.maximum(length * (length + CLEAR), 1e-18)).sum())
    return votes / max(len(seen.index), 1), len(seen.index)


def score(observed: Observations, estimate: Estimate) -> Score:
    """Agreement of the estimate beside that of its neighbourhood."""
    here, seen = agreement(observed, estimate)
    turned = []
    for radius in np.array(RINGS_PX) / estimate.camera.intrinsics[:2].mean():
        for angle in 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
            step = np.zeros(len(estimate.names))
            step[:2] = radius * np.cos(angle), radius * np.sin(angle)
            turned.append(agreement(observed, estimate.moved(step))[0])
    return Score(here, max(turned), seen)
