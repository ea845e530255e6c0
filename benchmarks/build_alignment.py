"""How well thermal lies on RGB in a dataset, against the truth of simulated drives.

usage: python benchmarks/build_alignment.py DRIVE... [--frames N] [--depth auto|stereo|lidar|fused|plane|infinite|exact]
           [--stereo-width 480] [--best-within PX] [--solid]

DRIVE is a folder that `heatnet simulate` made; its world is built again, so that every pixel of the training grid has a
true point in space and it is known whether the thermal camera sees that point. The rig is the true one. Printed, over
all pixels from 3 m on that lie within the thermal image: how far the pixel's place in the thermal image is off (pixels
of the training grid), where the dataset says that it is valid; and, of those marked as hidden, how many are
(precision) and of the hidden ones how many are marked (recall): pixel by pixel, and within a pixel (a neighbour counts
too), which is what a thermal image tells: its pixels are as large as those of the grid. A pixel is hidden where
thermal sees another point in its place, nearer, that in the grid lies a pixel or more beside it.

--stereo-width has stereo look at more pixels than it does in a build. --best-within shows what no choice between the
measured depths can exceed: where they differ, each pixel takes the nearest or the farthest one within so many pixels,
whichever is closer to the truth. --solid leaves out what lies within 5 px of leaves.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import heatnet.dataset_tools.stereo
from heatnet.calib.camchain import read_rig
from heatnet.dataset_tools.align import GridConfig, thermal_from_left_at
from heatnet.dataset_tools.outlines import STEP_PER_M, value_range
from heatnet.dataset_tools.plan import PlanConfig, RecordingPlan, plan_recording
from heatnet.dataset_tools.samples import DepthChoice, SampleMaker, need, read_sets
from heatnet.dataset_tools.simulate import SimulationConfig
from heatnet.dataset_tools.simulate.materials import VEGETATION
from heatnet.dataset_tools.simulate.pipeline import Studio
from heatnet.dataset_tools.simulate.render import RayField

Mask = NDArray[np.bool_]
Depth = NDArray[np.float64]
SKY_M = 1e4  # where the sky is taken to be
LEAVES_PX = 5


@dataclass(frozen=True)
class Truth:
    """One key frame as it is."""

    depth_m: Depth  # (H, W) inf for the sky
    leaves: Mask  # (H, W) vegetation, or beside it
    hidden: Mask  # (H, W) something stands between the thermal camera and what the pixel shows, a pixel or more beside


def truth_of(studio: Studio, maker: SampleMaker, plan: RecordingPlan, row: int) -> Truth:
    """Cast the grid's rays at the moment of RGB, and rays from where they end to the thermal camera."""
    rig, align = maker.rig, maker.alignment
    assert rig.body is not None
    seconds = [studio.schedule.seconds(int(plan.stamps_ns[role][row])) for role in ("rgb", "thermal")]
    moments = [studio.world.at(t) for t in seconds]
    body_from_cam0 = rig.body.cam0_from_body.inverse()
    world_from_left = moments[0].world_from_body @ body_from_cam0 @ align.left.cam_from_cam0.inverse()
    world_from_thermal = moments[1].world_from_body @ body_from_cam0 @ align.thermal.cam_from_cam0.inverse()
    rays = RayField.of(align.grid)
    origin = world_from_left.translation.astype(np.float32)
    directions = (rays.centre @ world_from_left.rotation.T).astype(np.float32)
    exposure = moments[0].exposure
    hits = exposure.hit(origin, directions)
    depth, label = hits.distance, studio.world.columns.label[exposure.material(hits)]
    points = origin + directions * np.minimum(depth, SKY_M)[:, None]
    eye = world_from_thermal.translation.astype(np.float32)
    reached = np.minimum(exposure.hit(eye, points - eye).distance, 1)  # 1 where nothing stands before the point
    covering = world_from_left.inverse().apply((eye + (points - eye) * reached[:, None]).astype(np.float64))
    beside = (covering[:, :2] / covering[:, 2:] - rays.centre[:, :2]) * align.grid.intrinsics[:2]
    shape = align.grid.resolution[::-1]
    hidden = np.linalg.norm(beside, axis=1) >= 1.0
    leaves = near((label == VEGETATION).reshape(shape), LEAVES_PX)
    return Truth(depth.reshape(shape).astype(np.float64), leaves, hidden.reshape(shape))


def places(maker: SampleMaker, depth_m: Depth, motion: Any) -> tuple[NDArray[np.float64], Mask]:
    """Where in the thermal image (H, W, 2) each pixel of the grid lies, and whether within it."""
    thermal = maker.alignment.thermal.camera
    points = maker.alignment.rays * np.minimum(depth_m, 1e5).reshape(-1, 1)
    pixels, real = thermal.project(motion.apply(points))
    shape = depth_m.shape
    return pixels.reshape(*shape, 2), (real & thermal.sees(pixels)).reshape(shape)


