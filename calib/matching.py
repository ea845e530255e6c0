"""Search for landmarks in thermal images, across their edges."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.edges import Plane, gradient, noise_of, sample

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
OPTICS_VARIANCE = 0.4  # px squared: a Gaussian of 0.63 px


@dataclass(frozen=True)
class GradientImage:
    """Gradient (H, W) by x and by y of an image, in deviations of its noise."""

    x: Plane
    y: Plane

    @staticmethod
    def of_thermal(pixels: NDArray[np.uint16], sigma_px: float) -> "GradientImage":
        """Of raw thermal counts (H, W) under a Gaussian of `sigma_px`, with the blur of ordinary optics taken out.

        Under blur, edges side by side push or pull each other, by tenths of a pixel and all along a street to the same
        side; running the heat equation backwards by one step takes most of that away.
        """
        counts = pixels.astype(np.float32)
        x, y = gradient(counts - np.float32(OPTICS_VARIANCE / 2) * cv2.Laplacian(counts, cv2.CV_32F), sigma_px)
        noise = np.float32(noise_of(np.hypot(x, y)))
        return GradientImage(x / noise, y / noise)


@dataclass(frozen=True)
class Search:
    """How far and how strictly is searched."""

    radius_px: float
    least: float = 5.0  # an edge stands this many deviations of the noise out
    rival: float = 0.7  # a second peak this strong makes the first one ambiguous
    cosine: float = 0.9  # of the angle between the edge and the thermal gradient


def search(image: GradientImage, pixels: Array, normals: Array, config: Search) -> tuple[Array, Array]:
    """Offsets (N,) in pixels along `normals` (N, 2) from `pixels` (N, 2) to the thermal edge, NaN where there is none.

    Also returns the strengths (N,) of the edges found.
    """
    step = 0.5 if config.radius_px <= 8 else 1.0
    reach = int(np.ceil(config.radius_px / step)) + 1
    distances = step * np.arange(-reach, reach + 1)
    across_x, across_y = normals.astype(np.float32).T[:, :, None]
    places = np.empty((len(pixels), len(distances), 2), np.float32)
    places[..., 0] = pixels[:, :1] + distances * across_x
    places[..., 1] = pixels[:, 1:] + distances * across_y
    x, y = sample(image.x, places, cv2.INTER_CUBIC), sample(image.y, places, cv2.INTER_CUBIC)
    across = np.abs(x * across_x + y * across_y)
    peaks = np.zeros(across.shape, dtype=np.bool_)
    peaks[:, 1:-1] = (across[:, 1:-1] > across[:, :-2]) & (across[:, 1:-1] >= across[:, 2:])
    heights = np.where(peaks, across, 0.0)
    best = np.argmax(heights, axis=1)
    rows = np.arange(len(best))
    top = heights[rows, best]
    apart = np.abs(np.arange(across.shape[1])[None] - best[:, None]) * step > 1.6
    rival = np.where(apart, heights, 0.0).max(axis=1, initial=0.0)
    length = np.hypot(x[rows, best], y[rows, best])
    good = (top > config.least) & (rival < config.rival * top) & (top > config.cosine * length)
    offset = distances[best] + step * _parabola(across.astype(np.float64), rows, best)
    return np.where(good, offset, np.nan), top


def _parabola(values: Array, rows: NDArray[np.int64], best: NDArray[np.int64]) -> Array:
    """Where between its neighbours, in samples, the parabola through each maximum has its top."""
    middle = np.clip(best, 1, values.shape[1] - 2)
    before, here, after = (values[rows, middle + side] for side in (-1, 0, 1))
    bend = before + after - 2 * here
    return np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
