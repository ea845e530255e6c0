"""Which neighbouring measurements of a depth sensor lie on one surface.

Measurements are joined to triangles by the direction in which the sensor saw them (Delaunay). A triangle is a surface
where its depths are alike, or where it goes on in the plane of its neighbour, like a road seen at a grazing angle; else
it spans the jump between something near and what is behind.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, QhullError

Array = NDArray[np.float64]
Triangles = NDArray[np.int64]
ALIKE = 0.06  # share by which the ranges of one triangle differ at most
COPLANAR = 0.03  # share by which a neighbour's plane may miss the third corner
WIDE = 4.0  # longer than this many usual sides is no neighbourhood


@dataclass(frozen=True)
class Mesh:
    """Triangles between measurements."""

    surfaces: Triangles  # (M, 3)
    jumps: Triangles  # (K, 3)


def join(directions: Array, inverse_m: Array) -> Mesh:
    """Mesh of measurements seen at `directions` (N, 2) (angles or pixels) with inverse ranges (N,)."""
    nothing = np.zeros((0, 3), np.int64)
    if len(directions) < 4:
        return Mesh(nothing, nothing)
    try:
        net = Delaunay(directions)
    except QhullError:  # all in one line
        return Mesh(nothing, nothing)
    corners, across = np.asarray(net.simplices, np.int64), np.asarray(net.neighbors, np.int64)
    places, values = directions[corners], inverse_m[corners]
    sides = _largest(np.linalg.norm(places - np.roll(places, 1, axis=1), axis=2))
    near = sides <= WIDE * np.median(sides)
    alike = _largest(values) <= -_largest(-values) * (1 + ALIKE)
    surface = alike | _continued(directions, inverse_m, corners, across)
    return Mesh(corners[near & surface], corners[near & ~surface])


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
