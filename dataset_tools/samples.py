"""One sample out of the images that belong together."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.motion import CamMotion
from heatnet.calib.rig import Lidar, Rig
from heatnet.calib.rigid import Rigid
from heatnet.calib.trajectory import Trajectory
from heatnet.dataset_tools.align import Alignment, GridConfig, View, flat_depth, thermal_from_left_at, training_grid
from heatnet.dataset_tools.filling import filled_depth
from heatnet.dataset_tools.plan import NO_SWEEP, Need, RecordingPlan, chosen_thermal
from heatnet.dataset_tools.recording import Image, Message, PointCloud, open_recording
from heatnet.dataset_tools.recording.pixels import Mosaic
from heatnet.dataset_tools.shards import Sample
from heatnet.dataset_tools.sky import sky
from heatnet.dataset_tools.stereo import GridStereo
from heatnet.dataset_tools.sweep_depth import sweep_inverse_depth
from heatnet.dataset_tools.sweeps import make_sweep
from heatnet.errors import DatasetError

DepthChoice = Literal["auto", "stereo", "lidar", "fused", "plane", "infinite"]
Images = dict[str, Any]  # by role: pixels of rgb, thermal, right; the LiDAR's Sweep
SKY_M = 1e6
WAITING_IMAGES = 48  # kept until their set is complete; a set that waits for a lost image makes room for others


def need(depth: DepthChoice, sensor: Literal["stereo", "lidar"]) -> Need:
    """Whether sets need that sensor for such a depth."""
    if depth == "auto":
        return "if there"
    return "yes" if depth in (sensor, "fused") else "no"


@dataclass(frozen=True)
class SampleMaker:
    """Turns the images of one set into a sample, always in the same way."""

    rig: Rig
    alignment: Alignment
    stereo: GridStereo | None
    distance_m: float  # where everything is taken to be when no depth is measured
    lidar: Lidar | None = None
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
        if need(depth, "stereo") != "no" and len(rig.rgb) > 1:
            stereo = GridStereo(left, rig.rgb[1], alignment.grid)
        lidar = None if need(depth, "lidar") == "no" else rig.lidar
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
        depth = self.depth(images, rgb, stamps[0], motion, plan.trajectory)
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
        self, images: Images, rgb: NDArray[np.uint8], stamp_ns: int, motion: Rigid, trajectory: Trajectory | None
    ) -> NDArray[np.float64]:
        """Depth z (H, W) in metres of the grid's pixels at `stamp_ns`, all finite; `rgb` is the left image on the grid,
        `motion` thermal_from_left.

        A LiDAR is believed before stereo: it knows surfaces better, stereo knows more of them. Of what a set lacks
        nothing is known; where it lacks both, all is at one distance.
        """
        known = np.full(self.grid.resolution[::-1], np.nan, np.float32)
        sure = np.zeros(known.shape, np.bool_)
        flat = True
        if self.stereo is not None and "right" in images:
            known, flat = self.stereo.inverse_depth(_recorded(images["rgb"]), _recorded(images["right"])), False
        if self.lidar is not None and "sweep" in images:
            moving, left = CamMotion(trajectory, self.rig.body), self.alignment.left
            by_lidar = sweep_inverse_depth(images["sweep"], self.lidar, left, self.grid, stamp_ns, moving)
            sure = np.isfinite(by_lidar)
            known, flat = np.where(sure, by_lidar, known), False
        if flat:
            return flat_depth(self.grid, min(self.distance_m, 1e6))
        return filled_depth(known, rgb, self._sky(_counts(images["thermal"]), motion), sure)

    def _sky(self, counts: NDArray[Any], motion: Rigid) -> NDArray[np.bool_]:
        there = self.alignment.warp(counts, flat_depth(self.grid, SKY_M), motion)
        return sky(*there, max(0, round(float(self.grid.intrinsics[3]))))


@dataclass(frozen=True)
class _Needs:
    """Which messages make which sets."""

    wanted: dict[str, set[int]]  # stamps by topic
    rows: dict[tuple[str, int], list[int]]  # by topic and stamp
    roles: dict[str, str]  # by topic
    count: Counter[int]  # messages that make a set, by row
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
                if values[row] != NO_SWEEP:
                    of.setdefault((topic, int(values[row])), []).append(row)
        wanted = {topic: {stamp for name, stamp in of if name == topic} for topic in stamps}
        count = Counter(row for members in of.values() for row in members)
        return _Needs(wanted, of, roles, count, None if plan.sweeps is None else plan.sweeps.lidar)

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
        if len(waiting[row]) == needs.count[row]:
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
