"""Uphill on the second score, from where a search for matches does not come back."""

from dataclasses import replace

import numpy as np
import pytest

from heatnet.calib.ascent import ascend, directions
from heatnet.calib.config import CalibrationConfig
from heatnet.calib.depth_choice import choose_depth
from heatnet.calib.parameters import Estimate, Prior
from heatnet.calib.refine import Observe
from heatnet.calib.rig import Rig
from heatnet.calib.scene import observer, prepare
from heatnet.calib.uncertainty import AlignmentGrid
from heatnet.calib.views import Views

PRIOR = Prior()


@pytest.fixture(scope="module")
def observe(rig: Rig, views: Views) -> Observe:
    some = replace(views, views=views.views[:3])
    return observer(prepare(some, rig, CalibrationConfig().edges, choose_depth("stereo", some, rig)), "cam2")


def truth_of(rig: Rig) -> Estimate:
    return Estimate(rig["cam2"].camera, rig["cam2"].cam_from_cam0)


@pytest.mark.parametrize("signs", [(1, 1, 1, 1), (-1, 1, -1, 1), (1, -1, -1, -1)])
def test_four_directions_off_by_some_pixels_each_are_climbed_back(
    rig: Rig, observe: Observe, signs: tuple[int, ...]
) -> None:
    truth = truth_of(rig)
    ways = directions(observe(1.0, 1), truth, truth, PRIOR)
    start = truth.moved(2.0 * np.array(signs) @ ways[:4])
    grid = AlignmentGrid.of(rig.rgb_left, truth)
    before, after = (
        np.linalg.norm(grid.displacement(e)[grid.seen], axis=-1).mean()
        for e in (start, ascend(observe, start, truth, PRIOR))
    )
    assert before > 2.5
    assert after < 1.2


def test_directions_move_the_landmarks_by_one_pixel_and_never_the_camera(rig: Rig, observe: Observe) -> None:
    truth, observed = truth_of(rig), observe(1.0, 1)
    ways = directions(observed, truth, truth, PRIOR)
    assert 4 <= len(ways) <= 10
    assert not ways[:, 3:6].any()
    pixels, _ = truth.camera.project(truth.place(observed.points, observed.velocities))
    inside = observed.seen(truth).index
    for way in ways:
        there = truth.moved(1e-3 * way)
        shifted, _ = there.camera.project(there.place(observed.points, observed.velocities))
        moved = ((shifted - pixels)[inside] ** 2).sum(axis=1) * 1e6
        assert np.sqrt(moved.mean()) == pytest.approx(1.0, rel=0.02)
