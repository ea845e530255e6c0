"""Depth of the grid's pixels from the RGB pair.

Thermal stands much nearer to the left RGB camera than the right one does: what a disparity is off counts a sixth in
thermal. So a quarter of the pixels and half of the disparities do (semi-global matching, Hirschmueller 2008), and
a mosaic gives its greys without being made colours first.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.depth import StereoDepth
from heatnet.calib.rig import RigCamera
from heatnet.dataset_tools.projecting import Map, grid_rays
from heatnet.dataset_tools.recording.pixels import Mosaic
from heatnet.errors import DatasetError

WORKING_WIDTH = 480  # of the whole left image
NEAREST_M = 2.0
MOST_DISPARITIES = 4096
BORDER_PX = 6  # raw rows at either end: half a block of the matcher
LEAST_DISPARITY_PX = 0.125  # below, depth is not known at all
BLOCK_PX, SPECKLE_PX = 3, 20
SLACK, SLACK_PX = 1.3, 2  # how much wider a hole may be than what the right camera does not see beside an outline


@dataclass(frozen=True)
class GridStereo:
    """Matches the images of one pair, as much of them as the grid needs; where each pixel comes from is known before.

    Raises CalibrationError where the right camera does not sit to the right of the left one, DatasetError where they
    are too far apart for their focal length.
    """

    left: RigCamera
    right: RigCamera
    grid: Camera
    _disparities: int = field(init=False, repr=False)
    _box: int = field(init=False, repr=False)  # raw pixels to a matched one
    _maps: tuple[tuple[Map, Map], ...] = field(init=False, repr=False)  # of the shrunk left and right image
    _border: NDArray[np.bool_] = field(init=False, repr=False)  # rectified pixels at which one of the images ends
    _places: tuple[Map, Map] = field(init=False, repr=False)  # columns and rows (H, W) of the disparities
    _inverse: Map = field(init=False, repr=False)  # (H, W) inverse depth of a disparity of one

    def __post_init__(self) -> None:
        pair = StereoDepth(self.left, self.right)
        turn = pair.left_from_rectified.rotation
        width = self.left.camera.resolution[0]
        box = max(1, round(width / WORKING_WIDTH))
        focal = float(self.left.camera.intrinsics[0]) * min(1.0, WORKING_WIDTH / width)
        disparities = 16 * int(np.ceil(focal * pair.baseline_m / NEAREST_M / 16))
        if disparities > MOST_DISPARITIES:
            raise DatasetError(
                f"{self.left.topic} and {self.right.topic}, {pair.baseline_m:g} m apart, focal length {focal:g} "
                f"px at {WORKING_WIDTH} px of width: {disparities} disparities, {MOST_DISPARITIES} at most for stereo"
            )
        rays = grid_rays(self.grid).T @ turn.astype(np.float32)
        pixels = rays[:, :2] / rays[:, 2:] * np.float32(focal)
        low, high = np.floor(pixels.min(axis=0)) - BLOCK_PX, np.ceil(pixels.max(axis=0)) + BLOCK_PX
        # The matcher leaves as many columns at the left empty as it tries disparities: they are rendered to be lost.
        x, y = np.meshgrid(np.arange(low[0] - disparities, high[0] + 1), np.arange(low[1], high[1] + 1))
        rectified = np.stack([x.ravel() / focal, y.ravel() / focal, np.ones(x.size)], 1)
        maps, border = [], np.zeros(x.shape, np.bool_)
        for camera in (self.left, self.right):
            rotation = camera.cam_from_cam0.rotation @ self.left.cam_from_cam0.rotation.T @ turn
            places, real = camera.camera.project(rectified @ rotation.T)
            rows = places[:, 1].reshape(x.shape)
            border |= (rows < BORDER_PX) | (rows > camera.camera.resolution[1] - 1 - BORDER_PX)
            shrunk = np.where(real[:, None], (places + 0.5) / box - 0.5, -1.0).astype(np.float32)
            maps.append(tuple(shrunk.T.reshape(2, *x.shape)))
        shape = self.grid.resolution[::-1]
        for name, value in (
            ("_disparities", disparities),
            ("_box", box),
            ("_maps", tuple(maps)),
            ("_border", border[:, disparities:]),
            ("_places", tuple((pixels - low).astype(np.float32).T.reshape(2, *shape))),
            ("_inverse", (rays[:, 2] / np.float32(focal * pair.baseline_m)).reshape(shape)),
        ):
            object.__setattr__(self, name, value)

    def inverse_depth(self, left: NDArray[np.uint8] | Mosaic, right: NDArray[np.uint8] | Mosaic) -> Map:
        """Inverse depth z (H, W) in the left camera frame of a pair of raw images, NaN where unknown.

        What only the left camera sees, beside something near, is as far as what is behind.
        """
        images = (_grey(image, self._box) for image in (left, right))
        pair = (cv2.remap(i, *m, cv2.INTER_LINEAR) for i, m in zip(images, self._maps, strict=True))
        matcher = cv2.StereoSGBM.create(
            minDisparity=0,
            numDisparities=self._disparities,
            blockSize=BLOCK_PX,
            P1=8 * BLOCK_PX**2,
            P2=32 * BLOCK_PX**2,
            disp12MaxDiff=1,  # the left-right check
            uniquenessRatio=5,
            speckleWindowSize=SPECKLE_PX,
            speckleRange=2,
            mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
        )
        matched = matcher.compute(*pair)[:, self._disparities :]
        disparity = np.asarray(matched, np.float32) / np.float32(16)
        disparity = _background_filled(disparity, disparity >= LEAST_DISPARITY_PX)
        disparity[self._border] = 0
        found = np.asarray(cv2.remap(disparity, *self._places, cv2.INTER_NEAREST), np.float32)
        return np.where(found >= LEAST_DISPARITY_PX, found * self._inverse, np.float32(np.nan))


def _background_filled(disparity: Map, known: NDArray[np.bool_]) -> Map:
    """Holes as wide as the step between their two ends take the farther end's disparity."""
    width = disparity.shape[1]
    columns = np.broadcast_to(np.arange(width, dtype=np.int32), disparity.shape)
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    rows, holes = np.nonzero(~known & (before >= 0) & (after < width))
    first, last = before[rows, holes], after[rows, holes]
    left, right = disparity[rows, first], disparity[rows, last]
    seen_by_one = last - first - 1 <= SLACK * np.abs(left - right) + SLACK_PX
    filled = disparity.copy()
    filled[rows[seen_by_one], holes[seen_by_one]] = np.minimum(left, right)[seen_by_one]
    return filled


def _grey(image: NDArray[np.uint8] | Mosaic, box: int) -> NDArray[np.uint8]:
    """Means over boxes of `box` pixels squared; even boxes of a mosaic hold all its colours alike."""
    if isinstance(image, Mosaic):
        grey = image.pixels if box % 2 == 0 else cv2.cvtColor(image.rgb(), cv2.COLOR_RGB2GRAY)
    else:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = (side // box for side in grey.shape)
    small = cv2.resize(grey[: height * box, : width * box], (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
