"""Cameras of few pixels are searched as narrowly in angle as those of many."""

from pathlib import Path

import numpy as np
import pytest
from calib_corridor import alignment_error

from heatnet.calib.pipeline import calibrate
from heatnet.calib.refine import APPROACH
from heatnet.dataset_tools.recording import read_recorded_rig
from heatnet.dataset_tools.simulate import SimulationConfig, simulate
from heatnet.dataset_tools.views import load_views


def test_a_radius_is_an_angle_down_to_what_an_edge_needs() -> None:
    stage = APPROACH
    half = stage.at(255.0)
    assert np.isclose(half.radius_px, stage.radius_px / 2) and np.isclose(half.scale_px, stage.scale_px / 2)
    assert stage.at(1000.0) == stage
    assert stage.at(10.0).radius_px == 2.0


@pytest.mark.slow
def test_a_street_that_wide_radii_get_wrong_by_two_pixels_is_got_right(tmp_path: Path) -> None:
    simulate(tmp_path, SimulationConfig(frames=6, scale=0.5, seed=1008))
    rig = read_recorded_rig(tmp_path / "rough_camchain.yaml", tmp_path / "day.bag", ())
    truth = read_recorded_rig(tmp_path / "truth_camchain.yaml", tmp_path / "day.bag", ())
    result = calibrate(load_views([tmp_path / "day.bag"], rig), rig)
    for camera in result.cameras:
        assert camera.status == "good"
        assert alignment_error(truth[camera.after.name], camera.after, rig.rgb_left) < 0.5
