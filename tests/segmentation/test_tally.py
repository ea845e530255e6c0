"""What one pass over labelled frames counts, worked out by hand."""

import math

import numpy as np
import pytest

from heatnet.errors import TrainingError
from heatnet.segmentation.features import project, told_apart
from heatnet.segmentation.several import evaluate_runs, summarise_runs
from heatnet.segmentation.tally import EMPTY, added, calibration, calibration_error, count_frame, extremes, reliability


def test_confidence_is_held_against_right_answers_of_known_pixels() -> None:
    truth = np.array([[0, 0, 0, 13]])
    predicted = np.array([[0, 1, 0, 5]])
    confidence = np.array([[0.9, 0.9, 0.5, 0.1]])
    counts = reliability(truth, predicted, confidence, range(12))
    assert counts[:, 0].sum() == 3
    assert counts[13].tolist() == [2, pytest.approx(1.8), 1] and counts[7].tolist() == [1, 0.5, 1]
    assert calibration_error(counts) == pytest.approx((abs(1.8 - 1) + abs(0.5 - 1)) / 3)
    assert math.isnan(calibration_error(np.zeros((15, 3))))


def test_classes_that_are_not_scored_count_as_one_for_confidence() -> None:
    counts = reliability(np.array([12, 12, 10]), np.array([0, 10, 0]), np.array([1.0, 1.0, 1.0]), [9, 10, 11])
    assert counts[14].tolist() == [3, 3, 1]  # road on background is right, a car there and road on a car are not


def test_the_best_and_worst_frames_are_ranked_and_frames_without_truth_left_out() -> None:
    tally = EMPTY
    for place, right in enumerate((4, 1, 3)):
        predicted = np.array([0] * right + [1] * (4 - right))
        tally = added(tally, count_frame(np.zeros(4, int), predicted, np.ones(4), [0, 1], f"f{place}", place))
    tally = added(tally, count_frame(np.full(4, 13), np.zeros(4, int), np.ones(4), [0, 1], "blank", 3))
    ranked = extremes({"day": tally}, 2)["day"]
    assert [row["frame"] for row in ranked["best"]] == ["f0", "f2"]
    assert [row["frame"] for row in ranked["worst"]] == ["f1", "f2"] and ranked["worst"][0]["miou"] == 0.25
    assert tally.confusion.sum() == 12
    assert calibration({"day": tally})["day"]["ece"] == pytest.approx(4 / 12, abs=1e-6)


def run(day: float, night: float | None) -> dict[str, object]:
    parts = {"day": day, "night": night, "combined": day, "pooled": day}
    return {"models": {"heatnet": {name: {"miou": value} for name, value in parts.items()}}}


def test_several_runs_have_a_mean_and_a_spread() -> None:
    summary = summarise_runs({"a": run(0.5, None), "b": run(0.7, 0.3), "c": run(0.6, None)})["heatnet"]
    assert summary["day"] == {"mean": 0.6, "spread": 0.1, "runs": 3}
    assert summary["night"] == {"mean": 0.3, "spread": None, "runs": 1}
    with pytest.raises(TrainingError, match="twice"):
        evaluate_runs(["a", "a"], "dataset", "val")  # type: ignore[list-item, arg-type]


def test_features_that_differ_by_domain_are_told_apart_and_alike_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    day, night = rng.normal(size=(20, 8, 5)), rng.normal(size=(20, 8, 5))
    night_like_day = project(day, night)
    assert night_like_day.day.shape == (160, 2) and night_like_day.told_apart < 0.75
    apart = project(day, night + 3)
    assert apart.told_apart == 1.0 and abs(apart.day.mean() - apart.night.mean()) > 1
    assert apart.explained > night_like_day.explained
    assert told_apart(np.zeros((3, 2)), np.ones((4, 2))) == 1.0
