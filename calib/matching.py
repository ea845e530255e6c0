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
    distances: Array = step * np.arange(-reach, reach + 1, dtype=np.float64)
    x, y = _along(image, pixels, normals, distances[None], cv2.INTER_LINEAR)
    across = _component(x, y, normals)
    peaks = (across[:, 1:-1] > across[:, :-2]) & (across[:, 1:-1] >= across[:, 2:])
    heights = np.where(peaks, across[:, 1:-1], np.float32(0))
    rows = np.arange(len(heights))
    best = np.argmax(heights, axis=1)
    top = heights[rows, best]
    apart = np.abs(np.arange(heights.shape[1])[None] - best[:, None]) * step > 1.6
    rival = np.where(apart, heights, np.float32(0)).max(axis=1, initial=0.0)
    length = np.hypot(x[rows, best + 1], y[rows, best + 1])
    good = np.flatnonzero((top > config.least) & (rival < config.rival * top) & (top > config.cosine * length))
    offsets = np.full(len(pixels), np.nan)
    offsets[good] = _topmost(image, pixels[good], normals[good], distances[best[good] + 1], step)
    return offsets, top


def _topmost(image: GradientImage, pixels: Array, normals: Array, offsets: Array, step: float) -> Array:
    """Offsets (N,) of peaks near `offsets`, between the samples: cubic interpolation, and a parabola through three."""
    around = offsets[:, None] + step * np.array([-1.0, 0.0, 1.0])
    before, here, after = _component(*_along(image, pixels, normals, around, cv2.INTER_CUBIC), normals).T.astype(float)
    bend = before + after - 2 * here
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    return np.asarray(offsets + step * np.clip(shift, -1, 1))


def _along(
    image: GradientImage, pixels: Array, normals: Array, distances: Array, interpolation: int
) -> tuple[Plane, Plane]:
    """The gradient (N, D) twice at `distances` (N or 1, D) along `normals` (N, 2) from `pixels` (N, 2)."""
    places = np.empty((len(pixels), distances.shape[1], 2), np.float32)
    for axis in (0, 1):
        places[..., axis] = pixels[:, axis, None] + distances * normals[:, axis, None]
    return sample(image.x, places, interpolation), sample(image.y, places, interpolation)


def _component(x: Plane, y: Plane, normals: Array) -> Plane:
    """Length (N, D) of the gradient across the edges."""
    across = normals.astype(np.float32)
    return np.abs(x * across[:, :1] + y * across[:, 1:])
