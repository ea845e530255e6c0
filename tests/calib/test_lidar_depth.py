"""LiDAR depth is right on surfaces, near things hide what is behind, and moving sweeps are put back."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from calib_corridor import alignment_error, camera, rough
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from heatnet.calib.check import check
from heatnet.calib.depth import DepthImage, Resampling, working_camera
from heatnet.calib.depth_choice import choose_depth, fuse
from heatnet.calib.edges import EdgeConfig
from heatnet.calib.lidar import LidarDepth
from heatnet.calib.motion import CamMotion
from heatnet.calib.pipeline import CalibrationConfig, calibrate
from heatnet.calib.raster import rasterise
from heatnet.calib.rig import Body, Lidar, Rig, RigCamera
from heatnet.calib.rigid import Rigid, rotation_exp
from heatnet.calib.scene import Scene, depth_notes, prepare
from heatnet.calib.surface import join, triangulate
from heatnet.calib.trajectory import Trajectory
from heatnet.calib.upright import continued
from heatnet.calib.views import Sweep, Views
from heatnet.errors import CalibrationError

Array = NDArray[np.float64]
STAMP = 20_000_000_000
FORWARD = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # camera axes of x forward, y left, z up
LIDAR = Lidar("/points", Rigid(rotation_exp(np.array([0.01, -0.02, 0.01])) @ FORWARD, np.array([0.1, -0.5, -1.0])))
LEFT = RigCamera("cam0", camera(720, 300, 380.0, -0.2, 0.07), "/rgb", False, Rigid.identity())
STILL = CamMotion(None, None)


def beams(columns: int = 900, rings: int = 64) -> Array:
    """Unit rays (N, 3) of a turning LiDAR in its own frame."""
    azimuth, height = np.meshgrid(np.arange(columns) * 2 * np.pi / columns, np.radians(np.linspace(-25, 12, rings)))
    flat = np.cos(height)
    return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(height)], -1).reshape(-1, 3)


def distance(origin: Array, rays: Array) -> Array:
    """Metres (N,) along rays of cam0: ground 1.6 m below, a wall 25 m ahead, a box 8 to 9 m ahead and 1.2 m high."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = (1.6 - origin[..., 1]) / rays[:, 1]
        wall = (25 - origin[..., 2]) / rays[:, 2]
        near, far = np.sort(np.stack([(e - origin) / rays for e in ([-1.5, 0.4, 8], [1.0, 1.6, 9])]), axis=0)
    enter, leave = near.max(axis=-1), far.min(axis=-1)
    box = np.where((enter < leave) & (enter > 0), enter, np.inf)
    both = np.stack([np.where(reach > 0, reach, np.inf) for reach in (ground, wall, box)])
    return np.asarray(both.min(axis=0))


def sweep_at_rest() -> Sweep:
    rays = beams() @ LIDAR.cam0_from_lidar.rotation.T
    reach = distance(LIDAR.cam0_from_lidar.translation, rays)
    kept = (reach < 100) & (rays[:, 2] > 0.05)
    return Sweep(STAMP, (beams()[kept] * reach[kept, None]).astype(np.float32), None)


def error(depth: DepthImage) -> tuple[Array, Array]:
    """Relative error of inverse depth (H, W), NaN where unknown, and the true depth (H, W)."""
    width, height = depth.camera.resolution
    pixels = np.stack(np.meshgrid(np.arange(float(width)), np.arange(float(height))), -1).reshape(-1, 2)
    rays, _ = depth.camera.unproject(pixels)
    truth = (distance(np.zeros(3), rays) * rays[:, 2]).reshape(height, width)
    return truth / depth.depth_m - 1, truth


def test_depth_of_a_sweep_is_that_of_the_nearest_surface() -> None:
    wrong, truth = error(LidarDepth(LEFT, LIDAR).draw([sweep_at_rest()], STAMP, STILL))
    box = truth < 8.5
    assert np.isfinite(wrong[truth < 24.9]).mean() > 0.95
    assert np.nanmedian(np.abs(wrong)) < 0.002
    assert np.nanmean(np.abs(wrong) > 0.03) < 0.04  # beside outlines, to the next beam
    assert np.nanmax(wrong[box]) > -0.03 or np.nanmean(wrong[box] < -0.03) < 0.005


