"""Thermal and RGB on one grid: the left RGB camera without distortion, scaled and cropped.

Each image is resampled once, from raw to the grid. A thermal pixel is looked up through the depth of the grid's pixel:
parallax between the cameras is f b / z, some 10 px at 3 m. What the thermal camera cannot see, because it lies outside
its image or behind something nearer, is marked.
"""

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.rigid import Rigid
from heatnet.calib.trajectory import Trajectory
from heatnet.dataset_tools.manifest import MAXIMUM_SIDE
from heatnet.dataset_tools.occlusion import hidden
from heatnet.dataset_tools.projecting import FlatGrid, grid_rays, project_grid, raw_maps
from heatnet.dataset_tools.recording.pixels import Mosaic
from heatnet.errors import DatasetError

Map = NDArray[np.float32]
Depth = NDArray[np.float64]
MIDDLE = (2 / 15, 13 / 15)  # of the width, where thermal does not cover it: columns 128 to 832 of 960
MARGIN_PX = 3  # raw pixels around those that an interpolation asks for: colours are made of neighbours
HEIGHT_STEP = 32  # what networks of output stride 8 with four poolings like


@dataclass(frozen=True)
class GridConfig:
    """How the training grid is cut from the left RGB image."""

    width: int = 960  # pixels that the whole image is scaled to
    crop: tuple[int, int, int, int] | None = None  # left, top, width, height after scaling; None: see training_grid


def training_grid(left: RigCamera, thermal: RigCamera, config: GridConfig) -> Camera:
    """The pinhole camera of the grid: left RGB without distortion, `config.width` wide, height a multiple of 32.

    Without `crop` it keeps all columns where the thermal camera covers them all at infinity, else the middle 11/15:
    704x320 of 960x320 for the rig of the HeatNet paper. Raises DatasetError where the cameras share no view, where the
    image would be larger than a shard takes, or where the crop leaves it.
    """
    width, height = left.camera.resolution
    scaled_height = max(1, round(height * config.width / width / HEIGHT_STEP)) * HEIGHT_STEP
    if max(config.width, scaled_height) > MAXIMUM_SIDE:
        raise DatasetError(f"images of {config.width}x{scaled_height} are too large; {MAXIMUM_SIDE} a side at most")
    camera = left.camera.undistorted().scaled(config.width, scaled_height)
    rotation = thermal.cam_from_cam0.rotation @ left.cam_from_cam0.rotation.T
    turned = Rigid(rotation, np.zeros(3))
    covered = FlatGrid(camera).project(thermal.camera, 0.0, turned)[2].any(axis=0)
    if not covered.any():
        raise DatasetError(f"{thermal.topic} sees nothing of what {left.topic} sees; is the calibration right?")
    start, end = (0, config.width) if covered.all() else (round(config.width * part) for part in MIDDLE)
    crop = config.crop or (start, 0, end - start, scaled_height)
    if min(crop) < 0 or crop[0] + crop[2] > config.width or crop[1] + crop[3] > scaled_height or not crop[2] * crop[3]:
        raise DatasetError(f"the crop {crop} leaves the image, which is {config.width}x{scaled_height} after scaling")
    return camera.cropped(*crop)


def nearest_thermal(rig: Rig) -> RigCamera:
    """The thermal camera nearest to the left RGB camera. Raises DatasetError where the rig has none."""
    left = rig.rgb_left
    if not rig.thermal:
        raise DatasetError("the rig file has no thermal camera: its topic should say ir, thermal or lwir")
    places = [(c.cam_from_cam0 @ left.cam_from_cam0.inverse()).inverse().translation for c in rig.thermal]
    return rig.thermal[int(np.argmin([np.linalg.norm(place) for place in places]))]


@dataclass(frozen=True)
class View:
    """Brings the images of one RGB camera onto the grid of a pinhole camera that stands where it stands."""

    camera: RigCamera
    grid: Camera
    _box: int = field(init=False, repr=False)  # raw pixels to a pixel of the grid
    _parts: tuple[slice, slice] = field(init=False, repr=False)  # raw rows and columns that the grid needs
    _maps: tuple[Map, Map] = field(init=False, repr=False)  # pixels of that part after shrinking by the box

    def __post_init__(self) -> None:
        box = max(1, round(float(self.camera.camera.intrinsics[0] / self.grid.intrinsics[0])))
        columns, rows = raw_maps(self.camera.camera, self.grid)
        width, height = self.camera.camera.resolution
        parts = _needed(rows, height, box), _needed(columns, width, box)
        maps = ((m - part.start + 0.5) / box - 0.5 for m, part in zip((columns, rows), parts[::-1], strict=True))
        object.__setattr__(self, "_box", box)
        object.__setattr__(self, "_parts", parts)
        object.__setattr__(self, "_maps", tuple(m.astype(np.float32) for m in maps))

    def render(self, image: NDArray[np.uint8] | Mosaic) -> NDArray[np.uint8]:
        """The raw image (H, W, 3), or its mosaic, on the grid: each pixel is a mean over the raw ones that it covers.

        Only what the grid needs is given colours and shrunk; the interpolation then is one of pixels of the grid's
        size. With a fourth channel it takes half the time.
        """
        _check_size(self.camera, image)
        if isinstance(image, Mosaic):
            four = _shrunk(image.rgba(*self._parts), self._box)
        else:
            four = cv2.cvtColor(_shrunk(image[self._parts], self._box), cv2.COLOR_RGB2RGBA)
        rendered = cv2.remap(four, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.cvtColor(rendered, cv2.COLOR_RGBA2RGB), np.uint8)


