"""Random variation of frames: geometry as one draw for all images of a frame, colours and counts apart."""

import math
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from heatnet.segmentation.classes import IGNORE
from heatnet.segmentation.config import AugmentConfig
from heatnet.segmentation.frames import Frame

Affine = NDArray[np.float64]
"""(2, 3), target_from_source in pixels; pixel (0, 0) is the centre of the top-left pixel."""


def resize_affine(scale: float) -> Affine:
    """Scale a frame about its top-left corner (which is half a pixel from the first pixel's centre)."""
    shift = (scale - 1) / 2
    return np.array([[scale, 0, shift], [0, scale, shift]])


def draw_affine(
    size: tuple[int, int], crop: tuple[int, int], scale: float, config: AugmentConfig, rng: Generator
) -> Affine:
    """Draw a flip, a rotation, a scale about `scale` and a crop: crop_from_frame for frames of (H, W) `size`."""
    low, high = (math.log(factor) for factor in config.scale)
    scale = scale * math.exp(rng.uniform(low, high))
    angle = rng.uniform(-config.rotation_rad, config.rotation_rad) if rng.random() < config.rotation else 0.0
    sign = -1.0 if rng.random() < config.flip else 1.0
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([sign, 1.0])
    extent = np.array(size[::-1], float)
    reach = np.maximum(extent - np.array(crop[::-1]) / scale, 0) / 2
    centre = (extent - 1) / 2 + rng.uniform(-1, 1, 2) * reach
    target = (np.array(crop[::-1], float) - 1) / 2
    return np.column_stack([linear, target - linear @ centre])


def warp(frame: Frame, crop_from_frame: Affine, size: tuple[int, int]) -> Frame:
    """All images of a frame through one affine map onto (H, W) `size`.

    Outside the frame RGB is black, thermal is not valid and the label is 13. Thermal is valid where all that was mixed
    into the pixel is.
    """
    valid = _warp(frame.valid.view(np.uint8) * np.uint8(255), crop_from_frame, size, cv2.INTER_LINEAR) == 255
    thermal = _warp(frame.thermal, crop_from_frame, size, cv2.INTER_LINEAR)
    return Frame(
        rgb=_warp(frame.rgb, crop_from_frame, size, cv2.INTER_LINEAR),
        thermal=thermal * valid,
        valid=valid,
        label=_warp(frame.label, crop_from_frame, size, cv2.INTER_NEAREST, IGNORE),
        confidence=_warp_confidence(frame.confidence, crop_from_frame, size),
    )


def _warp_confidence(
    confidence: NDArray[np.float32], crop_from_frame: Affine, size: tuple[int, int]
) -> NDArray[np.float32]:
    """Labels by hand are sure everywhere, which needs no warping: beyond the frame there are none."""
    if confidence.min() == 1:
        return np.ones(size, np.float32)
    return _warp(confidence, crop_from_frame, size, cv2.INTER_LINEAR)


def _warp(image: NDArray, crop_from_frame: Affine, size: tuple[int, int], method: int, fill: int = 0) -> NDArray:
    return cv2.warpAffine(
        image, crop_from_frame, size[::-1], flags=method, borderMode=cv2.BORDER_CONSTANT, borderValue=(fill,) * 4
    )


def augment(
    frame: Frame,
    crop: tuple[int, int],
    scale: float,
    config: AugmentConfig,
    rng: Generator,
    by_day: bool,
    style: Frame | None = None,
) -> Frame:
    """A varied crop of `frame`. Only frames by day are made night-like, take the `style` of a night or lose thermal.

    By night thermal is what counts.
    """
    frame = warp(frame, draw_affine(frame.label.shape, crop, scale, config, rng), crop)
    rgb, thermal, valid = frame.rgb, frame.thermal, frame.valid
    dark = by_day and rng.random() < config.night_like + config.night_style
    styled = dark and style is not None and rng.random() < config.night_style / (config.night_like + config.night_style)
    if styled and style is not None:
        rgb, thermal = like(rgb, style.rgb), thermal_like(thermal, valid, style)
    if rng.random() < config.colour:
        rgb = vary_colour(rgb, rng)
    if dark and not styled:
        rgb = night_like(rgb, rng)
    thermal = vary_thermal(thermal, valid, config, rng)
    if rng.random() < config.rectangle:
        rgb, thermal, valid = drop_rectangle(rgb, thermal, valid, rng)
    missing = rng.random()
    if missing < config.drop_rgb:
        rgb = np.zeros_like(rgb)
    elif by_day and not dark and missing < config.drop_rgb + config.drop_thermal:
        thermal, valid = np.zeros_like(thermal), np.zeros_like(valid)
    return replace(frame, rgb=rgb, thermal=thermal, valid=valid)