def test_what_the_lidar_sees_behind_something_near_does_not_shine_through() -> None:
    """The LiDAR looks over the box at ground that the box hides from the camera."""
    sweep = sweep_at_rest()
    points = LIDAR.cam0_from_lidar.apply(sweep.points.astype(float))
    pixels, _ = LEFT.camera.project(points)
    rays, _ = LEFT.camera.unproject(pixels)
    hidden = distance(np.zeros(3), rays) * rays[:, 2] < points[:, 2] - 1
    assert hidden.sum() > 50
    seen = LidarDepth(LEFT, LIDAR).draw([sweep], STAMP, STILL).sample(rays[hidden])
    assert (~(seen > points[hidden, 2] - 0.5)).mean() > 0.97


def test_nothing_is_made_up_between_the_roof_of_a_box_and_the_wall_behind() -> None:
    wrong, truth = error(LidarDepth(LEFT, LIDAR).draw([sweep_at_rest()], STAMP, STILL))
    depth = truth / (wrong + 1)
    between = (depth > 9.5) & (depth < 18) & (truth > 24.5)  # the ground is nearer there than 24.5 m
    assert between.mean() < 0.001


def moving_rig() -> CamMotion:
    stamps = np.arange(STAMP - 10**9, STAMP + 10**9, 10**8)
    seconds = (stamps - STAMP) * 1e-9
    places = np.stack([15 * seconds, 0.5 * seconds, 0 * seconds], 1)
    turns = np.stack([0 * seconds, 0 * seconds, np.sin(0.2 * seconds), np.cos(0.2 * seconds)], 1)
    body = Body("/odom", "odom", "base", Rigid(FORWARD, np.zeros(3)))
    return CamMotion(Trajectory(stamps, turns, places), body)


@pytest.mark.parametrize("timed", [True, False])
def test_a_sweep_taken_while_driving_and_turning_is_put_back_by_the_time_of_each_point(timed: bool) -> None:
    """A tenth of a second at 15 m/s and 23 degrees/s; without times of the points much of it is wrong."""
    motion, start = moving_rig(), STAMP + 30_000_000
    rays = beams().reshape(64, 900, 3)
    points, times = np.zeros_like(rays), np.zeros((64, 900), np.int64)
    for column in range(0, 900, 9):
        part = slice(column, column + 9)
        times[:, part] = start + column * 10**8 // 900
        key_from_now = motion.between(STAMP, int(times[0, column])) @ LIDAR.cam0_from_lidar
        turned = rays[:, part].reshape(-1, 3) @ key_from_now.rotation.T
        points[:, part] = rays[:, part] * distance(key_from_now.translation, turned).reshape(64, 9, 1)
    kept = (np.linalg.norm(points, axis=2) < 100) & (rays @ LIDAR.cam0_from_lidar.rotation[2] > 0.05)
    sweep = Sweep(start, points[kept].astype(np.float32), times[kept] if timed else None)
    wrong, _ = error(LidarDepth(LEFT, LIDAR).draw([sweep], STAMP, motion))
    assert (np.nanquantile(np.abs(wrong), 0.8) < 0.005) == timed


def test_a_second_sweep_fills_what_the_first_does_not_see() -> None:
    whole = sweep_at_rest()
    half = replace(whole, points=whole.points[whole.points[:, 1] > 0])
    lidar = LidarDepth(LEFT, LIDAR)
    known = [np.isfinite(lidar.draw(s, STAMP, STILL).depth_m).mean() for s in ([half], [half, whole], [whole])]
    assert known[0] < 0.6 * known[2] < known[1]


