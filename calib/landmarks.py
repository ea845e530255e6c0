"""Edge points of the left RGB image with depth: what is looked for in the thermal images."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.depth import DepthImage
from heatnet.calib.edges import EdgePoints
from heatnet.calib.rig import RigCamera

Array = NDArray[np.float64]
BESIDE_PX = (4.0, 7.0)  # how far beside an edge its two sides are asked for their depth
ALONG_PX = 2.0
JUMP = 0.04  # sides whose depths at the edge differ by this share belong to two surfaces
FLAT = 0.01  # share by which the two sides of a plane may seem to bend at the edge
ALIKE = 0.08  # share by which depths on one side of an edge differ at most


@dataclass(frozen=True)
class Landmarks:
    """Points on edges in the frame of the left RGB camera (cam0), at the stamp of their key frame."""

    points: Array  # (N, 3) metres
    along: Array  # (N, 3) a second point of the same edge nearby
    pixels: Array  # (N, 2) in the raw left image
    strengths: Array  # (N,)
    outline: NDArray[np.bool_]  # (N,) on the outline of something nearer than what is behind
    doubt: Array  # (N,) share by which the depth may well be wrong; 0 where nothing speaks against it

    def __len__(self) -> int:
        return len(self.points)

    def pick(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "Landmarks":
        """The landmarks that `index` selects."""
        return Landmarks(*(getattr(self, f.name)[index] for f in fields(self)))


def place_edges(edges: EdgePoints, left: RigCamera, depth: DepthImage) -> Landmarks:
    """Give edges (N) of the raw left image their depth; those without any are left out.

    At an occlusion the edge belongs to the nearer side; elsewhere, as in the crease of two walls, it lies on both.
    """
    rays, found = left.camera.unproject(edges.pixels)
    tangents = edges.normals[:, ::-1] * np.array([1.0, -1.0])
    along, also = left.camera.unproject(edges.pixels + ALONG_PX * tangents)
    (minus, at_minus), (plus, at_plus) = (_side_depth(edges, left, depth, sign) for sign in (-1.0, 1.0))
    nearer, farther = np.fmin(at_minus, at_plus), np.fmax(at_minus, at_plus)
    good = found & also & np.isfinite(nearer)
    cam0 = left.cam_from_cam0.inverse()
    with np.errstate(invalid="ignore"):
        near, far = np.fmin(minus, plus), np.fmax(minus, plus)
        outline = (farther > nearer * (1 + JUMP)) & (far > near * (1 + JUMP))
        crease, plane = _halfway(nearer, farther), _halfway(near, far)
        middle = np.where(np.abs(plane / crease - 1) < FLAT, plane, crease)  # going on from noise makes more of it
    z = np.where(outline, nearer, middle)[:, None]
    points, beside = cam0.apply(rays * z), cam0.apply(along * z)
    return Landmarks(points, beside, edges.pixels, edges.strengths, outline, np.zeros(len(points))).pick(good)


def _halfway(nearer: Array, farther: Array) -> Array:
    """The depth (N,) between two in disparity, which is linear on a plane."""
    return 2 / (1 / nearer + 1 / farther)


def _side_depth(edges: EdgePoints, left: RigCamera, depth: DepthImage, sign: float) -> tuple[Array, Array]:
    """Depth (N,) beside the edges on one side, and at which that surface, gone on evenly, meets them (N,).

    A house front seen at a slant is farther at its end than a few pixels before.
    """
    samples = []
    for distance in BESIDE_PX:
        rays, found = left.camera.unproject(edges.pixels + sign * distance * edges.normals)
        samples.append(np.where(found, depth.sample(rays), np.nan))
    first, second = samples
    beside = np.where(np.isfinite(first), first, second)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (1 / first - 1 / second) / (BESIDE_PX[1] - BESIDE_PX[0])
        reached = 1 / (1 / first + slope * BESIDE_PX[0])
        even = (np.abs(first / second - 1) < ALIKE) & (np.abs(reached / first - 1) < ALIKE)
    return beside, np.where(even, reached, beside)
