"""What the authors' code got wrong, row by row, with the tests that fail when it is put back."""

import ast
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from heatnet.segmentation.losses import pixel_weights, supervised_loss

TESTS = Path(__file__).parents[1]

DEFECTS: dict[str, list[str]] = {
    "test frames filtered by a loop that removes nothing; train/val split by frame inside a drive": [
        "dataset_tools/test_splits.py::test_frames_of_different_splits_are_never_nearer_than_the_margin",
        "dataset_tools/test_importers_published.py::"
        "test_freiburg_is_split_by_drive_and_time_and_keeps_clear_of_its_test_frames",
        "dataset_tools/test_build.py::test_a_drive_that_leaks_into_another_split_is_refused_and_leaves_nothing",
        "dataset_tools/test_validate.py::test_frames_of_one_scene_in_two_splits_are_a_leak",
    ],
    "no eval(): dropout and batch statistics at test time": [
        "segmentation/test_student.py::test_inference_restores_the_mode_of_every_part",
        "segmentation/test_adaptation.py::test_a_labelling_network_stands_still_and_its_confidence_is_one_softmax",
    ],
    "batch-norm statistics move in the critic step": [
        "segmentation/test_student.py::test_the_critic_step_leaves_the_student_and_its_statistics_alone",
        "segmentation/test_student.py::test_a_step_with_confusion_moves_batch_statistics_once",
        "segmentation/test_trainer.py::"
        "test_in_turns_only_one_of_student_and_critics_moves_and_the_other_is_frozen_altogether",
    ],
    "one RMSprop for student and critics": [
        "segmentation/test_student.py::"
        "test_student_and_critics_have_an_optimizer_each_and_the_confusion_leaves_no_gradient_in_the_critics",
        "segmentation/test_trainer.py::test_critics_and_student_have_a_schedule_each",
    ],
    "softmax applied twice": [
        "segmentation/test_adaptation.py::test_a_labelling_network_stands_still_and_its_confidence_is_one_softmax",
        "segmentation/test_training.py::test_a_teachers_label_has_its_probability_and_none_where_it_was_never_trained",
        "segmentation/test_losses.py::test_the_cross_entropy_takes_logits_and_one_softmax_only",
    ],
    "the confidence map multiplies an averaged loss; a batch axis becomes channels": [
        "segmentation/test_losses.py::test_confidence_weighs_pixels_before_the_mean",
        "segmentation/test_defects.py::test_weights_belong_to_their_own_pixels_and_frames",
        "segmentation/test_student.py::test_confidence_weighs_the_night_terms_only_where_it_differs",
        "segmentation/test_student.py::test_confusion_acts_where_the_night_teacher_is_in_doubt",
    ],
    "rotation fills label corners with 0 = road": [
        "segmentation/test_augment.py::test_rotation_fills_label_corners_with_ignore_and_thermal_with_not_valid",
        "segmentation/test_augment.py::test_geometry_is_one_draw_for_all_images",
    ],
    "no ignore index: label 13 crashes": [
        "segmentation/test_losses.py::test_the_ignored_label_costs_nothing_and_does_not_crash",
        "segmentation/test_metrics.py::test_pixels_whose_truth_is_ignore_are_dropped",
    ],
    "the evaluation command fails; the config is not in the checkpoint": [
        "segmentation/test_checkpoint.py::test_a_checkpoint_rebuilds_the_network_with_weights_only",
        "segmentation/test_training.py::test_a_run_is_scored_with_all_its_models_side_by_side",
    ],
    "stage 2 cannot load a stage-1 checkpoint; partial loads accepted silently": [
        "segmentation/test_checkpoint.py::test_init_from_reports_what_the_checkpoint_lacked",
        "segmentation/test_checkpoint.py::test_init_from_another_network_is_refused_and_changes_nothing",
        "segmentation/test_training.py::test_a_run_that_was_killed_goes_on_as_if_it_had_not_been",
    ],
    '"night" anywhere in the path makes a frame night; hour of the host\'s time zone decides': [
        "dataset_tools/test_build.py::test_day_is_day_and_night_is_night_by_the_sun",
        "dataset_tools/test_sun.py::test_day_is_above_the_horizon_and_night_below_civil_twilight",
    ],
    "best checkpoint chosen on the test set; a class absent gives NaN and is never best": [
        "segmentation/test_training.py::test_the_best_checkpoint_is_chosen_on_the_validation_split",
        "segmentation/test_metrics.py::test_a_class_without_truth_is_left_out_of_the_mean",
    ],
    "abs(dt).nsecs; first queue entry can never match; 16 ms gate": [
        "dataset_tools/test_sync.py::test_frames_a_second_and_5_ms_apart_are_no_pair",
        "dataset_tools/test_sync.py::test_mutual_nearest_is_what_it_says",
        "dataset_tools/test_sync.py::test_stamps_are_compared_to_the_nanosecond",
    ],
    "rectification maps recomputed for every image; names carry another frame's stamp": [
        "dataset_tools/test_build.py::test_every_pair_of_a_drive_becomes_an_aligned_sample",
        "dataset_tools/test_build.py::test_a_frame_without_a_true_stamp_is_left_out_and_counted",
    ],
    "no seeds, prints every iteration, wandb at import, hard-coded home paths": [
        "segmentation/test_training.py::test_the_same_seed_gives_the_same_run",
        "segmentation/test_defects.py::test_nothing_prints_and_no_logger_or_home_is_needed",
    ],
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_has_tests_that_are_there(defect: str) -> None:
    for name in DEFECTS[defect]:
        file, _, test = name.partition("::")
        tree = ast.parse((TESTS / file).read_text())
        assert test in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)], name


def test_weights_belong_to_their_own_pixels_and_frames() -> None:
    """The authors' (B, H, W) weights over a mean: each frame was weighed by the mean weight of all."""
    torch.manual_seed(0)
    logits, label = torch.randn(2, 13, 4, 4), torch.randint(0, 13, (2, 4, 4))
    weights = pixel_weights(label)
    weights[0] = 0
    expected = cross_entropy(logits[1:], label[1:])
    assert supervised_loss(logits, label, weights).item() == pytest.approx(expected.item(), rel=1e-5)
    averaged = (weights * cross_entropy(logits, label)).mean()
    assert abs(averaged.item() - expected.item()) > 0.1


def test_nothing_prints_and_no_logger_or_home_is_needed() -> None:
    room = TESTS.parent / "segmentation"
    for path in room.glob("*.py"):
        text = path.read_text()
        calls = [node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        assert "print" not in [func.id for func in calls if isinstance(func, ast.Name)], path
        assert "wandb" not in text and "/home/" not in text and "expanduser" not in text, path
