"""Depth of the left RGB image from its stereo pair.

Semi-global matching (Hirschmueller 2008, OpenCV's StereoSGBM) on images rectified with maps of our own:
OpenCV 4 and 5 differ in what their stereoRectify accepts, and the maps are three lines.
"""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.rig import RigCamera
from heatnet.calib.rigid import Rigid
from heatnet.errors import CalibrationError

Array = NDArray[np.float64]
Image = NDArray[np.uint8]
Map = NDArray[np.float32]
WORKING_WIDTH = 960  # half of the 1920 px of the rigs this was made for: a quarter of the time, depth as good
NEAREST_M = 3.0
LEAST_DISPARITY_PX = 0.25  # below, depth is not known at all
BLOCK_PX = 5


@dataclass(frozen=True)
class DepthImage:
    """Depth along the optical axis of the rectified left camera."""

    camera: Camera  # pinhole without distortion
    left_from_rectified: Rigid  # a pure rotation
    depth_m: NDArray[np.float32]  # (H, W), NaN where unknown

    def sample(self, rays: Array) -> Array:
        """Depth z (N,) in metres in the left camera frame along rays (N, 3) of that frame; NaN where unknown.

        The nearest pixel speaks: between the depths of two surfaces there is none.
        """
        places, inside, z = _nearest(self.camera, self.left_from_rectified, rays)
        along = np.where(inside, self.depth_m.reshape(-1)[places], np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            return along / z * rays[:, 2]


@dataclass(frozen=True)
class Resampling:
    """Depth images of one rectified camera as another one at the same place has them; worked out once for all."""

    camera: Camera
    _places: NDArray[np.int64]  # (H * W,) of the pixels in the other image, row by row
    _share: NDArray[np.float32]  # (H * W,) of the depth there that it is here, NaN where the other image sees nothing

    @staticmethod
    def of(source: Camera, left_from_rectified: Rigid, camera: Camera) -> "Resampling":
        """From `source` to `camera`, which looks straight ahead in the left camera frame."""
        width, height = camera.resolution
        pixels = np.stack(np.meshgrid(np.arange(float(width)), np.arange(float(height))), -1).reshape(-1, 2)
        rays = camera.unproject(pixels)[0]
        places, inside, z = _nearest(source, left_from_rectified, rays)
        share = np.where(inside, rays[:, 2] / z, np.nan)
        return Resampling(camera, places, share.astype(np.float32))

    def of_depth(self, depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """Depth (H, W), NaN where unknown, of the source's (h, w): the nearest pixel's."""
        width, height = self.camera.resolution
        return np.asarray((depth_m.reshape(-1)[self._places] * self._share).reshape(height, width), np.float32)


def _nearest(
    camera: Camera, left_from_rectified: Rigid, rays: Array
) -> tuple[NDArray[np.int64], NDArray[np.bool_], Array]:
    """The pixel (N,), counted row by row, that is nearest to each ray (N, 3) of the left camera, whether the image has
    one (0 where not), and the ray's z (N,) in the rectified frame."""
    rectified = rays @ left_from_rectified.rotation
    pixels, real = camera.project(rectified)
    inside = real & camera.sees(pixels)
    columns, rows = np.where(inside[:, None], np.rint(pixels), 0).astype(np.int64).T
    return rows * camera.resolution[0] + columns, inside, rectified[:, 2]


@dataclass(frozen=True)
class StereoDepth:
    """Matches the images of one stereo pair; the rectification is computed once.

    Raises CalibrationError where the right camera does not sit to the right of the left one.
    """

    left: RigCamera
    right: RigCamera
    camera: Camera = field(init=False)
    left_from_rectified: Rigid = field(init=False)
    baseline_m: float = field(init=False)
    disparities: int = field(init=False)
    _maps: tuple[Map, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        right_from_left = self.right.cam_from_cam0 @ self.left.cam_from_cam0.inverse()
        rotation = _rectified_axes(right_from_left, self.left.topic, self.right.topic)
        baseline = float(np.linalg.norm(right_from_left.translation))
        camera = working_camera(self.left.camera)
        largest = min(camera.intrinsics[0] * baseline / NEAREST_M, camera.resolution[0])  # there is no match beyond it
        disparities = 16 * int(np.ceil(largest / 16))
        # The matcher leaves as many columns at the left empty as it tries disparities: they are rendered to be lost.
        padded = camera.cropped(-disparities, 0, camera.resolution[0] + disparities, camera.resolution[1])
        maps = (
            *_maps(padded, self.left.camera, rotation),
            *_maps(padded, self.right.camera, right_from_left.rotation @ rotation),
        )
        for name, value in (
            ("camera", camera),
            ("left_from_rectified", Rigid(rotation, np.zeros(3))),
            ("baseline_m", baseline),
            ("disparities", disparities),
            ("_maps", maps),
        ):
            object.__setattr__(self, name, value)

    def match(self, left_rgb: Image, right_rgb: Image) -> DepthImage:
        """Depth from a pair of raw images (H, W, 3) or (H, W) uint8, taken at the same time."""
        left = _render(left_rgb, self.left, self._maps[:2])
        right = _render(right_rgb, self.right, self._maps[2:])
        matcher = cv2.StereoSGBM.create(
            minDisparity=0,
            numDisparities=self.disparities,
            blockSize=BLOCK_PX,
            P1=8 * BLOCK_PX**2,
            P2=32 * BLOCK_PX**2,
            disp12MaxDiff=1,  # the left-right check
            uniquenessRatio=5,
            speckleWindowSize=60,
            speckleRange=2,
            mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
        )
        disparity = matcher.compute(left, right)[:, self.disparities :].astype(np.float32) / 16
        known = disparity >= LEAST_DISPARITY_PX
        scale = self.camera.intrinsics[0] * self.baseline_m
        depth = np.where(known, scale / np.maximum(disparity, LEAST_DISPARITY_PX), np.nan).astype(np.float32)
        return DepthImage(self.camera, self.left_from_rectified, depth)


def working_camera(camera: Camera) -> Camera:
    """A pinhole camera without distortion and with square pixels, in which depth of an image is worked out."""
    width, height = camera.resolution
    shrink = min(1.0, WORKING_WIDTH / width)
    small = camera.undistorted().scaled(round(width * shrink), round(height * shrink))
    focal = small.intrinsics[0]
    return replace(small, intrinsics=np.array([focal, focal, *small.intrinsics[2:]]))


def _rectified_axes(right_from_left: Rigid, left_topic: str, right_topic: str) -> Array:
    """Rotation (3, 3) left_from_rectified: x along the baseline, z as near to both optical axes as that allows."""
    centre = right_from_left.inverse().translation
    length = float(np.linalg.norm(centre))
    if length < 1e-3 or centre[0] < 0.7 * length:
        raise CalibrationError(
            f"{right_topic} sits at {np.round(centre, 3).tolist()} m of {left_topic}; "
            "stereo depth needs it to the right (are left and right swapped?)"
        )
    x = centre / length
    forward = np.array([0.0, 0.0, 1.0]) + right_from_left.rotation[2]
    z = forward - x * (x @ forward)
    z /= np.linalg.norm(z)
    return np.stack([x, np.cross(z, x), z], axis=1)


def _maps(rectified: Camera, raw: Camera, raw_from_rectified: Array) -> tuple[Map, Map]:
    """Where in the raw image each pixel of the rectified one lies; -1 where nowhere."""
    width, height = rectified.resolution
    pixels = np.stack(np.meshgrid(np.arange(float(width)), np.arange(float(height))), -1).reshape(-1, 2)
    rays, _ = rectified.unproject(pixels)
    found, real = raw.project(rays @ raw_from_rectified.T)
    columns, rows = np.where(real[:, None], found, -1).astype(np.float32).T.reshape(2, height, width)
    return columns, rows


def _render(image: Image, entry: RigCamera, maps: tuple[Map, ...]) -> Image:
    width, height = entry.camera.resolution
    if image.shape[:2] != (height, width):
        raise CalibrationError(
            f"{entry.topic}: images of {image.shape[1]}x{image.shape[0]}, the rig file says {width}x{height}"
        )
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    shrunk = width / (maps[0].shape[1] or 1)
    if shrunk > 1.2:  # maps of a smaller image skip pixels: blur first, or they would alias
        grey = cv2.GaussianBlur(grey, (0, 0), 0.6)
    return np.asarray(cv2.remap(grey, maps[0], maps[1], cv2.INTER_LINEAR), dtype=np.uint8)
