"""Which frames of several sensors belong together.

Whole arrays of int64 header stamps, mutual nearest neighbours within a tolerance (half the frame interval, the field's
habit), one-to-one. Where a clock was set back, only frames from before or only frames from after belong together. Every
frame is either in a set or counted with a reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from heatnet.dataset_tools.rhythm import RESET_NS

Stamps = NDArray[np.int64]
Indices = NDArray[np.int64]
USUAL_TOLERANCE_NS = 16_666_667  # half an interval at 30 Hz: where a clip is too short to show its rate
MAXIMUM_TOLERANCE_NS = 25_000_000  # slow sensors are triggered together, or not at all
LEAST_GAPS = 4


class Frames(Protocol):
    """The frames of one sensor in the order in which they were recorded."""

    @property
    def stamps_ns(self) -> Stamps:
        """Header stamps (N,)."""

    @property
    def log_ns(self) -> Stamps:
        """The recorder's clock (N,)."""


@dataclass(frozen=True)
class Sets:
    """Frames that belong together: one row a set, by sensor its header stamp; and what was left out."""

    stamps_ns: dict[str, Stamps]  # (N,) by sensor
    drops: dict[str, int] = field(default_factory=dict)  # frames by reason
    tolerance_ns: int = 0


def synchronise(
    frames: Mapping[str, Frames], tolerance_ns: int | None = None, lags_ns: Mapping[str, int] | None = None
) -> Sets:
    """Sets with one frame of each sensor; the first of `frames` is the one that the others are compared with.

    `lags_ns` says by how much the stamps of a sensor are late. Without `tolerance_ns` it is half the shortest frame
    interval. The sets come in the order of the first sensor's stamps within each of its clock's runs.
    """
    lags = lags_ns or {}
    names = list(frames)
    tolerance = default_tolerance([f.stamps_ns for f in frames.values()]) if tolerance_ns is None else tolerance_ns
    drops: dict[str, int] = {}
    kept = {name: _without_doubles(name, frames[name], drops) for name in names}
    runs = {name: _runs(frames[name].stamps_ns, kept[name]) for name in names}
    first = names[0]
    rows = [np.arange(len(kept[first]), dtype=np.int64)]
    for name in names[1:]:
        rows.append(_match(frames, (first, name), kept, runs, (lags.get(first, 0), lags.get(name, 0)), tolerance))
    table = np.stack(rows, 1) if rows[0].size else np.zeros((0, len(names)), np.int64)
    whole: NDArray[np.bool_] = np.all(table >= 0, axis=1)
    _count_partial(names, kept, table, whole, drops)
    table = table[whole]
    order = np.lexsort((frames[first].stamps_ns[kept[first]][table[:, 0]], runs[first][table[:, 0]]))
    stamps = {name: frames[name].stamps_ns[kept[name]][table[order, i]] for i, name in enumerate(names)}
    return Sets(stamps, {reason: count for reason, count in sorted(drops.items()) if count}, tolerance)


def default_tolerance(stamps_ns: list[Stamps]) -> int:
    """Half the shortest frame interval (ns) of the sensors, of whose stamps (N,) in recorded order it is told.

    At most 25 ms; half of 30 Hz for very short clips. The interval is the lower quartile of the gaps: bursts have
    mostly short ones, lost frames only make some longer.
    """
    gaps = [np.diff(stamps) for stamps in stamps_ns]
    forward = [gap[gap > 0] for gap in gaps]
    intervals = [float(np.percentile(gap, 25)) for gap in forward if len(gap) >= LEAST_GAPS]
    return min(int(min(intervals) / 2), MAXIMUM_TOLERANCE_NS) if intervals else USUAL_TOLERANCE_NS


def mutual_nearest(a: Stamps, b: Stamps, tolerance_ns: int) -> Indices:
    """For each of `a` (N,) the index into `b` (M,) of its nearest, or -1; both in any order, without doubles.

    A pair is one only where each is the other's nearest (the earlier of equally near ones) and they are at most
    `tolerance_ns` apart; so no frame is in two pairs.
    """
    if not len(a) or not len(b):
        return np.full(len(a), -1, np.int64)
    to_b, to_a = _nearest(a, b), _nearest(b, a)
    mutual = (to_a[to_b] == np.arange(len(a))) & (np.abs(a - b[to_b]) <= tolerance_ns)
    return np.where(mutual, to_b, -1)


