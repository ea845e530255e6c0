"""Frames that belong together are found, whatever recordings are like; nothing else is ever put together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from heatnet.dataset_tools.rhythm import rhythm
from heatnet.dataset_tools.sync import default_tolerance, mutual_nearest, synchronise

MS = 1_000_000
START = 1_565_258_400_246_939_648


@dataclass(frozen=True)
class Recorded:
    stamps_ns: NDArray[np.int64]
    log_ns: NDArray[np.int64]
    events: NDArray[np.int64]  # which exposure a frame is of: what no program is told


def record(
    events: NDArray[np.int64],
    rng: np.random.Generator,
    jitter_ns: int,
    lag_ns: int = 0,
    loss: float = 0.0,
    clock: NDArray[np.int64] | None = None,
) -> Recorded:
    """Frames of exposures at `events` (ns): late by a lag, jittered, some lost, by a clock that may have been set."""
    kept = rng.random(len(events)) >= loss
    stamps = events + lag_ns + rng.integers(-jitter_ns, jitter_ns + 1, len(events))
    shown = stamps if clock is None else stamps + clock
    return Recorded(shown[kept], (stamps + 20 * MS)[kept], np.flatnonzero(kept))


def exposures(rate: str, count: int) -> NDArray[np.int64]:
    i = np.arange(count, dtype=np.int64)
    if rate == "bursts":  # three frames at 30 Hz, the bursts exactly one second apart
        return START + (i // 3) * 1000 * MS + (i % 3) * 33_333_333
    return START + i * {"30 Hz": 33_333_333, "10 Hz": 100 * MS, "1 Hz": 1000 * MS}[rate]


def check(frames: dict[str, Recorded], **options: Any) -> int:
    """No wrong set, no frame twice, every frame in a set or counted; returns the number of sets."""
    sets = synchronise(frames, **options)
    names = list(frames)
    counts = {len(stamps) for stamps in sets.stamps_ns.values()}
    assert len(counts) == 1
    events = [events_of(frames[name], sets.stamps_ns[name]) for name in names]
    for row in zip(*events, strict=True):
        assert set.intersection(*row), f"frames of different exposures in one set: {row}"
    used = counts.pop()
    for name in names:
        counted = sum(count for reason, count in sets.drops.items() if reason.startswith(f"{name}:"))
        assert used + counted == len(frames[name].stamps_ns), (name, sets.drops)
    return used


def events_of(frames: Recorded, stamps: NDArray[np.int64]) -> list[set[int]]:
    """Where a clock was set back one stamp may be that of two exposures."""
    return [set(frames.events[frames.stamps_ns == stamp].tolist()) for stamp in stamps]


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rate=st.sampled_from(["30 Hz", "10 Hz", "1 Hz", "bursts"]),
    count=st.integers(20, 200),
    jitter_ms=st.integers(0, 3),
    lag_ms=st.integers(-8, 8),
    loss=st.sampled_from([0.0, 0.02, 0.2]),
)
def test_no_wrong_set_is_made_and_every_frame_is_accounted_for(
    seed: int, rate: str, count: int, jitter_ms: int, lag_ms: int, loss: float
) -> None:
    rng = np.random.default_rng(seed)
    events = exposures(rate, count)
    frames = {
        "rgb": record(events, rng, jitter_ms * MS, 0, loss),
        "thermal": record(events, rng, jitter_ms * MS, lag_ms * MS, loss),
        "right": record(events, rng, 0, 0, loss),
    }
    common = set.intersection(*(set(f.events.tolist()) for f in frames.values()))
    assert check(frames, lags_ns={"thermal": lag_ms * MS}) == len(common)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), rate=st.sampled_from(["30 Hz", "1 Hz", "bursts"]), count=st.integers(1, 20))
def test_a_clip_of_a_few_frames_gives_its_pairs(seed: int, rate: str, count: int) -> None:
    rng = np.random.default_rng(seed)
    events = exposures(rate, count)
    frames = {"rgb": record(events, rng, MS, loss=0.02), "thermal": record(events, rng, MS, 4 * MS, loss=0.02)}
    common = set(frames["rgb"].events.tolist()) & set(frames["thermal"].events.tolist())
    assert check(frames) == len(common)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rate=st.sampled_from(["30 Hz", "10 Hz", "bursts"]),
    at=st.integers(5, 100),
    jump_ms=st.integers(-60_000, 60_000).filter(lambda ms: abs(ms) >= 150),
    sensors=st.sampled_from(["both", "rgb"]),
)
def test_frames_from_before_and_after_a_clock_was_set_are_never_put_together(
    seed: int, rate: str, at: int, jump_ms: int, sensors: str
) -> None:
    rng = np.random.default_rng(seed)
    events = exposures(rate, 100)
    clock = np.where(np.arange(100) >= at, jump_ms * MS, 0).astype(np.int64)
    frames = {
        "rgb": record(events, rng, MS, 0, 0.02, clock),
        "thermal": record(events, rng, MS, 4 * MS, 0.02, clock if sensors == "both" else None),
    }
    made = check(frames)
    if sensors == "both":
        assert made >= len(set(frames["rgb"].events.tolist()) & set(frames["thermal"].events.tolist())) - 3


def test_frames_a_second_and_5_ms_apart_are_no_pair() -> None:
    """The reference compares nanoseconds without their seconds: 1.005 s counts as 5 ms there."""
    a, b = np.array([START]), np.array([START + 1005 * MS])
    assert mutual_nearest(a, b, 17 * MS).tolist() == [-1]


def test_stamps_are_compared_to_the_nanosecond() -> None:
    a = np.array([START])
    assert mutual_nearest(a, a + 17, 17).tolist() == [0] and mutual_nearest(a, a + 18, 17).tolist() == [-1]


@given(
    a=st.lists(st.integers(0, 500), unique=True, max_size=30),
    b=st.lists(st.integers(0, 500), unique=True, max_size=30),
    tolerance=st.integers(0, 60),
)
@settings(max_examples=300, deadline=None)
def test_mutual_nearest_is_what_it_says(a: list[int], b: list[int], tolerance: int) -> None:
    found = mutual_nearest(np.array(a, np.int64), np.array(b, np.int64), tolerance)
    assert len(set(found[found >= 0])) == (found >= 0).sum()
    for i, j in enumerate(found):
        if j >= 0:
            gap = abs(a[i] - b[j])
            assert gap <= tolerance
            assert gap == min(abs(a[i] - s) for s in b) == min(abs(r - b[j]) for r in a)
    if a and b:
        gaps = {(abs(r - s)) for r in a for s in b}
        assert (found >= 0).any() == (min(gaps) <= tolerance)


@pytest.mark.parametrize(
    ("rate", "count", "expected"), [("30 Hz", 90, 16.7), ("bursts", 90, 16.7), ("10 Hz", 30, 25), ("1 Hz", 2, 16.7)]
)
def test_the_tolerance_is_half_the_frame_interval(rate: str, count: int, expected: float) -> None:
    assert default_tolerance([exposures(rate, count)]) / MS == pytest.approx(expected, abs=0.1)


def test_a_frame_recorded_twice_is_used_once_and_counted() -> None:
    stamps = np.array([START, START, START + 33 * MS])
    frames = {"rgb": Recorded(stamps, stamps, stamps), "thermal": Recorded(stamps[1:], stamps[1:], stamps[1:])}
    sets = synchronise(frames)
    assert sets.stamps_ns["rgb"].tolist() == stamps[1:].tolist() == sets.stamps_ns["thermal"].tolist()
    assert sets.drops == {"rgb: stamp occurs twice": 1}


def test_no_frames_at_all_are_no_sets() -> None:
    none = np.zeros(0, np.int64)
    some = np.array([START])
    sets = synchronise({"rgb": Recorded(some, some, none), "thermal": Recorded(none, none, none)})
    assert len(sets.stamps_ns["rgb"]) == 0 and sum(sets.drops.values()) == 1


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    bursts=st.integers(2, 40),
    size=st.integers(2, 6),
    loss=st.sampled_from([0.0, 0.02]),
    jitter_ms=st.integers(0, 3),
)
def test_bursts_are_found_by_their_gaps(seed: int, bursts: int, size: int, loss: float, jitter_ms: int) -> None:
    """Exactly one second apart, where the reference pairs frames of different bursts."""
    rng = np.random.default_rng(seed)
    i = np.arange(bursts * size)
    frames = record(START + (i // size) * 1000 * MS + (i % size) * 33_333_333, rng, jitter_ms * MS, 0, loss)
    found = rhythm(frames.stamps_ns, frames.log_ns)
    alive = np.unique(frames.events // size)
    usual = np.bincount(frames.events // size)[alive]
    if (usual > 1).sum() * (size - 1) > len(alive):  # else the pauses are the usual step
        assert found.bursts == len(alive) and found.burst_frames == np.median(usual)
        assert found.interval_s is not None and abs(found.interval_s - 0.0333) < 0.007
    assert (found.frames, found.clock_set_back, found.clock_set_ahead) == (len(frames.events), 0, 0)


def test_a_clock_that_is_set_is_counted_either_way() -> None:
    events = exposures("30 Hz", 90)
    jumps = np.select([np.arange(90) >= 60, np.arange(90) >= 30], [-5000 * MS, 7000 * MS], 0).astype(np.int64)
    frames = record(events, np.random.default_rng(0), MS, clock=jumps)
    found = rhythm(frames.stamps_ns, frames.log_ns)
    assert (found.clock_set_back, found.clock_set_ahead) == (1, 1)
    assert rhythm(frames.stamps_ns[:0], frames.log_ns[:0]).bursts == 0
    assert rhythm(frames.stamps_ns[:1], frames.log_ns[:1]).bursts == 1
