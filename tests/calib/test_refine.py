"""Thermal cameras that see the same landmark check each other."""

import numpy as np

from heatnet.calib.solve import Matches, agreeing


def matches(numbers: list[int], residuals: list[float]) -> Matches:
    """Matches of some landmarks, all else alike."""
    count = len(numbers)
    ones, flat = np.ones(count), np.zeros((count, 2))
    views = np.zeros(count, np.int64)
    return Matches(np.array(residuals), flat, flat, flat, ones, views, ones, np.array(numbers), tried=count)


def test_a_landmark_that_cameras_find_at_different_offsets_loses_its_weight() -> None:
    left = matches([0, 1, 2, 2, 5], [0.2, 0.3, -0.1, -0.1, 0.4])
    right = matches([5, 2, 1, 7], [0.4, -0.1, -0.9, 2.0])
    first, second = agreeing([left, right], 0.3)
    assert np.allclose(first.worth[[0, 2, 3, 4]], 1)  # seen once, or alike in both cameras
    assert np.allclose(second.worth[[0, 1, 3]], 1)
    assert first.worth[1] < 0.01
    assert second.worth[2] < 0.01


def test_one_camera_alone_has_none_to_agree_with() -> None:
    alone = matches([0, 1], [0.5, -2.0])
    assert np.allclose(agreeing([alone], 0.3)[0].worth, 1)
