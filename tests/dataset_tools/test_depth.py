"""Depth of the grid's pixels: by stereo, by LiDAR, and where the sky is."""

import numpy as np
import pytest
from flat_street import CAM0_FROM_LIDAR, look, make_rig

from heatnet.calib.motion import CamMotion
from heatnet.calib.rig import Lidar, RigCamera
from heatnet.calib.rigid import Rigid
from heatnet.calib.trajectory import Trajectory
from heatnet.calib.views import Sweep
from heatnet.dataset_tools import samples
from heatnet.dataset_tools.align import GridConfig
from heatnet.dataset_tools.filling import filled_depth
from heatnet.dataset_tools.recording.pixels import Mosaic
from heatnet.dataset_tools.samples import SampleMaker
from heatnet.dataset_tools.sky import sky
from heatnet.dataset_tools.stereo import GridStereo
from heatnet.dataset_tools.sweep_depth import sweep_inverse_depth

RIG = make_rig(lidar=True)
LEFT, RIGHT = RIG.rgb
GRID = LEFT.camera.undistorted().cropped(30, 4, 180, 70)
STILL = CamMotion(None, RIG.body)


def textured(camera: RigCamera) -> np.ndarray:
    """The wall and the board with spots that stay where they are in the world, as grey (H, W)."""
    points = look(camera, np.zeros(3)).points
    x, y, z = np.moveaxis(points, -1, 0) * 9 / points[..., 2:].mean()
    waves = [np.sin(a * x + b * y + a * b + z) for a, b in ((7, 1), (3, 5), (11, -2), (-5, 9), (17, 4))]
    return np.clip(128 + 28 * sum(waves), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("mosaic", [False, True])
def test_stereo_knows_how_far_the_wall_and_the_board_are(mosaic: bool) -> None:
    images = [textured(camera) for camera in (LEFT, RIGHT)]
    red = np.tile([[0.9, 0.3], [0.3, 0.9]], (40, 120))  # neighbours in a mosaic differ, whatever the picture
    pair = [
        Mosaic((i * red).astype(np.uint8), "bayer_grbg") if mosaic else np.repeat(i[..., None], 3, axis=2)
        for i in images
    ]
    stereo = GridStereo(LEFT, RIGHT, GRID)
    inverse = stereo.inverse_depth(*pair)
    seen = look(RigCamera("grid", GRID, "", False, Rigid.identity()), np.zeros(3))
    known = np.isfinite(inverse)
    error = np.abs(inverse - 1 / seen.points[..., 2]) * 75  # disparity in pixels: half a metre between the cameras
    assert inverse.shape == seen.board.shape and known.mean() > 0.6
    assert np.median(error[known]) < 0.3 and np.median(error[known & seen.board]) < 0.3
    only_left = np.roll(seen.board, -9, axis=1) & ~seen.board  # the right camera sees the board there
    assert known[only_left].mean() > 0.9 and np.median(error[only_left & known]) < 0.5


def sweep_of(points: np.ndarray, times_ns: np.ndarray | None = None) -> Sweep:
    """Points (N, 3) of cam0 as the LiDAR gives them."""
    return Sweep(0, CAM0_FROM_LIDAR.inverse().apply(points).astype(np.float32), times_ns)


def test_a_sweep_says_how_far_its_points_are_and_nothing_else() -> None:
    rays = np.array([[0.0, 0, 1], [0.3, 0.1, 1], [5, 0, 1], [0, 0, -1]])
    points = rays * np.array([[5.0], [20], [5], [5]])
    lidar = Lidar("/points", CAM0_FROM_LIDAR)
    inverse = sweep_inverse_depth(sweep_of(points), lidar, LEFT, GRID, 0, STILL)
    fx, fy, cx, cy = GRID.intrinsics
    for ray, depth in ((rays[0], 5.0), (rays[1], 20.0)):
        column, row = round(ray[0] * fx + cx), round(ray[1] * fy + cy)
        assert inverse[row, column] == pytest.approx(1 / depth, rel=1e-4)
    assert np.isfinite(inverse).sum() == 2 * 15


def row_of_points(depths_m: list[float]) -> np.ndarray:
    """Inverse depth on the grid of a sweep whose points follow each other along a row, a pixel apart."""
    rays = np.array([0.1, 0.02, 1.0]) + np.arange(len(depths_m))[:, None] * [1 / GRID.intrinsics[0], 0, 0]
    sweep = sweep_of(rays * np.array(depths_m)[:, None])
    return sweep_inverse_depth(sweep, Lidar("/points", CAM0_FROM_LIDAR), LEFT, GRID, 0, STILL)


def test_what_the_lidar_sees_past_something_near_is_not_believed() -> None:
    inverse = row_of_points([4, 4, 30, 4, 4])
    assert np.allclose(inverse[np.isfinite(inverse)], 1 / 4, rtol=1e-4)


@pytest.mark.parametrize("depths_m", [[4, 4, 4, 30, 30, 30], [30, 30, 30, 4, 4, 4]])
def test_what_the_lidar_sees_beside_something_near_is_believed(depths_m: list[float]) -> None:
    inverse = row_of_points(depths_m)
    row = inverse[np.isfinite(inverse).any(axis=1)][2]
    assert np.isclose(row, 1 / 4, rtol=1e-4).sum() == 5
    assert np.isclose(row, 1 / 30, rtol=1e-4).sum() == 3  # what the nearer one leaves of their splats


def test_of_what_is_known_the_lidar_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = SampleMaker.of(RIG, GridConfig(240), "auto", 15.0, None)
    told = []
    monkeypatch.setattr(samples, "filled_depth", lambda known, rgb, sky, sure: told.append((known, sure)))
    grey = np.repeat(textured(LEFT)[..., None], 3, axis=2)
    images = {"rgb": grey, "right": grey, "thermal": np.zeros((96, 240), np.uint16)}
    maker.depth({**images, "sweep": sweep_of(np.array([[0.0, 0, 5]]))}, grey, 0, Rigid.identity(), None)
    ((known, sure),) = told
    assert sure.sum() == 15 and np.allclose(known[sure], 1 / 5, rtol=1e-4)


def test_points_are_moved_to_the_time_of_the_image() -> None:
    """At 10 m/s ahead, a point measured 100 ms before the image is a metre nearer."""
    places = np.array([[10.0 * t, 0, 0] for t in (-1, 0, 1)])  # body axes: x ahead
    trajectory = Trajectory(np.array([-1, 0, 1]) * 10**9, np.tile([0.0, 0, 0, 1], (3, 1)), places)
    sweep = sweep_of(np.array([[0.0, 0, 9]]), np.array([-100_000_000]))
    lidar, motion = Lidar("/points", CAM0_FROM_LIDAR), CamMotion(trajectory, RIG.body)
    inverse = sweep_inverse_depth(sweep, lidar, LEFT, GRID, 0, motion)
    assert np.nanmax(inverse) == pytest.approx(1 / 8, rel=1e-2)


def street() -> tuple[np.ndarray, np.ndarray]:
    """Counts (60, 80) with a cold sky over a house, a cold puddle, and which of it is sky."""
    counts = np.full((60, 80), 23000, np.uint16)
    counts[:30] = 21000
    counts[10:30, 20:50] = 23500  # a house
    truth = counts == 21000
    counts[45:48, 10:12] = 21000  # a puddle that shows the sky
    counts[15:20, 30:34] = 21000  # a window that does
    return counts, truth


def test_the_sky_is_what_is_colder_than_the_ground_and_reaches_the_upper_border() -> None:
    counts, truth = street()
    covered = np.ones(counts.shape, np.uint8)
    assert (sky(counts, covered, 30) == truth).all()
    covered[:, :5] = 0
    covered[:4] = 0
    assert (sky(counts, covered, 30) == (truth & (covered > 0))).all()


def test_nothing_is_sky_under_clouds_as_warm_as_the_street_or_where_thermal_is_unknown() -> None:
    counts, _ = street()
    counts[:30] = np.maximum(counts[:30], 23000)
    assert not sky(counts, np.ones(counts.shape, np.uint8), 30).any()
    assert not sky(counts, np.zeros(counts.shape, np.uint8), 30).any()


def test_the_sky_is_far_whatever_stereo_says_of_it_but_not_before_something_near() -> None:
    is_sky = np.zeros((40, 60), bool)
    is_sky[:20] = True
    guide = np.where(is_sky, 200, 60)[..., None].repeat(3, axis=2).astype(np.uint8)
    inverse = np.full((40, 60), 1 / 15, np.float32)
    inverse[5:15, 20:36], guide[5:15, 20:36] = 1 / 3, 130
    depth = filled_depth(inverse, guide, is_sky)
    assert depth[5:15, 40:].min() > 200 and np.allclose(depth[25:], 15, rtol=0.05)
    assert depth[8:12, 26:30].max() < 4
