"""Triangles with inverse depth drawn into an image: the nearest surface wins."""

import itertools

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SIZES_PX = (0, 2, 4, 8, 16, 32, 64)  # triangles are drawn by classes of size; larger ones are no surface that was seen
CHUNK_PIXELS = 1 << 21


def rasterise(pixels: Array, inverse_m: Array, triangles: NDArray[np.int64], resolution: tuple[int, int]) -> Array:
    """Inverse depth (H, W) of triangles (M, 3) between `pixels` (N, 2); 0 where there is none.

    `inverse_m` is (N,), or (M, 3) for the corners of each triangle. On a plane it is linear in the image, so it is
    interpolated in between without an error.
    """
    corners = pixels[triangles]
    values = inverse_m[triangles] if inverse_m.ndim == 1 else inverse_m
    width, height = resolution
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    low = np.maximum(np.ceil(np.minimum(np.minimum(a, b), c)), 0).astype(np.int64)
    high = np.minimum(np.floor(np.maximum(np.maximum(a, b), c)), [width - 1, height - 1]).astype(np.int64)
    extent = high - low + 1  # pixels across and down; none where the triangle lies between pixels or outside
    plane = np.zeros(height * width)
    steps = list(itertools.pairwise(SIZES_PX))
    for (fewer_x, most_x), (fewer_y, most_y) in itertools.product(steps, steps):
        fits = (extent > [fewer_x, fewer_y]) & (extent <= [most_x, most_y])
        members = np.flatnonzero(fits[:, 0] & fits[:, 1])
        for chunk in np.array_split(members, -(-len(members) * most_x * most_y // CHUNK_PIXELS) or 1):
            box = np.stack(np.meshgrid(np.arange(most_x), np.arange(most_y)), -1).reshape(-1, 2)
            _draw(plane, corners[chunk], values[chunk], low[chunk], box, resolution)
    return plane.reshape(height, width)


def _draw(
    plane: Array,
    corners: Array,
    values: Array,
    low: NDArray[np.int64],
    box: NDArray[np.int64],
    resolution: tuple[int, int],
) -> None:
    """Draw triangles (M) whose pixels lie in a `box` (S, 2) of steps from their `low` corners (M, 2)."""
    first, p, q = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        area = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])[:, None]
        gradients = np.stack([q[:, ::-1] / area, p[:, ::-1] / area], 1) * [[1.0, -1.0], [-1.0, 1.0]]  # (M, 2, 2)
        shares = np.einsum("mij,mj->mi", gradients, low - first)[:, :, None] + gradients @ box.T  # (M, 2, S)
        second, third = shares[:, 0], shares[:, 1]
        inside = (second >= 0) & (third >= 0) & (second + third <= 1)
    which, step = np.nonzero(inside)
    columns, rows = (low[which] + box[step]).T
    kept = (columns < resolution[0]) & (rows < resolution[1])
    which, step, place = which[kept], step[kept], (rows * resolution[0] + columns)[kept]
    a, b, c = values[which].T
    np.maximum.at(plane, place, a + (b - a) * second[which, step] + (c - a) * third[which, step])