def _nearest(a: Stamps, b: Stamps) -> Indices:
    order = np.argsort(b, kind="stable")
    sorted_b = b[order]
    right = np.clip(np.searchsorted(sorted_b, a), 0, len(b) - 1)
    left = np.maximum(right - 1, 0)
    nearer_left = np.abs(a - sorted_b[left]) <= np.abs(sorted_b[right] - a)
    return order[np.where(nearer_left, left, right)]


def _without_doubles(name: str, frames: Frames, drops: dict[str, int]) -> Indices:
    """Indices of the first frame of each stamp, in recorded order: a stamp names a frame."""
    kept = np.sort(np.unique(frames.stamps_ns, return_index=True)[1]).astype(np.int64)
    drops[f"{name}: stamp occurs twice"] = len(frames.stamps_ns) - len(kept)
    return kept


def _runs(stamps_ns: Stamps, kept: Indices) -> Indices:
    """The number (N,) of the run of the clock that each kept frame is in: a run ends where the clock is set back."""
    stamps = stamps_ns[kept]
    if not len(stamps):
        return np.zeros(0, np.int64)
    return np.concatenate([[0], np.cumsum(np.diff(stamps) < -RESET_NS)]).astype(np.int64)


def _match(
    frames: Mapping[str, Frames],
    names: tuple[str, str],
    kept: Mapping[str, Indices],
    runs: Mapping[str, Indices],
    lags: tuple[int, int],
    tolerance: int,
) -> Indices:
    """For each kept frame of the first sensor the kept frame of the second, or -1; run by run of the clocks.

    Where one sensor did not see a reset, runs cannot be told apart by their number: then delays alone must.
    """
    a, b = ((frames[n].stamps_ns[kept[n]] - lag) for n, lag in zip(names, lags, strict=True))
    run_a, run_b = (runs[n] for n in names)
    if run_a.max(initial=0) != run_b.max(initial=0):
        run_a, run_b = np.zeros_like(run_a), np.zeros_like(run_b)
    matched = np.full(len(a), -1, np.int64)
    for run in range(int(run_a.max(initial=0)) + 1):
        mine, other = np.flatnonzero(run_a == run), np.flatnonzero(run_b == run)
        found = mutual_nearest(a[mine], b[other], tolerance)
        matched[mine[found >= 0]] = other[found[found >= 0]]
    delay_a, delay_b = (_delays(frames[n], kept[n]) for n in names)
    if len(a) and len(b) and max(np.ptp(delay_a), np.ptp(delay_b)) >= RESET_NS:
        # A clock was set, or both were together: only frames that took as long as each other can be trusted.
        matched[np.abs(delay_a - delay_b[matched]) >= RESET_NS / 2] = -1
    return matched


def _delays(frames: Frames, kept: Indices) -> NDArray[np.float64]:
    """How long (ns) each kept frame took from its stamp to the log, with single late ones smoothed away."""
    delays = (frames.log_ns - frames.stamps_ns)[kept].astype(np.float64)
    size = min(9, max(1, 2 * len(delays) - 1))
    smooth: NDArray[np.float64] = median_filter(delays, size=size, mode="nearest") if len(delays) else delays
    return smooth


def _count_partial(
    names: list[str],
    kept: Mapping[str, Indices],
    table: Indices,
    whole: NDArray[np.bool_],
    drops: dict[str, int],
) -> None:
    first = names[0]
    for i, name in enumerate(names[1:], 1):
        lacking = (table[:, i] < 0) & (table[:, 1:i] >= 0).all(axis=1)
        drops[f"{first}: no {name} frame within the tolerance"] = int(lacking.sum())
        partial = int(((table[:, i] >= 0) & ~whole).sum())
        drops[f"{name}: its set is not complete"] = partial
        alone = len(kept[name]) - int((table[:, i] >= 0).sum())
        drops[f"{name}: no {first} frame within the tolerance"] = alone
