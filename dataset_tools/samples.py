"""One sample out of the images that belong together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.depth import StereoDepth
from heatnet.calib.lidar import LidarDepth
from heatnet.calib.motion import CamMotion
from heatnet.calib.rig import Lidar, Rig
from heatnet.calib.trajectory import Trajectory
from heatnet.dataset_tools.align import Alignment, GridConfig, View, flat_depth, thermal_from_left_at, training_grid
from heatnet.dataset_tools.filling import filled_depth
from heatnet.dataset_tools.plan import RecordingPlan, chosen_thermal
from heatnet.dataset_tools.recording import Image, Message, PointCloud, open_recording
from heatnet.dataset_tools.recording.pixels import Mosaic
from heatnet.dataset_tools.shards import Sample
from heatnet.dataset_tools.sweeps import make_sweep
from heatnet.errors import DatasetError

DepthChoice = Literal["auto", "stereo", "lidar", "fused", "plane", "infinite"]
Images = dict[str, Any]  # by role: pixels of rgb, thermal, right; the LiDAR's Sweep
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

    def depth(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Depth z (H, W) in metres in the left camera frame, NaN where unknown."""
        depth: NDArray[np.float64] = self.stereo.match(left, right).depth_m[self.rows, self.columns] * self.scale
        return depth


@dataclass(frozen=True)
class SampleMaker:
    """Turns the images of one set into a sample, always in the same way."""

    rig: Rig
    alignment: Alignment
    stereo: StereoLookup | None
    distance_m: float  # where everything is taken to be when there is no stereo
    lidar: LidarDepth | None = None
    right: View | None = None  # of the right RGB camera, where its image is kept

    @staticmethod
    def of(rig: Rig, grid: GridConfig, depth: DepthChoice, plane_m: float, thermal_camera: str | None) -> "SampleMaker":
        """For one rig. Raises DatasetError where the rig lacks what was asked for."""
        left, thermal = rig.rgb_left, chosen_thermal(rig, thermal_camera)
        if depth in ("stereo", "fused") and len(rig.rgb) < 2:
            raise DatasetError("depth from stereo needs a second RGB camera in the rig file; there is one")
        if depth in ("lidar", "fused") and rig.lidar is None:
            raise DatasetError("depth from LiDAR needs a block lidar0 in the rig file; there is none")
        alignment = Alignment(left, thermal, training_grid(left, thermal, grid))
        stereo = None
        if depth in ("auto", "stereo", "fused") and len(rig.rgb) > 1:
            stereo = StereoLookup.of(StereoDepth(left, rig.rgb[1]), alignment.rays, alignment.grid)
        lidar = LidarDepth(left, rig.lidar) if depth in ("lidar", "fused") and rig.lidar is not None else None
        return SampleMaker(rig, alignment, stereo, float("inf") if depth == "infinite" else plane_m, lidar)

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
        rgb = align.rgb(_recorded(images["rgb"]))
        depth = self.depth(images, rgb, stamps[0], plan.trajectory)
        thermal, valid = align.warp(_counts(images["thermal"]), depth, motion)
        label = None
        if plan.labelled[row] and plan.labels is not None:
            label = align.label(plan.labels.read(stamps[0], align.left.camera.resolution))
        right = None if self.right is None else self.right.render(_recorded(images["right"]))
        elevation = float(np.float32(plan.elevations_deg[row]))
        return Sample(rgb, thermal, valid, label, *stamps, elevation, rgb_right=right)

    def _check_sizes(self, plan: RecordingPlan, row: int, images: Images) -> None:
        cameras = {"thermal": self.alignment.thermal, **dict(zip(("rgb", "right"), self.rig.rgb, strict=False))}
        for role in (name for name in cameras if name in images):
            image = images[role]
            height, width = image.shape[:2]
            if (width, height) != cameras[role].camera.resolution:
                needed = "x".join(map(str, cameras[role].camera.resolution))
                where = f"{plan.path}: {plan.topics[role]} at {plan.stamps_ns[role][row]} ns"
                raise DatasetError(f"{where} is {width}x{height}; the rig file says {needed}")

    def depth(
        self, images: Images, rgb: NDArray[np.uint8], stamp_ns: int, trajectory: Trajectory | None
    ) -> NDArray[np.float64]:
        """Depth z (H, W) in metres of the grid's pixels at `stamp_ns`, all finite; `rgb` is the left image on the grid.

        Where there is a LiDAR it is believed before stereo: it knows surfaces better, stereo knows more of them.
        """
        shape = self.grid.resolution[::-1]
        if self.stereo is None and self.lidar is None:
            return flat_depth(self.grid, min(self.distance_m, 1e6))
        known, disparity_px_m = np.full(shape, np.nan), 0.0
        if self.stereo is not None:
            known = self.stereo.depth(_colour(images["rgb"]), _colour(images["right"]))
            disparity_px_m = self.stereo.disparity_px_m
        if self.lidar is not None:
            drawn = self.lidar.draw([images["sweep"]], stamp_ns, CamMotion(trajectory, self.rig.body))
            by_lidar = drawn.sample(self.alignment.rays).reshape(shape)
            known = np.where(np.isfinite(by_lidar), by_lidar, known)
        return filled_depth(known, rgb, disparity_px_m)