def _needed(places: Map, size: int, box: int) -> slice:
    """Where the raw pixels lie that some `places` need, out of `size`: whole boxes, beginning at an even one."""
    step = math.lcm(box, 2)
    first = max(0, math.floor((float(places.min()) - MARGIN_PX - box) / step)) * step
    last = math.ceil((float(places.max()) + MARGIN_PX + box) / step) * step
    return slice(first, min(last, size))


def _shrunk(image: NDArray[np.uint8], box: int) -> NDArray[Any]:
    """Means over boxes of `box` pixels squared; those that leave the image count its border again."""
    if box == 1:
        return image
    height, width = (-(-side // box) for side in image.shape[:2])
    missing = height * box - image.shape[0], width * box - image.shape[1]
    if any(missing):
        image = np.asarray(cv2.copyMakeBorder(image, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE), np.uint8)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class Alignment:
    """Brings the images of one left RGB and one thermal camera onto the grid; maps are computed once."""

    left: RigCamera
    thermal: RigCamera
    grid: Camera
    _view: View = field(init=False, repr=False)
    _flat: FlatGrid = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_view", View(self.left, self.grid))
        object.__setattr__(self, "_flat", FlatGrid(self.grid))

    @property
    def rays(self) -> NDArray[np.float64]:
        """Rays (H * W, 3) with z = 1 of the grid's pixels, row by row."""
        return self._rays.T.astype(np.float64)

    @functools.cached_property
    def _rays(self) -> Map:
        return grid_rays(self.grid)  # (3, H * W)

    @functools.cached_property
    def _plain(self) -> tuple[Map, Map]:
        return raw_maps(self.left.camera, self.grid)

    def rgb(self, image: NDArray[np.uint8] | Mosaic) -> NDArray[np.uint8]:
        """The raw left image (H, W, 3), or its mosaic, on the grid."""
        return self._view.render(image)

    def label(self, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A class map (H, W) of the raw left image on the grid: the nearest pixel's class."""
        _check_size(self.left, label)
        columns, rows = (np.rint(m).astype(np.int64) for m in self._plain)
        height, width = label.shape
        return label[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]

    def warp(
        self, counts: NDArray[Any], depth_m: Depth, thermal_from_left: Rigid
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
        """A raw thermal image (h, w) on the grid (H, W) and where it is valid (1).

        `depth_m` (H, W) is the depth z of each pixel of the grid in the left camera frame, all finite (`flat_depth` for
        one). Counts stay counts; they are 0 outside the thermal image, and those of what is in front where the pixel
        is occluded.
        """
        _check_size(self.thermal, counts)
        if not any(depth_m.strides):
            inverse_m = 1.0 / float(depth_m.flat[0])
            columns, rows, covered = self._flat.project(self.thermal.camera, inverse_m, thermal_from_left)
            return _looked_up(counts, (columns, rows), covered), covered.view(np.uint8)
        shape = self.grid.resolution[::-1]
        inverse = (1.0 / depth_m).astype(np.float32)
        columns, rows, seen = project_grid(self.thermal.camera, self._rays, inverse.reshape(-1), thermal_from_left)
        columns[~seen] = rows[~seen] = -10.0
        covered = seen.reshape(shape)
        warped = _looked_up(counts, (columns.reshape(shape), rows.reshape(shape)), covered)
        return warped, (covered & ~hidden(inverse, self._shift(thermal_from_left))).view(np.uint8)

    def _shift(self, thermal_from_left: Rigid) -> tuple[Map, Map]:
        """How far (H, W) each pixel of the grid is moved in the thermal camera's view, for an inverse depth of 1."""
        x, y, z = (thermal_from_left.rotation.T @ thermal_from_left.translation).tolist()
        fx, fy = self.grid.intrinsics[:2].tolist()
        shape = self.grid.resolution[::-1]
        return (fx * (x - self._rays[0] * z)).reshape(shape), (fy * (y - self._rays[1] * z)).reshape(shape)


def flat_depth(grid: Camera, depth_m: float) -> Depth:
    """One depth for all pixels (H, W) of a grid, as a view of one number: that is seen, and projected quickly."""
    return np.broadcast_to(np.float64(depth_m), grid.resolution[::-1])


def thermal_from_left_at(
    rig: Rig, left: RigCamera, thermal: RigCamera, stamps_ns: tuple[int, int], trajectory: Trajectory | None
) -> Rigid:
    """Where things fixed in the world, in the left camera frame at the first stamp, are in the thermal at the second.

    Without a trajectory that covers both stamps, or without a body in the rig file, the rig counts as standing still.
    """
    moved = Rigid.identity()
    if trajectory is not None and rig.body is not None and all(trajectory.covers(stamp) for stamp in stamps_ns):
        cam0_from_body = rig.body.cam0_from_body
        moved = cam0_from_body @ trajectory.motion(stamps_ns[1], stamps_ns[0]) @ cam0_from_body.inverse()
    return thermal.cam_from_cam0 @ moved @ left.cam_from_cam0.inverse()


def _looked_up(counts: NDArray[Any], places: tuple[Map, Map], covered: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """The counts (h, w) at these columns and rows (H, W), 0 where not covered."""
    raw = counts.astype(np.uint16, copy=False)
    warped = cv2.remap(raw, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.multiply(np.asarray(warped, np.uint16), covered.view(np.uint8), out=warped)


def _check_size(camera: RigCamera, image: NDArray[Any] | Mosaic) -> None:
    if image.shape[1::-1] != camera.camera.resolution:
        width, height = camera.camera.resolution
        raise DatasetError(
            f"{camera.topic}: images of {image.shape[1]}x{image.shape[0]}, the rig file says {width}x{height}"
        )