def test_a_road_at_a_grazing_angle_is_one_surface_and_a_jump_is_none() -> None:
    azimuth, height = np.meshgrid(np.radians(np.arange(0, 5, 0.25)), np.radians(np.arange(-8, -1.6, 0.4)))
    directions = np.stack([azimuth, height], -1).reshape(-1, 2)
    road = np.sin(-directions[:, 1]) / 2.0
    mesh = join(directions, road)
    assert len(mesh.jumps) < 0.05 * len(mesh.surfaces)
    car = np.where(directions[:, 1] < np.radians(-4), 1 / 9.0, 1 / 30.0)
    mesh = join(directions, car)
    spread = car[mesh.surfaces].max(axis=1) / car[mesh.surfaces].min(axis=1)
    assert spread.max() < 1.1
    assert len(mesh.jumps) == pytest.approx(2 * 19, abs=4)


@pytest.mark.parametrize("places", ["strewn", "rings", "twice"])
def test_measurements_are_joined_as_by_qhull_with_the_right_neighbours(places: str) -> None:
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(200, 2)) * [1.0, 0.3]
    if places == "rings":  # many on one circle, as of a LiDAR: which way such a square is cut is chance
        directions = np.stack(np.meshgrid(np.arange(20) * 0.003, np.arange(8) * 0.007), -1).reshape(-1, 2)
        directions[:, 1] += 0.02 * directions[:, 0] ** 2
    if places == "twice":
        directions = np.concatenate([directions, directions[:50]])
    corners, across = triangulate(directions)
    qhull = Delaunay(directions)
    areas = [np.abs(np.linalg.det(np.diff(directions[c], axis=1))).sum() for c in (corners, qhull.simplices)]
    assert areas[0] == pytest.approx(areas[1], rel=2e-3)
    if places == "strewn":
        same = {tuple(sorted(c)) for c in corners.tolist()} & {tuple(sorted(c)) for c in qhull.simplices.tolist()}
        assert len(same) > 0.98 * len(corners)
    for triangle, row in enumerate(across):
        for corner, other in enumerate(row):
            side = set(np.delete(corners[triangle], corner).tolist())
            sharing = [t for t in np.flatnonzero(np.isin(corners, list(side)).sum(axis=1) == 2) if t != triangle]
            assert sharing == ([other] if other >= 0 else [])


def test_points_in_a_line_or_too_few_make_no_surface() -> None:
    line = np.stack([np.arange(9.0), np.zeros(9)], 1)
    assert len(join(line, np.ones(9)).surfaces) == 0
    assert len(join(line[:2], np.ones(2)).jumps) == 0


def test_a_triangle_is_drawn_linearly_and_the_nearer_one_wins() -> None:
    pixels = np.array([[1.2, 1.3], [50.7, 3.1], [5.5, 35.2], [-10.0, 10.0], [60.0, 10.0], [20.0, 30.0]])
    inverse = np.array([0.1, 0.2, 0.3, 0.15, 0.15, 0.15])
    plane = rasterise(pixels, inverse, np.array([[0, 1, 2]]), (40, 20))
    slope = np.linalg.solve(np.c_[pixels[:3], np.ones(3)], inverse[:3])
    rows, columns = np.nonzero(plane)
    assert len(rows) > 300
    assert np.allclose(plane[rows, columns], slope[0] * columns + slope[1] * rows + slope[2])
    both = rasterise(pixels, inverse, np.array([[0, 1, 2], [3, 4, 5]]), (40, 20))
    other = rasterise(pixels, inverse, np.array([[3, 4, 5]]), (40, 20))
    assert np.array_equal(both, np.maximum(plane, other))


def test_only_upright_surfaces_are_continued_upwards() -> None:
    depth = np.full((60, 3), np.nan, np.float32)
    depth[30:, 0] = 12.0
    depth[30:, 1] = 3.0 / np.linspace(0.1, 1, 30)  # a road
    grown = continued(depth)
    assert np.allclose(grown[:, 0], 12.0)
    assert np.isnan(grown[:30, 1:]).all()
    assert np.array_equal(grown[30:], depth[30:], equal_nan=True)


