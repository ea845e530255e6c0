"""Depth of an edge from the edge itself: found again in the right RGB image.

Window matching, as stereo does it, blends the depths of both sides of an edge and locks on whole pixels; the edge
itself is known to a few hundredths of a pixel in both images, and both err alike.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.edges import EdgeConfig, colour_gradient
from heatnet.calib.landmarks import Landmarks
from heatnet.calib.matching import Gradients, Search, search
from heatnet.calib.rig import RigCamera

Array = NDArray[np.float64]
RADII_PX = (3.0, 1.0)  # of the search, one a round
LEAST_SINE = 0.4  # between an edge and its epipolar line: edges along it tell nothing about depth
ALIKE = 2.0  # the two edges' strengths differ at most by this factor
STEP = 0.01  # share of the depth by which the derivative is taken
LARGEST_CHANGE = 0.3  # share of the depth a round
NOT_FOUND = 0.05  # share by which depth may well be wrong where an edge is not found again


@dataclass(frozen=True)
class _Prediction:
    """Where landmarks lie in the right image."""

    pixels: Array  # (N, 2)
    normals: Array  # (N, 2) unit vectors to the side that is brighter in the left image
    by_nearness: Array  # (N, 2) derivative of the pixels by the logarithm of the inverse depth
    seen: NDArray[np.bool_]  # (N,)

    @property
    def across(self) -> Array:
        """How far (N,) in pixels across the edge the logarithm of the inverse depth moves it."""
        return np.einsum("ni,ni->n", self.by_nearness, self.normals)

    @property
    def tells(self) -> NDArray[np.bool_]:
        """Which (N,) tell about depth: inside the image, and not along their epipolar line."""
        return np.asarray(self.seen & (np.abs(self.across) > LEAST_SINE * np.hypot(*self.by_nearness.T)))


def sharpen_depth(
    landmarks: Landmarks, left: RigCamera, right: RigCamera, right_rgb: NDArray[np.uint8], config: EdgeConfig
) -> tuple[Landmarks, float]:
    """The landmarks with the depth at which their edges lie on those of the right raw image (H, W, 3).

    Edges along their epipolar line, and those outside the right image, keep their depth. Others that are not found
    again keep it too, but it is doubted: that of one in ten belongs to another surface. Also returns by how many pixels
    of the right image the edges are found nearer than they were (median): more than a fraction of one where the depth
    comes from elsewhere and one of the calibrations is off.
    """
    image = Gradients.of(*colour_gradient(right_rgb, config.sigma_px))
    points, along = left.cam_from_cam0.apply(landmarks.points), left.cam_from_cam0.apply(landmarks.along)
    factors = np.ones(len(landmarks))
    found = telling = np.ones(len(landmarks), dtype=np.bool_)
    shift = 0.0
    for radius in RADII_PX:
        prediction = _predict(points * factors[:, None], along * factors[:, None], left, right)
        change = _nearer_by(prediction, image, landmarks.strengths, radius)
        found, telling = found & np.isfinite(change), prediction.tells
        if found.any():
            shift += float(np.median((change * np.hypot(*prediction.by_nearness.T))[found]))
        factors /= 1 + np.clip(np.where(found, change, 0.0), -LARGEST_CHANGE, LARGEST_CHANGE)
    factors = np.where(found, factors, 1.0)[:, None]
    cam0 = left.cam_from_cam0.inverse()
    points, along = cam0.apply(points * factors), cam0.apply(along * factors)
    doubt = np.where(telling & ~found, NOT_FOUND, landmarks.doubt)
    return replace(landmarks, points=points, along=along, doubt=doubt), shift


def _predict(points: Array, along: Array, left: RigCamera, right: RigCamera) -> _Prediction:
    """Of points (N, 3) and second points of their edges, in the left camera."""
    right_from_left = right.cam_from_cam0 @ left.cam_from_cam0.inverse()
    pixels, real = right.camera.project(right_from_left.apply(points))
    beside, also = right.camera.project(right_from_left.apply(along))
    farther, _ = right.camera.project(right_from_left.apply(points * (1 + STEP)))
    tangents = beside - pixels
    length = np.hypot(*tangents.T)
    normals = tangents[:, ::-1] * np.array([-1.0, 1.0]) / np.maximum(length, 1e-9)[:, None]
    seen = real & also & right.camera.sees(pixels, 5.0) & (length > 1e-6)
    return _Prediction(pixels, normals, (pixels - farther) / STEP, seen)


def _nearer_by(prediction: _Prediction, image: Gradients, strengths: Array, radius_px: float) -> Array:
    """By which share (N,) the inverse depth grows for the edges to meet, NaN where they do not."""
    index = np.flatnonzero(prediction.tells)
    pixels, normals = prediction.pixels[index], prediction.normals[index]
    alone = np.zeros(len(index), np.int64)
    offsets, tops = search(image, alone, pixels, normals, Search(radius_px))
    places = np.where(np.isfinite(offsets)[:, None], pixels + offsets[:, None] * normals, 0.0)
    signed = (image.at(alone, places) * normals).sum(axis=1)
    ratio = tops / np.maximum(strengths[index], 1e-9)
    good = (signed > 0) & (ratio > 1 / ALIKE) & (ratio < ALIKE)
    change = np.full(len(prediction.pixels), np.nan)
    change[index[good]] = offsets[good] / prediction.across[index[good]]
    return change
