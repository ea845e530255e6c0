"""Every camera model is estimated: thermal and RGB with radtan with k3, equidistant or no distortion."""

from dataclasses import replace

import calib_corridor
import numpy as np
import pytest
from calib_corridor import Corridor, alignment_error, rough, true_rig

from heatnet.calib.camera import Camera
from heatnet.calib.pipeline import calibrate
from heatnet.calib.rig import Rig

LENSES = {
    "radtan": ("radtan", [-0.4, 0.2, 0.0005, -0.0003, -0.05]),
    "equidistant": ("equidistant", [-0.03, 0.01, -0.004, 0.001]),
    "none": ("none", []),
}


def with_lenses(rgb: str, thermal: str) -> Rig:
    rig = true_rig()
    for entry in rig.cameras:
        model, coefficients = LENSES[thermal if entry.thermal else rgb]
        old = entry.camera
        lens = Camera(model, old.intrinsics, np.array(coefficients), old.resolution)  # type: ignore[arg-type]
        rig = rig.with_camera(replace(entry, camera=lens))
    return rig


@pytest.mark.parametrize(
    ("rgb", "thermal"),
    [
        ("none", "equidistant"),
        pytest.param("equidistant", "radtan", marks=pytest.mark.slow),
        pytest.param("equidistant", "none", marks=pytest.mark.slow),
    ],
)
def test_thermal_cameras_of_every_model_are_recovered(rgb: str, thermal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = with_lenses(rgb, thermal)
    monkeypatch.setattr(calib_corridor, "true_rig", lambda: truth)
    calib_corridor.rays_of.cache_clear()
    try:
        views = Corridor(truth, frames=3).views()
    finally:
        calib_corridor.rays_of.cache_clear()
    guess = rough(truth, (2.0, -2.5, 1.5), 0.93)
    for entry in guess.thermal:  # as many coefficients are estimated as the rig file has
        lens = replace(entry.camera, distortion=np.zeros(len(LENSES[thermal][1])))
        guess = guess.with_camera(replace(entry, camera=lens))
    result = calibrate(views, guess)
    for found in result.cameras:
        name = found.after.name
        assert found.after.camera.model == thermal
        assert len(found.after.camera.distortion) == len(LENSES[thermal][1])
        assert alignment_error(truth[name], found.before, truth.rgb_left) > 8
        assert alignment_error(truth[name], found.after, truth.rgb_left) < 0.3