def test_fused_depth_is_lidar_where_it_sees_and_stereo_elsewhere() -> None:
    lidar = LidarDepth(LEFT, LIDAR).draw([sweep_at_rest()], STAMP, STILL)
    stereo = replace(lidar, depth_m=np.full_like(lidar.depth_m, 7.0))
    known = np.isfinite(lidar.depth_m)
    same = Resampling.of(stereo.camera, Rigid.identity(), lidar.camera)
    both = fuse(stereo, lidar, same).depth_m
    assert np.array_equal(both[known], lidar.depth_m[known])
    assert np.allclose(both[~known], 7.0)


def test_resampled_depth_is_that_of_sampled_rays() -> None:
    camera = working_camera(LEFT.camera)
    width, height = camera.resolution
    depth = np.random.default_rng(5).uniform(3, 30, (height, width)).astype(np.float32)
    image = DepthImage(camera, Rigid(rotation_exp(np.array([0.02, -0.03, 0.01])), np.zeros(3)), depth)
    pixels = np.stack(np.meshgrid(np.arange(float(width)), np.arange(float(height))), -1).reshape(-1, 2)
    expected = image.sample(camera.unproject(pixels)[0]).reshape(height, width)
    resampled = Resampling.of(camera, image.left_from_rectified, camera).of_depth(depth)
    assert 0.01 < np.isnan(expected).mean() < 0.3
    assert np.allclose(resampled, expected, rtol=1e-5, equal_nan=True)


def corridor_sweep(views: Views, index: int) -> Sweep:
    """What the LiDAR sees of the corridor of calib_corridor at a key frame."""
    view = views.views[index]
    assert views.trajectories[0] is not None
    rays = beams(1800) @ LIDAR.cam0_from_lidar.rotation.T
    origin = LIDAR.cam0_from_lidar.translation
    along = views.trajectories[0].at(view.stamp_ns).translation[0]
    low, high = np.array([-5.0, -5.0, -1e9]), np.array([5.0, 1.6, 60.0 - along])
    with np.errstate(divide="ignore"):
        reach = np.maximum((low - origin) / rays, (high - origin) / rays).min(axis=1)
    kept = (reach < 100) & (rays[:, 2] > 0.05)
    return Sweep(view.stamp_ns, (beams(1800)[kept] * reach[kept, None]).astype(np.float32), None)


@pytest.fixture(scope="module")
def swept(views: Views, rig: Rig) -> tuple[Views, Rig]:
    """The corridor with a LiDAR."""
    seen = tuple(replace(v, sweeps=(corridor_sweep(views, i),)) for i, v in enumerate(views.views))
    return replace(views, views=seen), replace(rig, lidar=LIDAR)


def test_a_rig_with_one_rgb_camera_and_a_lidar_is_calibrated(swept: tuple[Views, Rig]) -> None:
    views, rig = swept
    mono = replace(views, views=tuple(replace(v, right=None) for v in views.views))
    result = calibrate(mono, rough(rig, (2.0, -2.5, 1.5), 0.93), CalibrationConfig(depth="lidar"))
    assert result.as_dict()["depth"]["from"] == "lidar"
    assert "stamp" in result.as_dict()["depth"]["notes"][0]
    for found in result.cameras:
        assert alignment_error(rig[found.after.name], found.after, rig.rgb_left) < 0.3


def with_ranges(views: Views, factor: Callable[[Array], Array]) -> Views:
    """Sweeps whose points (N, 3) are that many times (N,) as far."""
    off = tuple(
        replace(v, sweeps=tuple(replace(s, points=factor(s.points)[:, None] * s.points) for s in v.sweeps))
        for v in views.views
    )
    return replace(views, views=off)


def test_a_second_rgb_camera_sharpens_the_depth_of_the_lidar(swept: tuple[Views, Rig]) -> None:
    views, rig = swept
    views = with_ranges(views, lambda points: np.where(points[:, 1] > 0, 1.03, 0.97))  # on either side
    mono = replace(views, views=tuple(replace(v, right=None) for v in views.views))
    errors = {}
    for name, seen in (("both", views), ("mono", mono)):
        choice = choose_depth("lidar", seen, rig)
        scenes = prepare(seen, rig, EdgeConfig(), choice)
        errors[name] = np.median(np.concatenate([_corridor_error(scene, views) for scene in scenes]))
        assert any("sharpens" in note for note in depth_notes(scenes, rig, choice)) == (name == "both")
    assert errors["mono"] > 0.02
    assert errors["both"] < 0.01


