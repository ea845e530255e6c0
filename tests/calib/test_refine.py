"""Thermal cameras that see the same landmark check each other."""

from dataclasses import replace

import numpy as np
import pytest

from heatnet.calib import refine
from heatnet.calib.acceleration import Acceleration
from heatnet.calib.config import CalibrationConfig
from heatnet.calib.depth_choice import choose_depth
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.refine import AGREEMENT, APPROACH, FINAL, JOINTLY, Stage, fit, refine_jointly
from heatnet.calib.rig import Rig
from heatnet.calib.scene import observer, prepare
from heatnet.calib.solve import Matches, agreeing
from heatnet.calib.views import Views


def matches(numbers: list[int], residuals: list[float]) -> Matches:
    """Matches of some landmarks, all else alike."""
    count = len(numbers)
    ones, flat = np.ones(count), np.zeros((count, 2))
    views = np.zeros(count, np.int64)
    return Matches(np.array(residuals), flat, flat, flat, ones, views, ones, np.array(numbers), tried=count)


@pytest.mark.parametrize("focal_px", [250.0, 413.7, 480.0, 511.0])
def test_stages_of_one_blur_keep_one_blur_in_smaller_images(focal_px: float) -> None:
    """A blur that differs in the last digit would be made of all images anew."""
    blurs = {stage.at(focal_px).blur_px for stage in refine.SETTLE if stage.blur_px == refine.SETTLE[0].blur_px}
    assert len(blurs) == 1


def test_a_landmark_that_cameras_find_at_different_offsets_loses_its_weight() -> None:
    left = matches([0, 1, 2, 2, 5], [0.2, 0.3, -0.1, -0.1, 0.4])
    right = matches([5, 2, 1, 7], [0.4, -0.1, -0.9, 2.0])
    first, second = agreeing([left, right], [500, 500], 0.3)
    assert np.allclose(first.worth[[0, 2, 3, 4]], 1)  # seen once, or alike in both cameras
    assert np.allclose(second.worth[[0, 1, 3]], 1)
    assert first.worth[1] < 0.01
    assert second.worth[2] < 0.01


def test_cameras_of_different_focal_lengths_agree_about_the_angle() -> None:
    far, near = matches([0, 1], [0.8, 0.8]), matches([0, 1], [0.4, 0.8])
    assert [m.worth[0] > 0.99 > m.worth[1] for m in agreeing([far, near], [500, 250], 0.3)] == [True, True]


def test_one_camera_alone_has_none_to_agree_with() -> None:
    alone = matches([0, 1], [0.5, -2.0])
    assert np.allclose(agreeing([alone], [500], 0.3)[0].worth, 1)


@pytest.mark.parametrize("stage", [APPROACH, FINAL])
def test_what_is_found_in_a_wide_search_is_worth_less_against_the_guess(rig: Rig, views: Views, stage: Stage) -> None:
    some = replace(views, views=views.views[:2])
    scenes = prepare(some, rig, CalibrationConfig().edges, choose_depth("stereo", some, rig))
    camera = rig["cam2"]
    truth = Estimate(camera.camera, camera.cam_from_cam0)
    found = fit(observer(scenes, "cam2")(stage.blur_px, 1), truth, truth, Prior(), stage)
    unit = (found.matches.jacobian * found.normal.weights[:, None]).T @ found.matches.jacobian
    sigma_px = np.sqrt(np.trace(unit) / np.trace(found.normal.data))
    assert np.isclose(sigma_px, 2.5 * stage.scale_px)


def test_landmarks_on_which_cameras_differ_lose_their_weight_first_and_last(
    rig: Rig, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between, they put a camera right that is 0.3 px off: without their weight it would stay there."""
    some = replace(views, views=views.views[:2])
    scenes = prepare(some, rig, CalibrationConfig().edges, choose_depth("stereo", some, rig))
    observes = [observer(scenes, name) for name in ("cam2", "cam3")]
    truth = [Estimate(rig[name].camera, rig[name].cam_from_cam0) for name in ("cam2", "cam3")]
    told_apart = [replace(stage, scale_px=stage.scale_px + 0.001 * i) for i, stage in enumerate(JOINTLY)]
    scales: list[float] = []

    def count(found: list[Matches], focals_px: list[float], scale_px: float) -> list[Matches]:
        scales.append(scale_px / AGREEMENT)
        return found

    monkeypatch.setattr(refine, "JOINTLY", told_apart)
    monkeypatch.setattr(refine, "FINAL", told_apart[-1])
    monkeypatch.setattr(refine, "agreeing", count)
    fits = refine_jointly(observes, truth, truth, Prior())
    assert sorted(set(scales), reverse=True) == pytest.approx([told_apart[0].scale_px, told_apart[-1].scale_px])
    assert len(fits) == 2


def creeping(remaining: list[float], moves: int) -> tuple[float, float]:
    """What is left of the way after so many steps, plain and accelerated; `remaining` of it after a step, by axis.

    The axes are told apart only by an information in which they are hardly independent.
    """
    generator = np.random.default_rng(3)
    count = len(remaining)
    axes = generator.normal(size=(count, count)) * np.logspace(0, 3, count)  # in units as unlike as metres and pixels
    after = axes.T @ np.diag(remaining) @ np.linalg.inv(axes.T)
    information, goal = np.linalg.inv(axes.T @ axes), axes.T @ np.ones(count)
    plain, place, acceleration = np.zeros(count), np.zeros(count), Acceleration()
    for _ in range(moves):
        plain = plain + (goal - plain) - after @ (goal - plain)
        place = place + acceleration.move((goal - place) - after @ (goal - place), information)
    lengths = [float(np.sqrt(way @ information @ way)) for way in (goal - plain, goal - place, goal)]
    return lengths[0] / lengths[2], lengths[1] / lengths[2]


def test_what_creeps_along_weak_directions_arrives_in_a_few_steps() -> None:
    plain, accelerated = creeping([0.9, 0.8, 0.3, 0.0], 7)
    assert plain > 0.2
    assert accelerated < 1e-5
    plain, accelerated = creeping([0.9, 0.85, 0.8, 0.7, 0.6, 0.4, 0.3, 0.1], 14)  # more axes than steps remembered
    assert plain > 0.08
    assert accelerated < 2e-3


def test_steps_that_grow_on_the_way_are_not_taken_for_a_way_back() -> None:
    acceleration, information = Acceleration(), np.eye(1)
    moves = [acceleration.move(np.array([step]), information)[0] for step in (1.0, 1.1, 1.2, 1.0, 0.5, 0.0)]
    assert min(moves) >= 0  # matches that come into reach pull the harder the nearer they are
    assert max(moves) <= 10
