"""Thermal cameras that see the same landmark check each other."""

from dataclasses import replace

import numpy as np
import pytest

from heatnet.calib.acceleration import Acceleration
from heatnet.calib.config import CalibrationConfig
from heatnet.calib.depth_choice import choose_depth
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.refine import APPROACH, FINAL, Stage, fit
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


def test_what_creeps_along_a_weak_direction_arrives_in_a_few_steps() -> None:
    generator = np.random.default_rng(3)
    axes = np.linalg.qr(generator.normal(size=(4, 4)))[0]
    remaining = axes @ np.diag([0.95, 0.8, 0.3, 0.0]) @ axes.T  # of the way to the goal, after a step
    information, goal = np.eye(4), generator.normal(size=4)
    place, accelerated, acceleration = np.zeros(4), np.zeros(4), Acceleration()
    for _ in range(7):
        place = place + (goal - place) - remaining @ (goal - place)
        step = (goal - accelerated) - remaining @ (goal - accelerated)
        accelerated = accelerated + acceleration.move(step, information)
    assert np.linalg.norm(place - goal) > 0.2 * np.linalg.norm(goal)
    assert np.linalg.norm(accelerated - goal) < 1e-6 * np.linalg.norm(goal)
    assert np.allclose(acceleration.move(np.zeros(4), information), 0, atol=1e-6)  # at rest
