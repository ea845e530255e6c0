"""Training, validation and test: by drive and block of time, with a margin between them.

Neighbouring frames are nearly the same picture: split by frame, a network is tested on what it has learnt by heart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.manifest import SPLITS

Stamps = NDArray[np.int64]
MARGIN = "margin"  # the name of what is left out between two splits
_SECOND = 10**9


@dataclass(frozen=True)
class SplitConfig:
    """How a drive is cut; each cycle of it gives a block to training, one to validation and one to test."""

    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)  # train, val, test
    margin_ns: int = 2 * _SECOND  # left out on each side of a cut, half of it
    longest_cycle_ns: int = 300 * _SECOND


def drive_ranges(ranges_ns: list[tuple[int, int]], gap_ns: int = 60 * _SECOND) -> list[tuple[int, int]]:
    """For each recording's range of time that of its drive: recordings less than `gap_ns` apart are one drive."""
    drives: list[tuple[int, int]] = []
    for start, end in sorted(ranges_ns):
        if drives and start - drives[-1][1] < gap_ns:
            drives[-1] = (drives[-1][0], max(end, drives[-1][1]))
        else:
            drives.append((start, end))
    return [next(d for d in drives if d[0] <= start and end <= d[1]) for start, end in ranges_ns]


def assign_splits(stamps_ns: Stamps, drive_ns: tuple[int, int], config: SplitConfig) -> NDArray[np.str_]:
    """ "train", "val", "test" or "margin" for each of the stamps (N,) of a drive that lasts from and to `drive_ns`.

    A drive in which a block would be shorter than twice the margin is all of the first split, which is training.
    """
    start, end = drive_ns
    cycles = max(1, round((end - start) / config.longest_cycle_ns))
    cycle = (end - start) / cycles
    shares = {name: share for name, share in zip(SPLITS, config.fractions, strict=True) if share > 0}
    names = np.array(list(shares), dtype="U6")
    if cycle * min(shares.values()) < 2 * config.margin_ns:
        return np.full(len(stamps_ns), names[0], dtype="U6")
    ends = np.cumsum(list(shares.values()))[:-1] / sum(shares.values()) * cycle
    since_start = (stamps_ns - start).astype(np.float64)
    turn = np.minimum(np.floor(since_start / cycle), cycles - 1)
    phase = since_start - turn * cycle
    splits = names[np.searchsorted(ends, phase, side="right")]
    to_inner = np.abs(phase[:, None] - ends).min(axis=1, initial=np.inf)
    to_before, to_after = np.where(turn > 0, phase, np.inf), np.where(turn < cycles - 1, cycle - phase, np.inf)
    splits[np.minimum(to_inner, np.minimum(to_before, to_after)) < config.margin_ns / 2] = MARGIN
    return splits
