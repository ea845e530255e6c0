"""Edges of an image to a fraction of a pixel.

Gradient maxima along the gradient (Canny 1986) with a parabola through the three magnitudes across the edge.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Plane = NDArray[np.float32]
# Between linear sensors (1) and images encoded for displays (2.2); an edge is 0.1 px off at the wrong end.
LIGHT: Plane = (np.arange(256) ** 1.5).astype(np.float32)[None]
ROWS = 16  # of an image at a time, which stay in the processor's cache
MOST_COLUMNS = 1 << 14  # of what remap makes: it takes fewer than 32767
CLIPPED = 250  # a value from which on the sensor may have been saturated
CLIPPED_REACH_PX = 4  # edges this near to saturated pixels are those of the glare


@dataclass(frozen=True)
class EdgeConfig:
    """Where edges are looked for and how many are kept."""

    sigma_px: float = 1.6  # blur of the RGB image: about what the thermal optics do at half the resolution
    noise_multiple: float = 4.0  # an edge stands this many noise deviations out of the gradient
    cell_px: int = 96  # the strongest of every cell are kept, so that no part of the image dominates
    per_cell: int = 60
    spacing_px: int = 5  # one edge point a little square: neighbours say the same


@dataclass(frozen=True)
class EdgePoints:
    """Edge points of one image."""

    pixels: Array  # (N, 2)
    normals: Array  # (N, 2) unit vectors across the edge
    strengths: Array  # (N,) gradient over the noise of the gradient

    def __len__(self) -> int:
        return len(self.pixels)

    def pick(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "EdgePoints":
        """The points that `index` selects."""
        return EdgePoints(self.pixels[index], self.normals[index], self.strengths[index])


def gradient(image: Plane, sigma_px: float) -> tuple[Plane, Plane]:
    """Derivatives by x and y (H, W) or (H, W, C) of an image of that shape under a Gaussian of `sigma_px`."""
    blurred = cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)
    x = cv2.Sobel(blurred, cv2.CV_32F, 1, 0, ksize=3, scale=0.125, borderType=cv2.BORDER_REPLICATE)
    y = cv2.Sobel(blurred, cv2.CV_32F, 0, 1, ksize=3, scale=0.125, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def colour_gradient(rgb: NDArray[np.uint8], sigma_px: float) -> tuple[Plane, Plane]:
    """Gradient (H, W) twice of an image (H, W, 3): the channels added up, each turned to the side of the strongest.

    Green counts twice: red and blue together have as many samples under a Bayer pattern, and it takes all three to know
    where an edge is between the samples. Values count as light: blurred by a lens and then encoded for display, the
    steepest place of an edge lies on its dark side.
    """
    by_x, by_y = gradient(np.asarray(cv2.LUT(rgb, LIGHT), np.float32), sigma_px)
    total_x, total_y = np.empty(rgb.shape[:2], np.float32), np.empty(rgb.shape[:2], np.float32)
    for first in range(0, len(rgb), ROWS):
        rows = slice(first, first + ROWS)
        total_x[rows], total_y[rows] = _added_up(by_x[rows], by_y[rows])
    return total_x, total_y


def _added_up(by_x: Plane, by_y: Plane) -> tuple[Plane, Plane]:
    """Gradient (H, W) twice of the gradients (H, W, 3) of the channels."""
    planes = [(by_x[..., c].copy(), by_y[..., c].copy()) for c in range(3)]
    for plane in planes[1]:
        plane *= 2
    lengths = [x * x + y * y for x, y in planes]
    red, green = lengths[0] >= lengths[2], lengths[1] >= np.maximum(lengths[0], lengths[2])
    chosen = [np.where(green, planes[1][i], np.where(red, planes[0][i], planes[2][i])) for i in range(2)]
    total_x, total_y = np.zeros_like(lengths[0]), np.zeros_like(lengths[0])
    for x, y in planes:
        side = np.copysign(np.float32(1), x * chosen[0] + y * chosen[1])
        total_x += side * x
        total_y += side * y
    return total_x, total_y


def noise_of(magnitude: Plane) -> float:
    """Deviation of one gradient component where nothing but noise is, from the flattest quarter of the pixels.

    Without those that are perfectly flat: they are saturated, or black.
    """
    some = magnitude[::3, ::3]
    some = some[some > 1e-6]
    quarter = float(np.partition(some, len(some) // 4)[len(some) // 4]) if some.size else 0.0
    return max(quarter / 0.76, 1e-6)  # the lower quartile of a Rayleigh distribution is 0.76 deviations


def find_edges(rgb: NDArray[np.uint8], config: EdgeConfig) -> EdgePoints:
    """Edge points of an image (H, W, 3), spread over it."""
    x, y = colour_gradient(rgb, config.sigma_px)
    magnitude = np.asarray(cv2.magnitude(x, y), np.float32)
    noise = noise_of(magnitude)
    rows, columns = np.nonzero(_candidates(magnitude, config.noise_multiple * noise) & ~_glaring(rgb))
    points = _refine(x, y, magnitude, rows, columns)
    points = EdgePoints(points.pixels, points.normals, points.strengths / noise)
    points = points.pick(_strongest_a_cell(points, config.spacing_px, 1))
    return points.pick(_strongest_a_cell(points, config.cell_px, config.per_cell))


def _glaring(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels (H, W) at or beside saturated ones: lamps and lit windows by night, the sun."""
    size = 2 * CLIPPED_REACH_PX + 1
    clipped = (cv2.max(cv2.max(rgb[..., 0], rgb[..., 1]), rgb[..., 2]) >= CLIPPED).astype(np.uint8)
    return np.asarray(cv2.dilate(clipped, np.ones((size, size), np.uint8)), dtype=np.bool_)


