"""Thermal lies where RGB says it does, near things too, and what is hidden is marked."""

from dataclasses import replace

import numpy as np
import pytest
from flat_street import BOARD_M, WALL_M, Seen, counts, look, make_rig
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.rig import RigCamera
from heatnet.calib.rigid import Rigid
from heatnet.calib.trajectory import Trajectory
from heatnet.dataset_tools.align import (
    Alignment,
    GridConfig,
    View,
    flat_depth,
    nearest_thermal,
    thermal_from_left_at,
    training_grid,
)
from heatnet.dataset_tools.filling import filled_depth
from heatnet.dataset_tools.occlusion import hidden
from heatnet.dataset_tools.projecting import FlatGrid, grid_rays, project_grid, raw_maps
from heatnet.dataset_tools.recording.pixels import Mosaic
from heatnet.dataset_tools.stereo import GridStereo
from heatnet.errors import DatasetError

RIG = make_rig()
LEFT, THERMAL = RIG.rgb_left, RIG.thermal[0]
STILL = np.zeros(3)


def on_grid(grid: Camera) -> Seen:
    """What the grid's camera sees: it stands where the left camera stands."""
    return look(RigCamera("grid", grid, "", False, Rigid.identity()), STILL)


@pytest.fixture(scope="module")
def alignment() -> Alignment:
    return Alignment(LEFT, THERMAL, training_grid(LEFT, THERMAL, GridConfig(240)))


def truth_visible(grid: Camera, seen: Seen, thermal_from_left: Rigid) -> NDArray[np.bool_]:
    """By casting rays back from the thermal camera: which points of the grid it sees, and within its image."""
    points = seen.points.reshape(-1, 3)
    pixels, real = THERMAL.camera.project(thermal_from_left.apply(points))
    origin = thermal_from_left.inverse().translation
    rays = points - origin
    on_board = origin + rays * ((BOARD_M - origin[2]) / rays[:, 2])[:, None]
    hides = (np.abs(on_board[:, 0] + 0.05) < 0.55) & (np.abs(on_board[:, 1] + 0.05) < 0.65)
    visible = real & THERMAL.camera.sees(pixels) & ~(hides & ~seen.board.ravel())
    return np.asarray(visible.reshape(seen.board.shape))


def test_a_camera_far_away_sees_behind_nothing_that_leaves_its_image() -> None:
    inverse = np.full((4, 6), 0.1, np.float32)
    inverse[1:3, 2:4] = 1.0
    far = np.full_like(inverse, 1e30), np.zeros_like(inverse)
    assert not hidden(inverse, far).any()


def test_rgb_cameras_too_far_apart_for_stereo_are_named() -> None:
    right = replace(RIG.rgb[1], cam_from_cam0=Rigid(np.eye(3), np.array([-100.0, 0, 0])))
    with pytest.raises(DatasetError, match=r"/rgb_left and /rgb_right, 100 m apart"):
        GridStereo(LEFT, right, training_grid(LEFT, THERMAL, GridConfig(240)))


def test_each_pixel_shows_the_count_of_its_point_near_and_far(alignment: Alignment) -> None:
    seen = on_grid(alignment.grid)
    thermal = np.rint(counts(look(THERMAL, STILL))).astype(np.uint16)
    warped, valid = alignment.warp(thermal, seen.points[..., 2], THERMAL.cam_from_cam0)
    assert warped.dtype == np.uint16 and set(np.unique(valid)) == {0, 1}
    inner = (valid > 0) & ~near_an_edge(seen.board) & ~near_an_edge(valid > 0)
    error = np.abs(warped - counts(seen))[inner]
    assert inner.mean() > 0.5 and seen.board[inner].any()
    assert error.max() < 3  # a pixel is 5 to 10 counts wide


