"""Augmentation moves all images of a frame alike and never invents labels."""

from dataclasses import replace

import numpy as np
import pytest
from segmentation_toys import PLAIN

from heatnet.segmentation.augment import augment, draw_affine, drop_rectangle, night_like, resize_affine, warp
from heatnet.segmentation.config import AugmentConfig
from heatnet.segmentation.frames import Frame, normalise_thermal


def coded_frame(height: int = 60, width: int = 80) -> Frame:
    """All images tell the same: one of four quadrants (1 to 4)."""
    rows, columns = np.mgrid[:height, :width]
    code = (1 + (rows >= height // 2) + 2 * (columns >= width // 2)).astype(np.uint8)
    return Frame(
        rgb=np.repeat(code[..., None] * 50, 3, axis=2),
        thermal=code.astype(np.float32) / 5,
        valid=np.ones((height, width), bool),
        label=code,
        confidence=code.astype(np.float32) / 5,
    )


def test_rotation_fills_label_corners_with_ignore_and_thermal_with_not_valid() -> None:
    config = replace(PLAIN, rotation=1, rotation_rad=0.35, flip=0, scale=(1, 1))
    filled = 0
    for seed in range(5):
        turned = augment(coded_frame(), (60, 80), 1.0, config, np.random.default_rng(seed), by_day=False)
        assert set(np.unique(turned.label)) <= {1, 2, 3, 4, 13}
        outside = turned.label == 13
        filled += outside.sum()
        assert not (turned.rgb[outside].max(initial=0) > 200) and not turned.thermal[~turned.valid].any()
        assert (turned.valid & outside).sum() == 0 or (turned.valid & outside).mean() < 0.01
    assert filled > 200


def test_geometry_is_one_draw_for_all_images() -> None:
    for seed in range(20):
        moved = augment(coded_frame(), (48, 64), 0.8, PLAIN, np.random.default_rng(seed), by_day=False)
        inside = moved.valid & (moved.label != 13)
        inner = inside & (np.abs(moved.thermal * 5 - moved.label) < 0.01)  # off the borders between quadrants
        assert inner.sum() > 0.85 * inside.sum()
        assert np.abs(moved.rgb[inner].astype(int) - 50 * moved.label[inner][:, None]).max() <= 3
        assert np.allclose(moved.confidence[inner] * 5, moved.label[inner], atol=0.05)


def test_flips_happen_and_keep_labels_on_their_images() -> None:
    config = replace(PLAIN, rotation=0, flip=1, scale=(1, 1))
    moved = augment(coded_frame(), (60, 80), 1.0, config, np.random.default_rng(0), by_day=False)
    assert np.array_equal(moved.label, coded_frame().label[:, ::-1])
    assert np.array_equal(moved.rgb, coded_frame().rgb[:, ::-1])


def test_without_rotation_a_crop_lies_within_the_frame() -> None:
    config = replace(PLAIN, rotation=0)
    for seed in range(20):
        affine = draw_affine((60, 80), (32, 32), 1.0, config, np.random.default_rng(seed))
        crop = warp(coded_frame(), affine, (32, 32))
        assert (crop.label == 13).sum() == 0


def test_halving_averages_blocks_of_four_pixels() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (8, 12, 3)).astype(np.uint8)
    frame = replace(coded_frame(8, 12), rgb=rgb)
    half = warp(frame, resize_affine(0.5), (4, 6)).rgb
    mean = rgb.reshape(4, 2, 6, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - mean).max() <= 1


def test_thermal_next_to_missing_coverage_is_not_mixed_with_it() -> None:
    frame = coded_frame()
    valid = np.ones_like(frame.valid)
    valid[:, :30] = False
    frame = replace(frame, valid=valid, thermal=np.where(valid, np.float32(0.6), np.float32(0)))
    moved = warp(frame, draw_affine((60, 80), (48, 64), 1.3, PLAIN, np.random.default_rng(3)), (48, 64))
    assert np.allclose(moved.thermal[moved.valid], 0.6, atol=0.005)
    assert not moved.thermal[~moved.valid].any()


def test_the_same_seed_gives_the_same_frame() -> None:
    first, second = (
        augment(coded_frame(), (48, 64), 1.0, AugmentConfig(), np.random.default_rng(7), by_day=True) for _ in range(2)
    )
    for name, value in vars(first).items():
        assert np.array_equal(value, getattr(second, name)), name


def test_night_like_images_are_dark() -> None:
    bright = np.full((60, 80, 3), 180, np.uint8)
    means = [night_like(bright, np.random.default_rng(seed)).mean() for seed in range(20)]
    assert np.median(means) < 60


def test_thermal_stays_in_range_and_zero_where_not_valid() -> None:
    frame = coded_frame()
    valid = frame.label != 2
    frame = replace(frame, valid=valid, thermal=np.where(valid, frame.thermal, 0).astype(np.float32))
    for seed in range(10):
        varied = augment(frame, (48, 64), 1.0, AugmentConfig(), np.random.default_rng(seed), by_day=True)
        assert np.abs(varied.thermal).max() <= 1 and not varied.thermal[~varied.valid].any()
        assert np.isfinite(varied.thermal).all()


def test_a_dropped_rectangle_takes_one_modality_and_leaves_the_original_untouched() -> None:
    frame = coded_frame()
    kinds = set()
    for seed in range(20):
        rgb, _, valid = drop_rectangle(frame.rgb, frame.thermal, frame.valid, np.random.default_rng(seed))
        lost_rgb, lost_thermal = bool((rgb == 0).any()), bool((~valid).any())
        assert lost_rgb != lost_thermal
        kinds.add(lost_rgb)
    assert kinds == {True, False} and frame.valid.all() and frame.rgb.min() == 50


@pytest.mark.parametrize("thermal_range", [(21800.0, 25000.0), (0.0, 255.0)])
def test_thermal_is_clipped_to_its_range_and_scaled_to_one(thermal_range: tuple[float, float]) -> None:
    low, high = thermal_range
    counts = np.array([[low - 10, low, (low + high) / 2, high, high + 10, high]]).clip(0).astype(np.uint16)
    valid = np.array([[1, 1, 1, 1, 1, 0]], np.uint8)
    scaled = normalise_thermal(counts, valid, thermal_range)
    assert scaled.dtype == np.float32
    assert np.allclose(scaled, [[-1, -1, 0, 1, 1, 0]], atol=0.01)


def test_thermal_that_is_not_a_number_becomes_the_middle() -> None:
    assert normalise_thermal(np.array([[np.nan]]), np.ones((1, 1)), (0.0, 255.0)).tolist() == [[0.0]]
