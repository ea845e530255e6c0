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
@pytest.mark.parametrize(
    ("night", "seed"),
    [
        pytest.param(False, 1008, id="wide radii were 2 px wrong"),
        pytest.param(True, 3104, id="a place that only halves of the image let go of was 2 px wrong"),
    ],
)
def test_a_street_that_was_got_wrong_is_got_right(tmp_path: Path, night: bool, seed: int) -> None:
    config = SimulationConfig(frames=6, scale=0.5, seed=seed, night=night)
    simulate(tmp_path, config)
    bag = tmp_path / f"{config.name}.bag"
    rig = read_recorded_rig(tmp_path / "rough_camchain.yaml", bag, ())
    truth = read_recorded_rig(tmp_path / "truth_camchain.yaml", bag, ())
    result = calibrate(load_views([bag], rig), rig)
    for camera in result.cameras:
        assert camera.status == "good"
        assert alignment_error(truth[camera.after.name], camera.after, rig.rgb_left) < 0.5
