"""How the frames of one sensor follow each other: steadily or in bursts, with gaps, by a clock that was set or not."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Stamps = NDArray[np.int64]
GAP_FACTOR = 5.0  # a step this many times the usual one is a gap
SHORTEST_STEP_NS = 1_000_000  # nothing comes faster; messages sent at once are no burst
RESET_NS = 100_000_000  # a step back that is more than frames out of order; NTP steps from 128 ms


@dataclass(frozen=True)
class Rhythm:
    """Statistics of the header stamps of one sensor."""

    frames: int
    interval_s: float | None  # the usual one, within bursts where there are any; None with fewer than two frames
    bursts: int  # runs of frames between gaps: 1 where there is none
    burst_frames: float  # in the middle one of them
    pause_s: float | None  # the middle one of the gaps
    longest_gap_s: float | None
    clock_set_back: int  # times
    clock_set_ahead: int  # times: stamps jump, the recorder's clock does not

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def rhythm(stamps_ns: Stamps, log_ns: Stamps) -> Rhythm:
    """Of the frames of one sensor by their header stamps and the recorder's clock (N,), in the order of recording."""
    if not len(stamps_ns):
        return Rhythm(0, None, 0, 0.0, None, None, 0, 0)
    steps, logged = np.diff(stamps_ns), np.diff(log_ns)
    forward: Stamps = np.asarray(np.diff(np.unique(stamps_ns)), np.int64)
    gaps = gap_steps(forward)
    ends = np.flatnonzero(np.concatenate([gaps, [True]]))
    sizes = np.diff(np.concatenate([[-1], ends]))
    pauses = forward[gaps]
    return Rhythm(
        len(stamps_ns),
        float(np.quantile(forward, 0.25)) / 1e9 if len(forward) else None,
        len(sizes),
        float(np.median(sizes)),
        float(np.median(pauses)) / 1e9 if len(pauses) else None,
        float(forward.max()) / 1e9 if len(forward) else None,
        int((steps < -RESET_NS).sum()),
        int((steps - logged > GAP_FACTOR * RESET_NS).sum()),
    )


def gap_steps(steps_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which steps (N,) from one frame to the next are gaps: far above the shorter ones."""
    if len(steps_ns) < 2:
        return np.zeros(len(steps_ns), np.bool_)
    return np.asarray(steps_ns > GAP_FACTOR * max(float(np.quantile(steps_ns, 0.25)), SHORTEST_STEP_NS))
