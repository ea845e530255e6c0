"""Search for landmarks in thermal images, across their edges."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.edges import Plane, gradient, noise_of, sample

Array = NDArray[np.float64]
Index = NDArray[np.int64]
GAP = 32  # rows between images: farther than is searched from inside an image
MOST_ROWS = 8_000  # of images asked at once: single precision tells a thousandth of a pixel there
OPTICS_VARIANCE = 0.4  # px squared: a Gaussian of 0.63 px


@dataclass(frozen=True)
class Gradients:
    """Gradients of images of one size, in deviations of their noise; places in all of them are asked at once."""

    sheet: Plane  # (K * height, W, 2) by x and by y: one image below the other, `GAP` rows of nothing after each
    height: int  # rows from one image to the next

    @staticmethod
    def of(x: Plane, y: Plane) -> "Gradients":
        """One image of a gradient (H, W) by x and by y in any unit."""
        return Gradients._of_each([(x, y)], 1, x.shape)

    @staticmethod
    def of_thermal(images: Sequence[NDArray[np.uint16]], sigma_px: float) -> "Gradients":
        """Of raw thermal counts (H, W) under a Gaussian of `sigma_px`, with the blur of ordinary optics taken out.

        Under blur, edges side by side push or pull each other, by tenths of a pixel and all along a street to the same
        side; running the heat equation backwards by one step takes most of that away.
        """
        each = (gradient(_sharper(pixels), sigma_px) for pixels in images)
        return Gradients._of_each(each, len(images), images[0].shape)

    @staticmethod
    def _of_each(each: Iterable[tuple[Plane, Plane]], count: int, shape: tuple[int, ...]) -> "Gradients":
        height = shape[0] + GAP
        sheet = np.zeros((count * height, shape[1], 2), np.float32)
        for first, components in zip(range(0, count * height, height), each, strict=True):
            share = np.float32(1 / noise_of(np.asarray(cv2.magnitude(*components), np.float32)))
            for axis, component in enumerate(components):
                np.multiply(component, share, out=sheet[first : first + shape[0], :, axis])
        return Gradients(sheet, height)

    def at(self, images: Index, places: NDArray[np.floating], interpolation: int = cv2.INTER_LINEAR) -> Plane:
        """Gradient (N, ..., 2) at pixels (N, ..., 2) of the `images` (N,), which must be in order.

        None of the places may lie `GAP` or more above or below its image.
        """
        out = np.empty(places.shape, np.float32)
        together = max(MOST_ROWS // self.height, 1)
        for number in range(0, len(self.sheet) // self.height, together):
            first, last = np.searchsorted(images, [number, number + together])
            shifted = places[first:last].astype(np.float32)
            below = (self.height * (images[first:last] - number)).astype(np.float32)
            shifted[..., 1] += below.reshape(-1, *(1,) * (places.ndim - 2))
            sheet = self.sheet[number * self.height : (number + together) * self.height]
            out[first:last] = sample(sheet, shifted, interpolation)
        return out


def _sharper(pixels: NDArray[np.uint16]) -> Plane:
    counts = pixels.astype(np.float32)
    return np.asarray(counts - np.float32(OPTICS_VARIANCE / 2) * cv2.Laplacian(counts, cv2.CV_32F), np.float32)


@dataclass(frozen=True)
class Search:
    """How far and how strictly is searched."""

    radius_px: float
    least: float = 5.0  # an edge stands this many deviations of the noise out
    rival: float = 0.7  # a second peak this strong makes the first one ambiguous
    cosine: float = 0.9  # of the angle between the edge and the thermal gradient


def search(gradients: Gradients, images: Index, pixels: Array, normals: Array, config: Search) -> tuple[Array, Array]:
    """Offsets (N,) in pixels along `normals` (N, 2) from `pixels` (N, 2) to the thermal edge, NaN where there is none.

    `images` (N,) says in which image, in order. Also returns the strengths (N,) of the edges found.
    """
    step = 0.5 if config.radius_px <= 4 else 1.0
    reach = int(np.ceil(config.radius_px / step)) + 1
    distances: Array = step * np.arange(-reach, reach + 1, dtype=np.float64)
    found = gradients.at(images, _along(pixels, normals, distances[None]))
    across = _component(found, normals)
    peaks = (across[:, 1:-1] > across[:, :-2]) & (across[:, 1:-1] >= across[:, 2:])
    heights = np.where(peaks, across[:, 1:-1], np.float32(0))
    rows = np.arange(len(heights))
    best = np.argmax(heights, axis=1)
    top = heights[rows, best]
    length = np.hypot(*found[rows, best + 1].T)
    clear = np.flatnonzero((top > config.least) & (top > config.cosine * length))
    apart = np.abs(np.arange(heights.shape[1])[None] - best[clear, None]) * step > 1.6
    rival = (heights[clear] * apart).max(axis=1, initial=0.0)
    good = clear[rival < config.rival * top[clear]]
    offsets = np.full(len(pixels), np.nan)
    offsets[good] = _topmost(gradients, images[good], pixels[good], normals[good], distances[best[good] + 1], step)
    return offsets, top


def _topmost(gradients: Gradients, images: Index, pixels: Array, normals: Array, offsets: Array, step: float) -> Array:
    """Offsets (N,) of peaks near `offsets`, between the samples: cubic interpolation, and a parabola through three."""
    around = _along(pixels, normals, offsets[:, None] + step * np.array([-1.0, 0.0, 1.0]))
    before, here, after = _component(gradients.at(images, around, cv2.INTER_CUBIC), normals).T.astype(float)
    bend = before + after - 2 * here
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    return np.asarray(offsets + step * np.clip(shift, -1, 1))


def _along(pixels: Array, normals: Array, distances: Array) -> Plane:
    """Places (N, D, 2) at `distances` (N or 1, D) along `normals` (N, 2) from `pixels` (N, 2)."""
    places = np.empty((len(pixels), distances.shape[1], 2), np.float32)
    for axis in (0, 1):
        places[..., axis] = pixels[:, axis, None] + distances * normals[:, axis, None]
    return places


def _component(found: Plane, normals: Array) -> Plane:
    """Length (N, D) of gradients (N, D, 2) across the edges."""
    across = normals.astype(np.float32)
    return np.abs(found[..., 0] * across[:, :1] + found[..., 1] * across[:, 1:])
