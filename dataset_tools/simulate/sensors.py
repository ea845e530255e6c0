"""Optics and sensors: what becomes of radiance on its way to numbers."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
GAMMA = 1 / 2.2
FULL_WELL = 9000.0  # electrons at full scale
READ_NOISE = 6.0  # electrons
THERMAL_BLUR_PX = 0.75
NETD_COUNTS = 2.6  # about 50 mK
THERMAL_RANGE = (16_000, 40_000)


@dataclass(frozen=True)
class ColourSensor:
    """Exposure and gain of one colour camera over a whole recording."""

    exposure: float  # radiance to full scale
    gain: float  # amplification of the noise: 1 by day
    glare: float  # share of the light that optics scatter about bright things

    def develop(self, radiance: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
        """8-bit RGB (H, W, 3) of linear radiance: lens blur, glare, vignette, shot and read noise, gamma."""
        light = cv2.GaussianBlur(radiance, (0, 0), 0.45) * np.float32(self.exposure)
        light = light + self.glare * (_glow(light) - light)
        light *= _vignette(light.shape[0], light.shape[1])[..., None]
        deviation = np.sqrt(np.maximum(light, 0) * self.gain / FULL_WELL + (self.gain * READ_NOISE / FULL_WELL) ** 2)
        light += deviation * rng.standard_normal(light.shape, np.float32)
        np.clip(light, 0, 1, out=light)
        return np.floor(255 * light**GAMMA + 0.5).astype(np.uint8)


@dataclass(frozen=True)
class ThermalSensor:
    """One thermal camera: its fixed pattern stays through a recording."""

    pattern: Floats  # (H, W) counts

    @staticmethod
    def make(size: tuple[int, int], rng: np.random.Generator) -> "ThermalSensor":
        """A sensor of width and height: pixel and column offsets, and a faint image of its own warmth."""
        width, height = size
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        own = 6 * (x * x + y * y) - 9 * np.exp(-((x - 0.05) ** 2 + y * y) / 0.08)
        pattern = own + 1.3 * rng.standard_normal((height, width)) + 1.6 * rng.standard_normal((1, width))
        return ThermalSensor(pattern.astype(np.float32))

    def develop(self, counts: Floats, blur_px: float, rng: np.random.Generator) -> NDArray[np.uint16]:
        """Raw counts (H, W): optics blur, fixed pattern, drift and noise."""
        image = cv2.GaussianBlur(counts, (0, 0), blur_px)
        image = image + self.pattern + np.float32(rng.normal(0, 2.0))
        image += NETD_COUNTS * rng.standard_normal(image.shape, np.float32)
        return np.clip(np.floor(image + 0.5), *THERMAL_RANGE).astype(np.uint16)


def colour_sensor(night: bool, mean_light: float) -> ColourSensor:
    """Automatic exposure for a scene's mean radiance; by night it gives up early and noise shows."""
    if night:
        return ColourSensor(float(np.clip(0.05 / max(mean_light, 1e-4), 0.8, 6.0)), 14.0, 0.05)
    return ColourSensor(float(np.clip(0.23 / max(mean_light, 1e-3), 0.2, 3.0)), 1.0, 0.015)


def mosaic(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The bayer_bggr8 raw image (H, W): blue at (0, 0), red at (1, 1)."""
    raw = rgb[..., 1].copy()
    raw[0::2, 0::2] = rgb[0::2, 0::2, 2]
    raw[1::2, 1::2] = rgb[1::2, 1::2, 0]
    return raw


def _glow(light: Floats) -> Floats:
    """Light scattered widely: a blur at an eighth of the size."""
    height, width = light.shape[:2]
    small = cv2.resize(np.minimum(light, 40), (max(1, width // 8), max(1, height // 8)), interpolation=cv2.INTER_AREA)
    wide = 0.6 * cv2.GaussianBlur(small, (0, 0), 1.5) + 0.4 * cv2.GaussianBlur(small, (0, 0), 8)
    return np.asarray(cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _vignette(height: int, width: int) -> Floats:
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return (1 - 0.16 * (x * x) - 0.03 * y * y).astype(np.float32)
