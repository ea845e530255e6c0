"""Outlines of depth lie where those of the picture are."""

import numpy as np
import pytest

from heatnet.dataset_tools.filling import filled_depth
from heatnet.dataset_tools.outlines import sharpened

NEAR, FAR = np.float32(1 / 4), np.float32(1 / 20)


def pole(left: int, right: int, shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    """Which pixels (H, W) lie on an upright pole between two columns."""
    return np.broadcast_to((np.arange(shape[1]) >= left) & (np.arange(shape[1]) < right), shape)


def picture(mask: np.ndarray, noise: float = 1.0) -> np.ndarray:
    """A dark thing before something bright, with the noise of a camera."""
    grey = np.where(mask, 60, 160)[..., None] + np.random.default_rng(2).normal(0, noise, (*mask.shape, 3))
    return np.clip(grey, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("off", [(-2, 2), (-2, 0), (0, -2), (2, 2), (2, -2)])
def test_an_outline_some_pixels_off_comes_to_that_of_the_picture(off: tuple[int, int]) -> None:
    true = pole(36, 46)
    matched = np.where(pole(36 + off[0], 46 + off[1]), NEAR, FAR)
    sharp = sharpened(matched, picture(true))
    before, after = (~np.isclose(depth, np.where(true, NEAR, FAR), atol=1e-4) for depth in (matched, sharp))
    assert after.mean() < 0.1 * before.mean()


def test_of_what_was_smoothed_nothing_stays_between_near_and_far() -> None:
    true = pole(30, 50)
    share = np.clip((np.arange(80) - 27) / 6, 0, 1) * np.clip((53 - np.arange(80)) / 6, 0, 1)
    smooth = np.broadcast_to(FAR + (NEAR - FAR) * share.astype(np.float32), true.shape).copy()
    sharp = sharpened(smooth, picture(true))
    assert np.abs(sharp - np.where(true, NEAR, FAR)).max() < 0.02


def test_filled_depth_has_no_ramps_beside_what_is_near() -> None:
    true = pole(30, 50)
    known = np.where(true, NEAR, FAR)
    known[:, 27:32] = np.nan
    filled = 1 / filled_depth(known, picture(true))
    assert (np.minimum(np.abs(filled - NEAR), np.abs(filled - FAR)) < 0.02).mean() > 0.99


def test_a_surface_stays_as_it_is_whatever_is_painted_on_it() -> None:
    slanted = np.linspace(0.05, 0.2, 80, dtype=np.float32)[None].repeat(60, axis=0)
    np.testing.assert_array_equal(sharpened(slanted, picture(pole(36, 46))), slanted)


def test_a_pixel_like_nothing_around_stays() -> None:
    guide = picture(pole(36, 46), noise=0)
    guide[30, 37] = 255, 0, 255
    sharp = sharpened(np.where(pole(36, 40), NEAR, FAR), guide)
    assert sharp[30, 37] == NEAR


def test_what_is_sure_is_no_reflection() -> None:
    gate = pole(33, 47) & pole(23, 37, (80, 60)).T
    known = np.where(gate, FAR, NEAR)
    blank = np.full((60, 80, 3), 128, np.uint8)
    unsure, sure = (1 / filled_depth(known, blank, sure=mask)[gate] for mask in (None, gate))
    assert np.isclose(sure, FAR, atol=0.01).mean() > 0.9 and not np.isclose(unsure, FAR, atol=0.01).any()


def test_what_is_sure_is_not_smoothed_where_depth_steps() -> None:
    known = np.where(pole(0, 40), NEAR, FAR)
    blank = np.full((60, 80, 3), 128, np.uint8)
    unsure, sure = (1 / filled_depth(known, blank, sure=mask) for mask in (None, np.ones(known.shape, bool)))
    beside = (np.abs(np.arange(80) - 39.5) > 1) & (np.abs(np.arange(80) - 39.5) < 5)
    assert np.allclose(sure[:, beside], known[:, beside], atol=1e-4)
    assert np.abs(unsure - known)[:, beside].mean() > 0.01
