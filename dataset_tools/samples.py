"""One sample out of the images that belong together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.depth import StereoDepth
from heatnet.calib.rig import Rig
from heatnet.dataset_tools.align import Alignment, GridConfig, View, thermal_from_left_at, training_grid
from heatnet.dataset_tools.filling import filled_depth
from heatnet.dataset_tools.plan import RecordingPlan, chosen_thermal
from heatnet.dataset_tools.recording import Image, open_recording
from heatnet.dataset_tools.shards import Sample
from heatnet.errors import DatasetError, RecordingError

DepthChoice = Literal["auto", "stereo", "plane", "infinite"]
Images = dict[str, NDArray[Any]]  # by role: rgb, thermal, right
BORDER_PX = 6  # half a block of the matcher, in raw pixels
WAITING_IMAGES = 48  # kept until their set is complete; a set that waits for a lost image makes room for others


@dataclass(frozen=True)
class StereoLookup:
    """Depth of the grid's pixels from a stereo pair: which pixel of the depth image each one asks is known before.

    Rows at which one of the two raw images ends hold no depth: the matcher finds some all the same.
    """

    stereo: StereoDepth
    rows: NDArray[np.int64]  # (H, W)
    columns: NDArray[np.int64]
    scale: NDArray[np.float64]  # (H, W) left depth over rectified depth; NaN outside the depth image
    disparity_px_m: float  # pixels of the grid, at a metre

    @staticmethod
    def of(stereo: StereoDepth, rays: NDArray[np.float64], grid: Camera) -> "StereoLookup":
        """For the grid whose rays (H * W, 3) in the left camera frame are `rays`."""
        rectified = rays @ stereo.left_from_rectified.rotation
        pixels, real = stereo.camera.project(rectified)
        inside = real & stereo.camera.sees(np.rint(pixels))
        for camera in (stereo.left, stereo.right):
            turned = rays @ (camera.cam_from_cam0.rotation @ stereo.left.cam_from_cam0.rotation.T).T
            row = camera.camera.project(turned)[0][:, 1]
            inside &= (row >= BORDER_PX) & (row <= camera.camera.resolution[1] - 1 - BORDER_PX)
        shape = grid.resolution[::-1]
        columns, rows = np.where(inside[:, None], np.rint(pixels), 0).astype(np.int64).T.reshape(2, *shape)
        scale = np.where(inside, rays[:, 2] / rectified[:, 2], np.nan).reshape(shape)
        return StereoLookup(stereo, rows, columns, scale, float(grid.intrinsics[0]) * stereo.baseline_m)

    def depth(self, left: NDArray[np.uint8], right: NDArray[np.uint8], guide: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Depth z (H, W) in metres in the left camera frame, all finite; `guide` is the left image on the grid."""
        depth = self.stereo.match(left, right).depth_m
        return filled_depth(depth[self.rows, self.columns] * self.scale, guide, self.disparity_px_m)


