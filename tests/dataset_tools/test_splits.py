"""Splits keep apart what is alike: no frame of one split is near one of another."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from heatnet.dataset_tools.splits import SplitConfig, assign_splits, drive_ranges

SECOND = 10**9


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), duration_s=st.integers(0, 4000), margin_s=st.integers(1, 20))
def test_frames_of_different_splits_are_never_nearer_than_the_margin(seed: int, duration_s: int, margin_s: int) -> None:
    rng = np.random.default_rng(seed)
    start = 1_565_258_400 * SECOND
    stamps = np.sort(rng.integers(start, start + duration_s * SECOND + 1, 300))
    splits = assign_splits(stamps, (start, start + duration_s * SECOND), SplitConfig(margin_ns=margin_s * SECOND))
    used = splits != "margin"
    changes = splits[used][1:] != splits[used][:-1]
    assert (np.diff(stamps[used])[changes] >= margin_s * SECOND * 0.999).all()
    assert set(splits) <= {"train", "val", "test", "margin"}


def test_a_long_drive_gives_to_every_split_its_share() -> None:
    stamps = np.arange(0, 1200 * SECOND, SECOND // 10)
    splits = assign_splits(stamps, (0, 1200 * SECOND), SplitConfig())
    shares = [np.mean(splits == name) for name in ("train", "val", "test", "margin")]
    assert np.allclose(shares, [0.68, 0.145, 0.145, 0.02], atol=0.02)
    assert (splits[:100] == "train").all() and (splits[-100:] == "test").all()


def test_a_drive_of_six_seconds_is_all_training() -> None:
    stamps = np.arange(6) * SECOND
    assert (assign_splits(stamps, (0, 5 * SECOND), SplitConfig()) == "train").all()


def test_a_stamp_from_1970_costs_neither_time_nor_memory() -> None:
    now = 1_565_258_400 * SECOND
    stamps = np.array([0, *range(now, now + 400 * SECOND, SECOND)])
    assert set(assign_splits(stamps, (0, int(stamps[-1])), SplitConfig())) == {"train", "val", "test", "margin"}


def test_without_a_test_share_there_is_none() -> None:
    stamps = np.arange(0, 1000 * SECOND, SECOND)
    splits = assign_splits(stamps, (0, int(stamps[-1])), SplitConfig((0.9, 0.1, 0.0)))
    assert set(splits) == {"train", "val", "margin"} and 0.08 < np.mean(splits == "val") < 0.1


def test_recordings_that_follow_each_other_are_one_drive() -> None:
    ranges = [(0, 100), (1000 * SECOND, 1001 * SECOND), (101, 50 * SECOND)]
    assert drive_ranges(ranges) == [(0, 50 * SECOND), (1000 * SECOND, 1001 * SECOND), (0, 50 * SECOND)]
    assert drive_ranges([]) == []