def turned(rig: Rig, degrees: float) -> Rig:
    """The rig with its right RGB camera turned about its vertical axis."""
    right = rig.rgb[1]
    turn = Rigid(rotation_exp(np.radians([0.0, degrees, 0.0])), np.zeros(3))
    return rig.with_camera(replace(right, cam_from_cam0=turn @ right.cam_from_cam0))


@pytest.mark.parametrize("kind", ["lidar", "auto"])
@pytest.mark.parametrize("degrees", [-0.2, 0.2])
def test_a_camera_and_a_lidar_that_contradict_each_other_are_named(
    swept: tuple[Views, Rig], kind: str, degrees: float
) -> None:
    views, rig = swept
    wrong = turned(rig, degrees)
    choice = choose_depth(kind, views, wrong)
    scenes = prepare(views, wrong, EdgeConfig(), choice)
    (note,) = depth_notes(scenes, wrong, choice)
    assert rig.rgb[1].topic in note and LIDAR.topic in note and "is off" in note
    error = np.median(np.concatenate([_corridor_error(scene, views) for scene in scenes]))
    assert ("not used" in note) == (kind == "lidar")
    assert (error < 0.01) == (kind == "lidar")  # the LiDAR stands where it was asked for alone


def test_what_contradicts_itself_is_not_called_good(swept: tuple[Views, Rig]) -> None:
    views, rig = swept
    wrong = turned(rough(rig, (0.5, -0.5, 0.5), 0.98), 0.2)
    config = CalibrationConfig()
    result = calibrate(views, wrong, config)
    assert {c.status for c in result.cameras} == {"inconclusive"}
    assert all("is off" in c.reason for c in result.cameras)
    assert any("is off" in note for note in result.as_dict()["depth"]["notes"])
    checked = check(views, wrong)
    assert checked.status == "inconclusive" and "is off" in checked.cameras[0].reason
    alone = calibrate(views, wrong, replace(config, depth="lidar"))
    for found in alone.cameras:
        assert found.status == "good"
        assert alignment_error(rig[found.after.name], found.after, rig.rgb_left) < 0.3


def _corridor_error(scene: Scene, views: Views) -> Array:
    """By which share (N,) landmarks on upright edges are off the walls of the corridor."""
    assert views.trajectories[0] is not None
    along = views.trajectories[0].at(scene.view.stamp_ns).translation[0]
    points, beside = scene.landmarks.points, scene.landmarks.along
    high = np.array([5.0, 1.6, 60.0 - along])
    with np.errstate(divide="ignore"):
        reach = np.maximum(np.array([-5.0, -5.0, -1e9]) / points, high / points).min(axis=1)
    upright = np.abs((beside - points)[:, 1]) > 3 * np.abs((beside - points)[:, 0])
    return np.asarray(np.abs(reach - 1)[upright])


def test_what_depth_asks_for_and_the_recording_lacks_is_said(swept: tuple[Views, Rig], views: Views, rig: Rig) -> None:
    seen, whole = swept
    mono = replace(seen, views=tuple(replace(v, right=None) for v in seen.views))
    assert choose_depth("auto", seen, whole).name == "stereo and lidar"
    assert choose_depth("auto", mono, whole).name == "lidar"
    assert choose_depth("auto", views, rig).name == "stereo"
    assert choose_depth("auto", mono, rig).name == "none"
    assert choose_depth("none", seen, whole).name == "none"
    for kind, which, where, words in (
        ("lidar", seen, rig, "no block lidar0"),
        ("lidar", views, whole, "no sweep"),
        ("stereo", mono, whole, "right RGB camera"),
        ("guess", seen, whole, "one of"),
    ):
        with pytest.raises(CalibrationError, match=words):
            choose_depth(kind, which, where)
