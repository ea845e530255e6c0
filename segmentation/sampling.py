"""Which day frame comes next: each once an epoch, or those with rare classes more often."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from heatnet.segmentation.classes import CLASS_COUNT

_LEAST = 64  # pixels of a class that make a frame one that shows it


@dataclass(frozen=True)
class Shuffled:
    """Every one of `count` frames once an epoch, in a new order each time."""

    count: int

    def index(self, seed: int, number: int) -> int:
        """The frame of draw `number`."""
        return int(_order(seed, number // self.count, self.count)[number % self.count])


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, 2, epoch)).permutation(count)


@dataclass(frozen=True)
class RareFirst:
    """First a class is drawn, the rarer the more likely, then a frame that shows it (Hoyer et al. 2022)."""

    probability: NDArray[np.float64]  # (C,) of the classes that occur
    frames: tuple[NDArray[np.int64], ...]  # of each of them

    def index(self, seed: int, number: int) -> int:
        """The frame of draw `number`."""
        rng = np.random.default_rng((seed, 3, number))
        shown = self.frames[int(rng.choice(len(self.frames), p=self.probability))]
        return int(rng.choice(shown))


def rare_first(labels: Iterable[NDArray[np.uint8]], temperature: float) -> RareFirst:
    """Draw from frames with these label maps: class c of share f_c with probability ~ exp((1 - f_c) / temperature)."""
    counts = np.array([np.bincount(label.ravel(), minlength=CLASS_COUNT + 1)[:CLASS_COUNT] for label in labels])
    shows = counts >= np.minimum(_LEAST, np.maximum(counts.max(axis=0), 1))
    present = np.flatnonzero(shows.any(axis=0))
    share = counts.sum(axis=0)[present] / max(counts.sum(), 1)
    raw = np.exp((share.min(initial=1.0) - share) / temperature)  # the rarest has 1, so that nothing overflows
    return RareFirst(raw / raw.sum(), tuple(np.flatnonzero(shows[:, index]) for index in present))