def best_within(depth_m: Depth, true_m: Depth, reach_px: int) -> Depth:
    """Depth (H, W) in which each pixel beside a step has the better end of it."""
    inverse = (1 / depth_m).astype(np.float32)
    span, nearest = value_range(inverse, 2 * reach_px + 1)
    farthest, truth = nearest - span, 1 / true_m
    better = np.where(np.abs(nearest - truth) < np.abs(farthest - truth), nearest, farthest)
    return np.where(span > STEP_PER_M, 1 / np.maximum(better, 1e-4), depth_m)


def near(mask: Mask, reach_px: int = 1) -> Mask:
    """With the neighbours."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach_px + 1,) * 2, np.uint8)) > 0


@dataclass
class Score:
    """What adds up over frames."""

    errors: list[NDArray[np.float64]]
    strict: NDArray[np.int64]  # found and right, found, hidden
    loose: NDArray[np.int64]  # found and right, found, hidden and found, hidden

    def add(self, error: NDArray[np.float64], valid: Mask, hidden: Mask, counted: Mask) -> None:
        """One frame: its masks are (H, W)."""
        self.errors.append(error[counted & valid])
        found = counted & ~valid
        self.strict += np.array([(found & hidden).sum(), found.sum(), (hidden & counted).sum()])
        right, seen = found & near(hidden), hidden & counted & near(found)
        self.loose += np.array([right.sum(), found.sum(), seen.sum(), (hidden & counted).sum()])

    def line(self) -> str:
        """For people."""
        errors = np.concatenate(self.errors)
        median, p95 = np.percentile(errors, [50, 95])
        right, found, hidden = self.strict
        a, b, c, d = self.loose
        return (
            f"median {median:.3f} p95 {p95:.3f} px; hidden {hidden / max(1, len(errors)):.2%} of pixels: precision "
            f"{right / max(1, found):.3f} recall {right / max(1, hidden):.3f}; within a pixel {a / max(1, b):.3f} "
            f"{c / max(1, d):.3f}"
        )


def score_drive(folder: Path, depth: DepthChoice, arguments: argparse.Namespace, total: Score) -> Score:
    """Compare some frames of one drive."""
    config = SimulationConfig(**json.loads((folder / "simulation.json").read_text())["config"])
    studio = Studio.build(config)
    rig = read_rig(folder / "truth_camchain.yaml")
    maker = SampleMaker.of(rig, GridConfig(), depth, 15.0, None)
    recording = folder / f"{config.name}.{config.format}"
    plan = plan_recording(recording, rig, PlanConfig(stereo=need(depth, "stereo"), lidar=need(depth, "lidar")))
    mine = Score([], np.zeros(3, np.int64), np.zeros(4, np.int64))
    rows = np.unique(np.linspace(0, len(plan.stamps_ns["rgb"]) - 1, arguments.frames).astype(int)).tolist()
    for row, images in read_sets(plan, rows):
        assert images is not None
        truth = truth_of(studio, maker, plan, row)
        stamps = int(plan.stamps_ns["rgb"][row]), int(plan.stamps_ns["thermal"][row])
        motion = thermal_from_left_at(rig, maker.alignment.left, maker.alignment.thermal, stamps, plan.trajectory)
        true_places, covered = places(maker, truth.depth_m, motion)
        if arguments.depth == "exact":
            found = np.minimum(truth.depth_m, 1e3)
        else:
            found = maker.depth(images, maker.alignment.rgb(images["rgb"]), stamps[0], motion, plan.trajectory)
        if arguments.best_within:
            found = best_within(found, truth.depth_m, arguments.best_within)
        _, valid = maker.alignment.warp(images["thermal"], found, motion)
        error = np.linalg.norm(places(maker, found, motion)[0] - true_places, axis=-1)
        scale = maker.grid.intrinsics[0] / maker.alignment.thermal.camera.intrinsics[0]
        counted = covered & (truth.depth_m >= 3.0) & ~(truth.leaves & arguments.solid)
        for score in (mine, total):
            score.add(error * scale, valid > 0, truth.hidden, counted)
    return mine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("drives", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--depth", default="auto")
    parser.add_argument("--stereo-width", type=int, default=heatnet.dataset_tools.stereo.WORKING_WIDTH)
    parser.add_argument("--best-within", type=int, default=0, metavar="PX")
    parser.add_argument("--solid", action="store_true")
    arguments = parser.parse_args()
    heatnet.dataset_tools.stereo.WORKING_WIDTH = arguments.stereo_width
    depth = "infinite" if arguments.depth == "exact" else arguments.depth
    total = Score([], np.zeros(3, np.int64), np.zeros(4, np.int64))
    for folder in arguments.drives:
        print(folder.name, score_drive(folder, depth, arguments, total).line())
    print("all", total.line())


if __name__ == "__main__":
    main()
