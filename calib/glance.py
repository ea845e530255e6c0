"""A cheap look at a key frame: which structure both modalities show, and whether its images can be used at all.

Edges of a small left image get a rough depth by stereo and are laid into the thermal images by the guess; those with a
thermal edge near count, by where they lie in the thermal image and how far away they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.depth import StereoDepth
from heatnet.calib.edges import EdgeConfig, find_edges, gradient, noise_of
from heatnet.calib.rig import Rig, RigCamera
from heatnet.errors import CalibrationError

Array = NDArray[np.float64]
Image = NDArray[np.uint8]
Counts = NDArray[np.uint16]
Mask = NDArray[np.bool_]
SMALL_WIDTH = 480
SMALL_EDGES = EdgeConfig(cell_px=24, per_cell=10, spacing_px=3)
BESIDE_PX = 3.0
ASSUMED_M = 20.0  # where nothing tells the depth
DEPTHS_M = (10.0, 25.0)  # borders of near, middling and far
RINGS = (0.35, 0.65)  # borders of the middle, the ring and the rim, in halves of the diagonal
SECTORS = 8
TOLERANCE_PX = 21  # thermal edges this far from where the guess puts them count
CLEAR = 6.0  # a thermal edge stands this many deviations of the noise out
LEAST_EDGES = 0.002  # of the thermal pixels; a covered lens shows fewer
FROZEN = 0.98  # of the pixels equal to the frame before: the shutter is closed
BLACK, WHITE, WHITE_SHARE = 8, 250, 0.5
THUMBNAIL_SHARE = 1 / 8
COARSE = 4
DEPTH_NAMES = ("nearer than 10 m", "10 to 25 m away", "beyond 25 m")
RING_NAMES = ("near the centre", "halfway out", "towards the rim")
SECTOR_NAMES = ("right", "lower right", "bottom", "lower left", "left", "upper left", "top", "upper right")
CELLS = (len(DEPTH_NAMES), len(RING_NAMES), SECTORS)


@dataclass(frozen=True)
class Glance:
    """What a look at one key frame saw."""

    structure: Array  # (C, depths, rings, sectors) edges that both modalities show, by thermal camera of the rig
    thumbnail: Image  # (h, w)
    sharpness: float  # of the left image: how much steeper its edges are in fine detail than in coarse
    flaw: str  # why the left image cannot be used; empty where it can
    thermal_flaws: dict[str, str]  # likewise, by thermal camera


@dataclass(frozen=True)
class Onlooker:
    """Looks at the key frames of one rig."""

    rig: Rig
    left: RigCamera = field(init=False)  # small
    stereo: StereoDepth | None = field(init=False)

    def __post_init__(self) -> None:
        small = [_small(camera) for camera in self.rig.rgb[:2]]
        try:
            stereo = StereoDepth(*small) if len(small) == 2 else None
        except CalibrationError:  # whether that matters is for the calibration to say
            stereo = None
        object.__setattr__(self, "left", small[0])
        object.__setattr__(self, "stereo", stereo)

    def look(self, left: Image, right: Image | None, thermal: Mapping[str, tuple[Counts, Counts | None]]) -> Glance:
        """Look at raw images (H, W, 3) of a key frame and, by camera name, thermal frames each with the one before."""
        small = _shrunk(left, self.left)
        flaw = colour_flaw(small)
        edges = {n: thermal_edges(frame) for n, (frame, _) in thermal.items()}
        flaws = {n: thermal_flaw(*frames, edges[n]) for n, frames in thermal.items()}
        structure = np.zeros((len(self.rig.thermal), *CELLS))
        points = self._points(small, right) if not flaw else np.zeros((0, 3))
        for i, camera in enumerate(self.rig.thermal):
            if flaws.get(camera.name) == "":
                structure[i] = structure_of(points, edges[camera.name], camera)
        grey = cv2.cvtColor(left, cv2.COLOR_RGB2GRAY)
        thumbnail = cv2.resize(grey, None, fx=THUMBNAIL_SHARE, fy=THUMBNAIL_SHARE, interpolation=cv2.INTER_AREA)
        return Glance(structure, np.asarray(thumbnail, np.uint8), sharpness_of(left[..., 1]), flaw, flaws)

    def _points(self, small: Image, right: Image | None) -> Array:
        """Edges of the small left image as points (N, 3) in cam0."""
        edges = find_edges(small, SMALL_EDGES)
        rays, found = self.left.camera.unproject(edges.pixels)
        depth = np.full(len(rays), ASSUMED_M)
        if self.stereo is not None and right is not None:
            image = self.stereo.match(small, _shrunk(right, self.stereo.right))
            beside = [
                image.sample(self.left.camera.unproject(edges.pixels + sign * BESIDE_PX * edges.normals)[0])
                for sign in (-1, 1)
            ]
            depth = np.fmin(*beside)
        good = found & np.isfinite(depth)
        return self.left.cam_from_cam0.inverse().apply((rays * depth[:, None])[good])


def _small(entry: RigCamera) -> RigCamera:
    width, height = entry.camera.resolution
    share = min(1.0, SMALL_WIDTH / width)
    return replace(entry, camera=entry.camera.scaled(round(width * share), round(height * share)))


def _shrunk(image: Image, entry: RigCamera) -> Image:
    return np.asarray(cv2.resize(image, entry.camera.resolution, interpolation=cv2.INTER_AREA), np.uint8)


def structure_of(points: Array, edges: Mask, camera: RigCamera) -> Array:
    """How many points (N, 3) in cam0 have one of the thermal edges (H, W) near, by depth, ring and sector: `CELLS`."""
    placed = camera.cam_from_cam0.apply(points)
    places, real = camera.camera.project(placed)
    inside = real & camera.camera.sees(places)
    near = cv2.dilate(edges.astype(np.uint8), np.ones((2 * TOLERANCE_PX + 1,) * 2, np.uint8)) > 0
    columns, rows = np.rint(places[inside]).astype(np.int64).T
    hit = near[rows, columns]
    arm = (places[inside] - camera.camera.intrinsics[2:])[hit]
    ring = np.digitize(np.hypot(*arm.T) / (np.hypot(*camera.camera.resolution) / 2), RINGS)
    sector = np.rint(np.arctan2(arm[:, 1], arm[:, 0]) / (2 * np.pi) * SECTORS).astype(np.int64) % SECTORS
    depth = np.digitize(placed[inside][hit, 2], DEPTHS_M)
    flat = np.ravel_multi_index((depth, ring, sector), CELLS)
    return np.bincount(flat, minlength=int(np.prod(CELLS))).reshape(CELLS).astype(np.float64)


def thermal_edges(pixels: Counts) -> Mask:
    """Where a thermal image (H, W) has edges."""
    magnitude = np.hypot(*gradient(pixels.astype(np.float32), 1.5))
    return np.asarray(magnitude > CLEAR * noise_of(magnitude))


def colour_flaw(rgb: Image) -> str:
    """Why an RGB image (H, W, 3) cannot be used; empty where it can."""
    grey = rgb.max(axis=2)
    if float(np.quantile(grey, 0.99)) < BLACK:
        return "RGB is black"
    share = float((rgb.min(axis=2) >= WHITE).mean())
    return f"RGB is overexposed ({share:.0%} white)" if share > WHITE_SHARE else ""


def thermal_flaw(pixels: Counts, before: Counts | None, edges: Mask) -> str:
    """Why a thermal image (H, W) cannot be used, knowing the one before and where it has edges; empty where it can."""
    if before is not None and is_frozen(pixels, before):
        return "the thermal image repeats the one before (shutter closed)"
    if float(edges.mean()) < LEAST_EDGES:
        return "the thermal image shows nothing (lens covered?)"
    return ""


def is_frozen(pixels: Counts, before: Counts) -> bool:
    """Whether a frame repeats the one before it: live ones differ at least by their noise."""
    return pixels.shape == before.shape and float((pixels == before).mean()) > FROZEN


def sharpness_of(plane: NDArray[Any]) -> float:
    """How much steeper the steepest edges of an image (H, W) are in fine detail than in coarse; a blur lowers it."""
    rows = len(plane)
    middle = np.ascontiguousarray(plane[rows // 4 : rows - rows // 4], np.float32)
    coarse = cv2.resize(middle, None, fx=1 / COARSE, fy=1 / COARSE, interpolation=cv2.INTER_AREA)
    return COARSE * _steepest(middle) / max(_steepest(coarse), 1e-6)


def _steepest(plane: NDArray[Any]) -> float:
    x, y = (cv2.Sobel(plane, cv2.CV_32F, *axis, ksize=3)[::2, ::2] for axis in ((1, 0), (0, 1)))
    return float(np.quantile(np.abs(x) + np.abs(y), 0.98))
