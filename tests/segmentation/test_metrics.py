"""Scores worked out by hand."""

import math

import numpy as np
import pytest

from heatnet.errors import TrainingError
from heatnet.segmentation.classes import class_ids
from heatnet.segmentation.metrics import confusion, iou, nanmean, summarise


def test_pixels_whose_truth_is_ignore_are_dropped() -> None:
    counts = confusion(np.array([[13, 0]]), np.array([[5, 0]]))
    assert counts.sum() == 1 and counts[0, 0] == 1


def test_background_counts_as_a_wrong_prediction_and_as_ground_for_false_hits() -> None:
    truth = np.array([0, 0, 12, 12])
    predicted = np.array([0, 12, 0, 12])
    assert iou(confusion(truth, predicted), [0]).tolist() == [pytest.approx(1 / 3)]


def test_a_class_without_truth_is_left_out_of_the_mean() -> None:
    counts = confusion(np.array([0, 0, 1]), np.array([0, 0, 0]))
    values = iou(counts, [0, 1, 2])
    assert values[:2].tolist() == [pytest.approx(2 / 3), 0.0] and math.isnan(values[2])
    assert nanmean(values) == pytest.approx(1 / 3)
    assert math.isnan(nanmean(values[2:]))


def test_combined_is_the_class_mean_of_both_domains_and_pooled_that_of_all_pixels() -> None:
    day = confusion(np.array([0] * 8 + [1] * 2), np.array([0] * 8 + [0] * 2))  # IoU 0.8, 0
    night = confusion(np.array([0] * 2 + [1] * 2), np.array([0, 1, 1, 1]))  # IoU 1/2, 2/3
    summary = summarise({"day": day, "night": night}, [0, 1, 5])
    assert summary["day"]["miou"] == pytest.approx(0.4)
    assert summary["night"]["iou"] == {"road": 0.5, "sidewalk": pytest.approx(2 / 3, abs=1e-6), "pole": None}
    assert summary["combined"]["miou"] == pytest.approx(((0.8 + 0.5) / 2 + (0 + 2 / 3) / 2) / 2, abs=1e-6)
    assert summary["pooled"]["iou"]["road"] == pytest.approx(9 / 12)
    assert summary["pooled"]["iou"]["sidewalk"] == pytest.approx(2 / 5)
    assert summary["classes_scored"] == ["road", "sidewalk"]


def test_a_missing_domain_leaves_the_other_one_as_combined() -> None:
    summary = summarise({"day": confusion(np.array([0, 1]), np.array([0, 1]))}, [0, 1])
    assert summary["night"]["miou"] is None
    assert summary["combined"]["miou"] == 1.0


def test_class_names_are_checked() -> None:
    assert class_ids(["car", "person", "bicycle"]) == (9, 10, 11)
    assert class_ids(None) == tuple(range(12))
    with pytest.raises(TrainingError, match="tram"):
        class_ids(["car", "tram"])
    with pytest.raises(TrainingError, match="background"):
        class_ids(["background"])