def like(rgb: NDArray[np.uint8], style: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`rgb` with each colour's values exchanged for those of `style` of the same rank; (H, W, 3), any two sizes."""
    own, other = np.ascontiguousarray(rgb[::2, ::2]), np.ascontiguousarray(style[::4, ::4])  # ranks need no more
    tables = [_ranked(own[..., colour], other[..., colour]) for colour in range(3)]
    return cv2.LUT(rgb, np.stack(tables, axis=-1)[None]).astype(np.uint8, copy=False)


def _ranked(values: NDArray[np.uint8], style: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A table (256,) of what each value becomes."""
    own, other = (np.cumsum(np.bincount(image.ravel(), minlength=256)) / image.size for image in (values, style))
    return np.searchsorted(other, own - 1e-9).clip(0, 255).astype(np.uint8)


def thermal_like(thermal: NDArray[np.float32], valid: NDArray[np.bool_], style: Frame) -> NDArray[np.float32]:
    """As `like` for thermal, over the pixels that are covered; unchanged where there are none."""
    own, other = (image[::4, ::4][known[::4, ::4]] for image, known in ((thermal, valid), (style.thermal, style.valid)))
    if not own.size or not other.size:
        return thermal
    ranks = np.linspace(0, 1, 65)
    own, other = (np.sort(seen)[np.rint(ranks * (seen.size - 1)).astype(int)] for seen in (own, other))
    return np.where(valid, np.interp(thermal, own, other).astype(np.float32), np.float32(0))


def vary_colour(rgb: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """Brightness, contrast, saturation and white balance drawn at random; (H, W, 3) uint8 in and out."""
    saturation = rng.uniform(0.4, 1.5)
    colours = saturation * np.eye(3) + (1 - saturation) / 3
    contrast, brightness = rng.uniform(0.6, 1.4), rng.uniform(-40, 40)
    linear = contrast * np.diag(rng.uniform(0.85, 1.15, 3)) @ colours
    shift = np.full(3, 128 * (1 - contrast) + brightness)
    return cv2.transform(rgb, np.column_stack([linear, shift])).astype(np.uint8, copy=False)


def night_like(rgb: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """A day image as a camera at night might have it: dark, flat shadows, noise, a yellow cast, a few bright lamps."""
    gain = 255 * math.exp(rng.uniform(math.log(0.03), math.log(0.6)))
    curve = gain * np.linspace(0, 1, 256) ** rng.uniform(1.0, 2.5)
    tint = np.array([1.0, rng.uniform(0.7, 1.0), rng.uniform(0.45, 1.0)])
    image = cv2.LUT(rgb, (curve[:, None] * tint)[None].astype(np.float32))
    noise = _noise(image.shape, rng) * np.float32(255 * rng.uniform(0.005, 0.06))
    return np.clip(image + noise + _lamps(rgb.shape[0], rgb.shape[1], rng), 0, 255).astype(np.uint8)


def _noise(shape: tuple[int, ...], rng: Generator) -> NDArray[np.float32]:
    """Normal noise of variance 1: a random piece of what was drawn once, which takes a hundredth of the time."""
    count = math.prod(shape)
    drawn = _drawn(count)
    first = int(rng.integers(0, len(drawn) - count + 1))
    return drawn[first : first + count].reshape(shape)


@lru_cache(maxsize=4)
def _drawn(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(count + (1 << 19), dtype=np.float32)


def _lamps(height: int, width: int, rng: Generator) -> NDArray[np.float32]:
    """Round glows of lamps at random places: (H, W, 3), 0 to 255 and beyond."""
    count = int(rng.integers(0, 5))
    radius = np.exp(rng.uniform(math.log(0.01), math.log(0.12), (count, 1))) * width
    rows, columns = (
        np.exp(-((np.arange(length) - rng.uniform(0, length, (count, 1))) ** 2) / (2 * radius**2)).astype(np.float32)
        for length in (height, width)
    )
    tint = np.array([1, rng.uniform(0.7, 1), rng.uniform(0.4, 1)]) * rng.uniform(80, 300, (count, 1))
    coloured = (columns[..., None] * tint[:, None].astype(np.float32)).reshape(count, 3 * width)
    return (rows.T @ coloured).reshape(height, width, 3)


def vary_thermal(
    thermal: NDArray[np.float32], valid: NDArray[np.bool_], config: AugmentConfig, rng: Generator
) -> NDArray[np.float32]:
    """Curve, contrast, level and noise drawn at random; still within [-1, 1] and 0 where not valid."""
    if not valid.any():
        return thermal
    exponent = math.exp(rng.uniform(-config.thermal_gamma, config.thermal_gamma))
    curved = 2 * cv2.pow((thermal + 1) / 2, exponent) - 1
    mean, spread = (float(value[0, 0]) for value in cv2.meanStdDev(curved, mask=valid.view(np.uint8)))
    gain = math.exp(rng.uniform(-config.thermal_gain, config.thermal_gain))
    level = mean + rng.uniform(-config.thermal_offset, config.thermal_offset) * spread
    noise = _noise(thermal.shape, rng) * np.float32(config.thermal_noise * spread)
    sign = -1 if rng.random() < config.thermal_invert else 1
    varied = (curved - np.float32(mean)) * np.float32(sign * gain) + np.float32(level) + noise
    return np.minimum(np.maximum(varied, np.float32(-1)), np.float32(1)) * valid


def drop_rectangle(
    rgb: NDArray[np.uint8], thermal: NDArray[np.float32], valid: NDArray[np.bool_], rng: Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """Take RGB or thermal away in a random rectangle: what remains must do."""
    height, width = valid.shape
    tall, wide = (int(rng.uniform(0.2, 0.6) * extent) for extent in (height, width))
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    area = np.s_[top : top + tall, left : left + wide]
    if rng.random() < 0.5:
        rgb = rgb.copy()
        rgb[area] = 0
        return rgb, thermal, valid
    thermal, valid = thermal.copy(), valid.copy()
    thermal[area], valid[area] = 0, False
    return rgb, thermal, valid