@dataclass(frozen=True)
class _Needs:
    """Which messages make which sets."""

    wanted: dict[str, set[int]]  # stamps by topic
    rows: dict[tuple[str, int], list[int]]  # by topic and stamp
    roles: dict[str, str]  # by topic
    lidar: Lidar | None

    @staticmethod
    def of(plan: RecordingPlan, rows: Sequence[int]) -> "_Needs":
        """For these rows of a plan."""
        stamps = {plan.topics[role]: values for role, values in plan.stamps_ns.items()}
        roles = {topic: role for role, topic in plan.topics.items()}
        if plan.sweeps is not None:
            stamps[plan.sweeps.topic] = plan.sweeps.stamps_ns
            roles[plan.sweeps.topic] = "sweep"
        of: dict[tuple[str, int], list[int]] = {}
        for topic, values in stamps.items():
            for row in rows:
                of.setdefault((topic, int(values[row])), []).append(row)
        wanted = {topic: {int(values[row]) for row in rows} for topic, values in stamps.items()}
        return _Needs(wanted, of, roles, None if plan.sweeps is None else plan.sweeps.lidar)

    @property
    def count(self) -> int:
        """Messages that make a set."""
        return len(self.roles)

    def parts(self, topic: str, message: Message) -> Iterator[tuple[int, str, Any]]:
        """What a message is to the sets that need it; a stamp that occurs again is nothing to any."""
        rows = self.rows.pop((topic, message.stamp_ns), [])
        if isinstance(message, Image):
            pixels = _pixels(message)
            yield from ((row, self.roles[topic], pixels) for row in rows)
        elif isinstance(message, PointCloud) and self.lidar is not None:
            sweep = make_sweep(message, self.lidar)
            yield from ((row, self.roles[topic], sweep) for row in rows)


def _arrivals(plan: RecordingPlan, needs: _Needs) -> Iterator[tuple[int, str, Any]]:
    """Row, role and content of what is needed, in the order of the recording; what cannot be read is passed over."""
    with open_recording(plan.path) as recording:
        for topic, message in recording.messages(list(needs.wanted), needs.wanted, skipped=[], mosaics=True):
            yield from needs.parts(topic, message)


def read_sets(plan: RecordingPlan, rows: Sequence[int]) -> Iterator[tuple[int, Images | None]]:
    """Yield (row, images) for each of the `rows` of a plan, in one pass over the recording.

    A set of which an image cannot be read comes with None. Raises RecordingError where the recording is not as it was
    when it was planned, in the end at the latest.
    """
    needs = _Needs.of(plan, rows)
    waiting: dict[int, Images] = {}
    left = set(rows)
    for row, role, content in _arrivals(plan, needs):
        if row not in left:
            continue
        waiting.setdefault(row, {})[role] = content
        if len(waiting[row]) == needs.count:
            left.discard(row)
            yield row, waiting.pop(row)
        elif sum(map(len, waiting.values())) > WAITING_IMAGES:
            waiting.pop(next(iter(waiting)))
    plan.refuse_change()
    for row in sorted(left):
        yield row, None


def _pixels(image: Image) -> NDArray[Any] | Mosaic:
    mosaic = image.encoding.startswith("bayer") and image.pixels.ndim == 2
    return Mosaic(np.asarray(image.pixels, np.uint8), image.encoding.removesuffix("8")) if mosaic else image.pixels


def _recorded(pixels: NDArray[Any] | Mosaic) -> NDArray[np.uint8] | Mosaic:
    return pixels if isinstance(pixels, Mosaic) else _colour(pixels)


def _colour(pixels: NDArray[Any] | Mosaic) -> NDArray[np.uint8]:
    if isinstance(pixels, Mosaic):
        return pixels.rgb()
    eight = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    return eight if eight.ndim == 3 else np.repeat(eight[..., None], 3, axis=2)


def _counts(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels if pixels.ndim == 2 else pixels[..., 0]
