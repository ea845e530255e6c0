"""Which neighbouring measurements of a depth sensor lie on one surface.

Measurements are joined to triangles by the direction in which the sensor saw them (Delaunay). A triangle is a surface
where its depths are alike, or where it goes on in the plane of its neighbour, like a road seen at a grazing angle; else
it spans the jump between something near and what is behind.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Triangles = NDArray[np.int64]
ALIKE = 0.06  # share by which the ranges of one triangle differ at most
COPLANAR = 0.03  # share by which a neighbour's plane may miss the third corner
WIDE = 4.0  # longer than this many usual sides is no neighbourhood
SPAN, STRIP = 4096.0, 64.0  # of the square that measurements are joined in, and of a strip of it
FAR = 1 << 20  # as good as nowhere, seen from that square: OpenCV encloses it with corners farther out


@dataclass(frozen=True)
class Mesh:
    """Triangles between measurements."""

    surfaces: Triangles  # (M, 3)
    jumps: Triangles  # (K, 3)


def join(directions: Array, inverse_m: Array) -> Mesh:
    """Mesh of measurements seen at `directions` (N, 2) (angles or pixels) with inverse ranges (N,)."""
    corners, across = triangulate(directions)
    if not len(corners):
        return Mesh(corners, corners)
    places, values = directions[corners], inverse_m[corners]
    sides = _largest(np.linalg.norm(places - np.roll(places, 1, axis=1), axis=2))
    near = sides <= WIDE * np.median(sides)
    alike = _largest(values) <= -_largest(-values) * (1 + ALIKE)
    surface = alike | _continued(directions, inverse_m, corners, across)
    return Mesh(corners[near & surface], corners[near & ~surface])


def triangulate(directions: Array) -> tuple[Triangles, Triangles]:
    """Corners (M, 3) of Delaunay's triangles, and which triangle (M, 3) lies opposite each corner, -1 where none.

    OpenCV looks for the place of a measurement from the one before: told strip by strip it takes a tenth of the time
    of Qhull.
    """
    nothing = np.zeros((0, 3), np.int64)
    if len(directions) < 3:
        return nothing, nothing
    low, high = directions.min(axis=0), directions.max(axis=0)
    places = ((directions - low) * (SPAN / max(float((high - low).max()), 1e-12))).astype(np.float32)
    strip = (places[:, 0] // STRIP).astype(np.int64)
    order = np.lexsort((np.where(strip % 2, -places[:, 1], places[:, 1]), strip))  # up one strip, down the next
    net = cv2.Subdiv2D((-FAR, -FAR, 2 * FAR, 2 * FAR))
    net.insert(places[order])
    keys = places.view(np.uint64).ravel()
    order = np.argsort(keys)
    found = np.ascontiguousarray(net.getTriangleList(), np.float32).reshape(-1).view(np.uint64)
    corners = order[np.searchsorted(keys[order], found)].reshape(-1, 3)
    return corners, _across(corners, len(directions))


def _across(corners: Triangles, count: int) -> Triangles:
    """Which other triangle (M, 3) has the side opposite each corner too, -1 where none; of `count` measurements."""
    first, second = np.roll(corners, -1, axis=1).ravel(), np.roll(corners, 1, axis=1).ravel()
    sides = np.minimum(first, second) * count + np.maximum(first, second)
    order = np.argsort(sides)
    twice = np.flatnonzero(sides[order[1:]] == sides[order[:-1]])
    one, other = order[twice], order[twice + 1]
    across = np.full(len(sides), -1, np.int64)
    across[one], across[other] = other // 3, one // 3
    return across.reshape(-1, 3)


def _largest(values: Array) -> Array:
    """The largest (M,) of each three (M, 3), column by column: much faster than along so short an axis."""
    return np.maximum(np.maximum(values[:, 0], values[:, 1]), values[:, 2])


def _continued(directions: Array, inverse_m: Array, corners: Triangles, across: Triangles) -> NDArray[np.bool_]:
    """Which triangles (M,) lie in the plane of the neighbour with which they share their most even side.

    A strip of triangles over a jump is a plane in itself; only the neighbour behind an even side tells.
    """
    values = inverse_m[corners]
    unevenness = np.abs(np.roll(values, -1, axis=1) - np.roll(values, 1, axis=1))  # of the side opposite each corner
    opposite = np.argmin(unevenness, axis=1)
    rows = np.arange(len(corners))
    neighbour = across[rows, opposite]
    gradient, origin = _planes(directions, inverse_m, corners[neighbour])
    apex = corners[rows, opposite]
    first = corners[neighbour, 0]
    predicted = origin + np.einsum("mi,mi->m", gradient, directions[apex] - directions[first])
    return np.asarray((neighbour >= 0) & (np.abs(predicted - inverse_m[apex]) <= COPLANAR * inverse_m[apex]))


def _planes(directions: Array, inverse_m: Array, corners: Triangles) -> tuple[Array, Array]:
    """Gradient (M, 2) of the inverse range over each triangle, and its value (M,) at the first corner."""
    a, b, c = (directions[corners[:, i]] for i in range(3))
    wa, wb, wc = (inverse_m[corners[:, i]] for i in range(3))
    p, q = b - a, c - a
    area = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        x = ((wb - wa) * q[:, 1] - (wc - wa) * p[:, 1]) / area
        y = ((wc - wa) * p[:, 0] - (wb - wa) * q[:, 0]) / area
    return np.nan_to_num(np.stack([x, y], 1), posinf=0.0, neginf=0.0), wa