def near_an_edge(board: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Within two pixels of the board's outline, where a thermal pixel mixes both."""
    padded = np.pad(board, 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    return np.asarray(windows.any(axis=(2, 3)) & ~windows.all(axis=(2, 3)))


def test_what_the_thermal_camera_cannot_see_is_marked(alignment: Alignment) -> None:
    seen = on_grid(alignment.grid)
    thermal = np.rint(counts(look(THERMAL, STILL))).astype(np.uint16)
    _, valid = alignment.warp(thermal, seen.points[..., 2], THERMAL.cam_from_cam0)
    truth = truth_visible(alignment.grid, seen, THERMAL.cam_from_cam0)
    rows = np.flatnonzero(seen.board.any(axis=1))
    counted = ~seen.board
    counted[rows[-1] - 1 : rows[-1] + 3] = False  # half a row under the board is not the grid's to tell
    hidden, true_hidden = (valid == 0) & counted, ~truth & counted
    assert true_hidden.sum() > 200
    agreed = (hidden & true_hidden).sum()
    assert agreed / hidden.sum() > 0.95 and agreed / true_hidden.sum() > 0.95


def test_a_plane_is_right_at_its_distance_and_wrong_nearer(alignment: Alignment) -> None:
    seen = on_grid(alignment.grid)
    thermal = np.rint(counts(look(THERMAL, STILL))).astype(np.uint16)
    flat = np.full(seen.board.shape, WALL_M)
    warped, valid = alignment.warp(thermal, flat, THERMAL.cam_from_cam0)
    clear = ~np.asarray(near_an_edge(seen.board)) & (valid > 0) & ~seen.board
    wrong = np.abs(warped - counts(seen)) > 500
    assert wrong[clear].sum() > 20  # the board's ghost beside the board
    assert np.median(np.abs(warped - counts(seen))[clear]) < 3


def test_the_motion_between_two_exposures_is_undone() -> None:
    """At 10 m/s to the right, 20 ms later: the thermal camera stands 20 cm further."""
    quaternions = np.tile([0.0, 0, 0, 1], (3, 1))
    places = np.array([[0, -10.0 * t, 0] for t in (-1, 0, 1)])  # body axes: y to the left
    trajectory = Trajectory(np.array([-1, 0, 1]) * 10**9, quaternions, places)
    moved = thermal_from_left_at(RIG, LEFT, THERMAL, (0, 20_000_000), trajectory)
    expected = THERMAL.cam_from_cam0 @ Rigid(np.eye(3), np.array([-0.2, 0, 0]))
    assert np.allclose(moved.matrix, expected.matrix, atol=1e-9)
    still = thermal_from_left_at(RIG, LEFT, THERMAL, (0, 20_000_000), None)
    outside = thermal_from_left_at(RIG, LEFT, THERMAL, (0, 3 * 10**9), trajectory)
    assert np.allclose(still.matrix, THERMAL.cam_from_cam0.matrix) and np.allclose(outside.matrix, still.matrix)


def test_the_grid_of_the_real_rig_is_that_of_the_paper() -> None:
    rgb = Camera("radtan", np.array([1017.8, 1016.6, 969.3, 300.1]), np.array([-0.2, 0.07, 0, 0]), (1920, 650))
    thermal = Camera("radtan", np.array([505.0, 505, 310, 250]), np.array([-0.4, 0.18, 0, 0]), (640, 512))
    left = RigCamera("cam0", rgb, "/rgb", False, Rigid.identity())
    grid = training_grid(left, RigCamera("cam1", thermal, "/ir", True, Rigid.identity()), GridConfig())
    assert grid.resolution == (704, 320) and grid.model == "none"
    full = rgb.undistorted().scaled(960, 320)
    assert np.allclose(grid.intrinsics, full.intrinsics - [0, 0, 128, 0])


def test_impossible_grids_and_cameras_are_refused() -> None:
    with pytest.raises(DatasetError, match="leaves the image"):
        training_grid(LEFT, THERMAL, GridConfig(240, (200, 0, 100, 64)))
    behind = RigCamera("cam9", THERMAL.camera, "/ir", True, Rigid(np.diag([-1.0, 1, -1]), np.zeros(3)))
    with pytest.raises(DatasetError, match="sees nothing"):
        training_grid(LEFT, behind, GridConfig(240))
    with pytest.raises(DatasetError, match="no thermal camera"):
        nearest_thermal(make_rig(thermal=False))


def test_images_of_another_size_are_refused(alignment: Alignment) -> None:
    with pytest.raises(DatasetError, match="the rig file says 240x80"):
        alignment.rgb(np.zeros((80, 241, 3), np.uint8))


def test_holes_are_filled_up_to_the_edges_of_the_picture() -> None:
    guide = np.zeros((40, 60, 3), np.uint8)
    guide[:, 30:] = 200
    truth = np.where(guide[..., 0] > 0, 20.0, 5.0)
    inverse = (1 / truth).astype(np.float32)
    inverse[10:30, 15:45] = np.nan
    assert np.abs(1 / filled_depth(inverse, guide) - 1 / truth).max() < 0.005


def test_a_reflection_does_not_make_a_hole_in_a_car() -> None:
    guide = np.full((40, 60, 3), 90, np.uint8)
    inverse = np.full((40, 60), 1 / 4, np.float32)
    inverse[8:32, 12:44] = 1 / 60
    assert filled_depth(inverse, guide).max() < 4.1


def test_where_nothing_is_known_it_is_far() -> None:
    assert (filled_depth(np.full((8, 8), np.nan, np.float32), np.zeros((8, 8, 3), np.uint8)) > 999).all()


WIDE = Camera("radtan", np.array([505.0, 500, 310, 250]), np.array([-0.35, 0.12, 1e-3, -1e-3]), (640, 512))
PAPER_GRID = Camera("none", np.array([420.0, 500, 356, 148]), np.zeros(0), (701, 319))  # no multiple of anything


@pytest.mark.parametrize("inverse_m", [0.0, 1 / 15, 1 / 3])
def test_one_depth_for_all_is_projected_as_many_are(inverse_m: float) -> None:
    moved = Rigid(np.array([[1, 0.01, 0], [-0.01, 1, 0.02], [0, -0.02, 1]]), np.array([0.2, -0.1, 0.05]))
    rays = grid_rays(PAPER_GRID)
    exact = project_grid(WIDE, rays, np.full(rays.shape[1], inverse_m, np.float32), moved)
    columns, rows, seen = FlatGrid(PAPER_GRID).project(WIDE, inverse_m, moved)
    true_columns, true_rows, truly_seen = (part.reshape(319, 701) for part in exact)
    assert np.hypot(columns - true_columns, rows - true_rows)[truly_seen].max() < 0.02
    assert 0.5 < truly_seen.mean() < 0.99
    assert not (seen & ~truly_seen & (np.abs(columns - true_columns) > 0.02)).any()
    assert (seen != truly_seen).mean() < 2e-4


def test_a_lens_that_folds_within_the_grid_is_projected_exactly() -> None:
    folding = Camera("radtan", WIDE.intrinsics, np.array([-0.9, 0.0, 0, 0]), WIDE.resolution)
    rays, still = grid_rays(PAPER_GRID), Rigid.identity()
    exact = project_grid(folding, rays, np.zeros(rays.shape[1], np.float32), still)
    flat = FlatGrid(PAPER_GRID).project(folding, 0.0, still)
    assert 0.1 < exact[2].mean() < 0.9
    for one, other in zip(flat, exact, strict=True):
        assert np.array_equal(one.ravel(), other, equal_nan=True)


def test_a_flat_depth_gives_what_an_array_of_it_gives(alignment: Alignment) -> None:
    thermal = np.rint(counts(look(THERMAL, STILL))).astype(np.uint16)
    flat = flat_depth(alignment.grid, WALL_M)
    warped, valid = alignment.warp(thermal, flat, THERMAL.cam_from_cam0)
    by_pixel, also_valid = alignment.warp(thermal, flat.copy(), THERMAL.cam_from_cam0)
    both = (valid > 0) & (also_valid > 0)
    assert (valid != also_valid).mean() < 1e-3 and both.mean() > 0.5
    assert np.quantile(np.abs(warped.astype(int) - by_pixel)[both], 0.99) <= 2  # but for outlines
    assert not warped[valid == 0].any()


@pytest.mark.parametrize("box", [1, 2, 3])
def test_rgb_on_the_grid_is_where_it_was_and_a_mean_of_what_it_covers(box: int) -> None:
    """A ramp keeps its values at every place; noise loses its variance."""
    raw = Camera("radtan", np.array([400.0, 400, 247, 171]), np.array([-0.1, 0.02, 0, 0]), (499, 347))
    small = raw.undistorted().scaled(round(499 / box), round(347 / box))
    grid = small.cropped(20, 10, small.resolution[0] - 50, small.resolution[1] - 30)
    view = View(RigCamera("cam0", raw, "/rgb", False, Rigid.identity()), grid)
    columns, rows = np.meshgrid(np.arange(499), np.arange(347))
    ramps = np.stack([columns / 2, rows / 2, columns / 4 + rows / 4], -1)
    rendered = view.render(np.rint(ramps).astype(np.uint8)).astype(float)
    x, y = raw_maps(raw, grid)
    truth = np.stack([x / 2, y / 2, x / 4 + y / 4], -1)
    assert np.abs(rendered - truth).max() <= 1.1 and abs((rendered - truth).mean()) < 0.3
    noise = np.random.default_rng(0).integers(0, 256, (347, 499, 3)).astype(np.uint8)
    assert view.render(noise).std() < 74 / box + 2


def test_a_mosaic_is_rendered_as_its_colours_are() -> None:
    mosaic = Mosaic(np.random.default_rng(1).integers(0, 256, (80, 240), np.uint8), "bayer_grbg")
    grid = LEFT.camera.undistorted().scaled(120, 40)
    for part in (grid, grid.cropped(31, 9, 50, 20)):
        view = View(LEFT, part)
        assert (view.render(mosaic) == view.render(mosaic.rgb())).all()