def _candidates(magnitude: Plane, threshold: float) -> NDArray[np.bool_]:
    """Pixels above the threshold and not below both neighbours along either axis; the image's border is left out."""
    centre = magnitude[1:-1, 1:-1]
    beside = (centre >= magnitude[1:-1, :-2]) & (centre >= magnitude[1:-1, 2:])
    above = (centre >= magnitude[:-2, 1:-1]) & (centre >= magnitude[2:, 1:-1])
    chosen = np.zeros(magnitude.shape, dtype=np.bool_)
    chosen[8:-8, 8:-8] = ((centre > threshold) & (beside | above))[7:-7, 7:-7]
    return chosen


def _refine(x: Plane, y: Plane, magnitude: Plane, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> EdgePoints:
    """The maxima across the edge among the candidates, moved to the top of the parabola."""
    pixels = np.stack([columns, rows], 1).astype(np.float64)
    middle = magnitude[rows, columns].astype(np.float64)
    normals = np.stack([x[rows, columns], y[rows, columns]], 1) / middle[:, None]
    ahead, behind = (sample(magnitude, pixels + side * normals) for side in (1.0, -1.0))
    bend = ahead + behind - 2 * middle
    top = (middle >= ahead) & (middle >= behind) & (bend < 0)
    offset = np.where(top, 0.5 * (behind - ahead) / np.where(bend < 0, bend, -1.0), 0.0)
    found = EdgePoints(pixels + offset[:, None] * normals, normals, middle)
    return found.pick(top)


def _strongest_a_cell(points: EdgePoints, cell_px: int, count: int) -> NDArray[np.int64]:
    """Indices of the `count` strongest points of every square of `cell_px`."""
    cells = np.floor(points.pixels / cell_px).astype(np.int64)
    key = cells[:, 1] * 100_000 + cells[:, 0]
    order = np.lexsort((-points.strengths, key))
    _, starts, sizes = np.unique(key[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(starts, sizes)
    return np.sort(order[rank < count])


def sample(plane: Plane, pixels: NDArray[np.floating], interpolation: int = cv2.INTER_LINEAR) -> Plane:
    """Values (...) or (..., C) of an image (H, W) or (H, W, C) at pixels (..., 2), between them; 0 outside."""
    shape = (*pixels.shape[:-1], *plane.shape[2:])
    count = int(np.prod(pixels.shape[:-1]))
    lines = -(-count // MOST_COLUMNS) or 1
    columns = -(-count // lines) or 1
    places = np.empty((2, lines * columns), dtype=np.float32)
    places[:, :count] = pixels.reshape(-1, 2).T
    places[:, count:] = -10
    u, v = places.reshape(2, lines, columns)
    values = cv2.remap(plane, u, v, interpolation, borderMode=cv2.BORDER_CONSTANT, borderValue=0.0)
    return np.asarray(values, dtype=np.float32).reshape(-1, *plane.shape[2:])[:count].reshape(shape)