@dataclass(frozen=True)
class SampleMaker:
    """Turns the images of one set into a sample, always in the same way."""

    rig: Rig
    alignment: Alignment
    stereo: StereoLookup | None
    distance_m: float  # where everything is taken to be when there is no stereo
    right: View | None = None  # of the right RGB camera, where its image is kept

    @staticmethod
    def of(rig: Rig, grid: GridConfig, depth: DepthChoice, plane_m: float, thermal_camera: str | None) -> "SampleMaker":
        """For one rig. Raises DatasetError where the rig lacks what was asked for."""
        left, thermal = rig.rgb_left, chosen_thermal(rig, thermal_camera)
        if depth == "stereo" and len(rig.rgb) < 2:
            raise DatasetError("depth from stereo needs a second RGB camera in the rig file; there is one")
        alignment = Alignment(left, thermal, training_grid(left, thermal, grid))
        stereo = None
        if depth in ("auto", "stereo") and len(rig.rgb) > 1:
            stereo = StereoLookup.of(StereoDepth(left, rig.rgb[1]), alignment.rays, alignment.grid)
        return SampleMaker(rig, alignment, stereo, float("inf") if depth == "infinite" else plane_m)

    def with_right(self) -> "SampleMaker":
        """The same, keeping the right RGB image. Raises DatasetError where the rig has none."""
        if len(self.rig.rgb) < 2:
            raise DatasetError("the right RGB image is to be kept, but the rig file has one RGB camera only")
        return replace(self, right=View(self.rig.rgb[1], self.grid))

    @property
    def grid(self) -> Camera:
        """The camera that all images of a sample are seen by."""
        return self.alignment.grid

    def sample(self, plan: RecordingPlan, row: int, images: Images) -> Sample:
        """The sample of set `row` of a recording, from its raw images. Raises DatasetError for one of a wrong size."""
        self._check_sizes(plan, row, images)
        align = self.alignment
        stamps = int(plan.stamps_ns["rgb"][row]), int(plan.stamps_ns["thermal"][row])
        exposed = stamps[0], stamps[1] + plan.thermal_lag_ns
        motion = thermal_from_left_at(self.rig, align.left, align.thermal, exposed, plan.trajectory)
        raw = _colour(images["rgb"])
        rgb = align.rgb(raw)
        thermal, valid = align.warp(_counts(images["thermal"]), self.depth(images, rgb), motion)
        label = None
        if plan.labelled[row] and plan.labels is not None:
            label = align.label(plan.labels.read(stamps[0], align.left.camera.resolution))
        right = None if self.right is None else self.right.render(_colour(images["right"]))
        elevation = float(np.float32(plan.elevations_deg[row]))
        return Sample(rgb, thermal, valid, label, *stamps, elevation, rgb_right=right)

    def _check_sizes(self, plan: RecordingPlan, row: int, images: Images) -> None:
        cameras = {"thermal": self.alignment.thermal, **dict(zip(("rgb", "right"), self.rig.rgb, strict=False))}
        for role, image in images.items():
            height, width = image.shape[:2]
            if (width, height) != cameras[role].camera.resolution:
                needed = "x".join(map(str, cameras[role].camera.resolution))
                where = f"{plan.path}: {plan.topics[role]} at {plan.stamps_ns[role][row]} ns"
                raise DatasetError(f"{where} is {width}x{height}; the rig file says {needed}")

    def depth(self, images: Images, rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Depth z (H, W) in metres of the grid's pixels, all finite; `rgb` is the left image on the grid."""
        if self.stereo is not None:
            return self.stereo.depth(_colour(images["rgb"]), _colour(images["right"]), rgb)
        return np.full(self.grid.resolution[::-1], min(self.distance_m, 1e6))


def read_sets(plan: RecordingPlan, rows: Sequence[int]) -> Iterator[tuple[int, Images | None]]:
    """Yield (row, images) for each of the `rows` of a plan, in one pass over the recording.

    A set of which an image cannot be read comes with None. Raises RecordingError where the recording is not as it was
    when it was planned, in the end at the latest.
    """
    row_of = {(role, int(stamps[row])): row for role, stamps in plan.stamps_ns.items() for row in rows}
    wanted = {topic: {int(plan.stamps_ns[role][row]) for row in rows} for role, topic in plan.topics.items()}
    roles = {topic: role for role, topic in plan.topics.items()}
    waiting: dict[int, Images] = {}
    left = set(rows)
    skipped: list[RecordingError] = []
    with open_recording(plan.path) as recording:
        for topic, message in recording.messages(list(wanted), wanted, skipped):
            row = row_of.pop((roles[topic], message.stamp_ns), None)
            if row not in left or row is None or not isinstance(message, Image):
                continue
            waiting.setdefault(row, {})[roles[topic]] = message.pixels
            if len(waiting[row]) == len(roles):
                left.discard(row)
                yield row, waiting.pop(row)
            elif sum(map(len, waiting.values())) > WAITING_IMAGES:
                waiting.pop(next(iter(waiting)))
    plan.refuse_change()
    for row in sorted(left):
        yield row, None


def _colour(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    eight = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    return eight if eight.ndim == 3 else np.repeat(eight[..., None], 3, axis=2)


def _counts(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels if pixels.ndim == 2 else pixels[..., 0]
