"""Parameters of a thermal camera: derivatives, steps and priors."""

import numpy as np
import pytest

from heatnet.calib.camera import Camera
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.rigid import Rigid, rotation_exp

MODELS = {"radtan": [-0.4, 0.18, 0.002, 0.0004], "equidistant": [-0.03, 0.01, -0.004, 0.001], "none": []}


def estimate(model: str) -> Estimate:
    camera = Camera(model, np.array([508.0, 505.0, 318.0, 250.0]), np.array(MODELS[model]), (640, 512))  # type: ignore[arg-type]
    pose = Rigid(rotation_exp(np.array([0.02, -0.03, 0.01])), np.array([-0.07, 0.01, 0.02]))
    return Estimate(camera, pose, 0.004)


def scene() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    points = np.concatenate([generator.uniform(-3, 3, (50, 2)), generator.uniform(6, 40, (50, 1))], 1)
    return points, generator.normal(0, 5, (50, 3))


@pytest.mark.parametrize("model", MODELS)
def test_the_jacobian_agrees_with_differences(model: str) -> None:
    here, (points, velocities), h = estimate(model), scene(), 1e-6
    columns = []
    for step in h * np.eye(len(here.names)):
        more, less = here.moved(step), here.moved(-step)
        ahead, behind = (e.camera.project(e.place(points, velocities))[0] for e in (more, less))
        columns.append((ahead - behind) / (2 * h))
    jacobian = here.jacobian(here.place(points, velocities), velocities)
    expected = np.stack(columns, -1)
    assert np.allclose(jacobian, expected, rtol=1e-4, atol=1e-3)


def test_a_small_step_is_the_difference_it_makes() -> None:
    here = estimate("radtan")
    step = 1e-4 * np.random.default_rng(2).normal(size=len(here.names))
    assert np.allclose(here.moved(step).difference(here), step, atol=1e-7)


def test_turning_the_camera_leaves_its_centre_and_its_translation_prior_alone() -> None:
    here = estimate("radtan")
    turn = np.zeros(len(here.names))
    turn[:3] = 0.05, -0.1, 0.02
    turned = here.moved(turn)
    assert np.allclose(turned.cam_from_cam0.inverse().translation, here.cam_from_cam0.inverse().translation)
    assert np.allclose(turned.difference(here)[3:6], 0, atol=1e-12)


def test_the_prior_takes_a_common_focal_length_lightly_and_a_difference_of_both_hard() -> None:
    here, prior = estimate("radtan"), Prior()
    rows = prior.rows(here)
    cost = {}
    for name, change in (("both", (20.0, 20.0)), ("apart", (20.0, -20.0))):
        step = np.zeros(len(here.names))
        step[6:8] = change
        cost[name] = float(np.sum((rows @ step) ** 2))
    assert cost["both"] < 0.2
    assert cost["apart"] > 50
