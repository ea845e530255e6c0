"""The grid of the wide search reaches the lenses that a guess may stand for."""

from dataclasses import replace

import numpy as np
import pytest

from heatnet.calib.camera import Camera
from heatnet.calib.coarse import CoarseConfig, cameras_tried, lens

CONFIG = CoarseConfig()


def nearest_step(guess: Camera, true: Camera) -> float:
    """How far, as a share, the focal length of the best camera tried with about this distortion is from the truth."""
    alike = [c for c in cameras_tried(guess, CONFIG) if abs(c.distortion[0] - true.distortion[0]) < 0.08]
    return min(abs(c.intrinsics[0] / true.intrinsics[0] - 1) for c in alike)


@pytest.mark.parametrize("k1", [0.0, -0.15, -0.3, -0.4])
def test_a_field_of_view_without_distortion_reaches_the_true_focal_length(k1: float) -> None:
    true = lens(Camera("radtan", np.array([510.0, 510.0, 320.0, 256.0]), np.zeros(4), (640, 512)), k1)
    rays, _ = true.unproject(np.array([[0.0, 256.0]]))
    focal = 320.0 / abs(rays[0, 0])  # what the datasheet's view would mean without distortion
    guess = replace(true, intrinsics=np.array([focal, focal, 319.5, 255.5]), distortion=np.zeros(4))
    assert nearest_step(guess, true) < 0.03


@pytest.mark.parametrize("off", [-0.15, 0.15])
def test_a_focal_length_some_percent_off_is_reached_whatever_the_lens(off: float) -> None:
    for k1 in CONFIG.radial:
        true = lens(Camera("radtan", np.array([510.0, 510.0, 320.0, 256.0]), np.zeros(4), (640, 512)), k1)
        guess = replace(true, intrinsics=true.intrinsics * [1 + off, 1 + off, 1, 1], distortion=np.zeros(4))
        assert nearest_step(guess, true) < 0.03


def test_a_known_distortion_is_the_only_one_tried() -> None:
    known = lens(Camera("radtan", np.array([510.0, 510.0, 320.0, 256.0]), np.zeros(4), (640, 512)), -0.4)
    tried = cameras_tried(known, CONFIG)
    assert len(tried) == len(CONFIG.focal_steps)
    assert all(np.array_equal(c.distortion, known.distortion) for c in tried)


@pytest.mark.parametrize("across", [0.0, -200.0, 700.0])
def test_a_centre_at_or_beside_the_border_is_searched_like_any(across: float) -> None:
    camera = Camera("radtan", np.array([510.0, 510.0, across, 256.0]), np.zeros(4), (640, 512))
    assert all(np.isfinite(c.intrinsics).all() for c in cameras_tried(camera, CONFIG))


def test_a_distortion_that_no_lens_has_is_not_believed() -> None:
    folding = Camera("radtan", np.array([510.0, 510.0, 320.0, 256.0]), np.array([-0.5, -0.1, 0, 0]), (640, 512))
    assert folding.rayless_share() > 0.05
    tried = {float(c.distortion[0]) for c in cameras_tried(folding, CONFIG)}
    assert tried == set(CONFIG.radial)
    assert lens(folding, -0.45).rayless_share() == 0
