"""Known places must appear where the camera model says: pixel (0, 0) is the centre of the top-left pixel."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from heatnet.calib.camera import Camera
from heatnet.calib.rigid import Rigid, rotation_exp
from heatnet.dataset_tools.simulate import SimulationConfig
from heatnet.dataset_tools.simulate.drive import make_drive
from heatnet.dataset_tools.simulate.mesh import quads
from heatnet.dataset_tools.simulate.pipeline import Studio
from heatnet.dataset_tools.simulate.raycast import Body, Exposure, Points
from heatnet.dataset_tools.simulate.render import RayField, render, sample_offsets
from heatnet.dataset_tools.simulate.scene import Moment

LENS = Camera("radtan", np.array([200.0, 201.0, 95.3, 60.8]), np.array([-0.3, 0.1, 0.001, -0.002]), (192, 128))


@dataclass(frozen=True)
class Flat:
    """Shows material numbers as brightness."""

    channels: int = 1

    def lit(self, moment: Moment, points: Points) -> NDArray[np.bool_]:
        return np.zeros(len(points.material), bool)

    def shade(self, moment: Moment, points: Points, lit: NDArray[np.bool_], pixel_rad: float) -> NDArray[np.float32]:
        return np.maximum(points.material, 0).astype(np.float32)[:, None]


def square(distance: float) -> NDArray[np.float64]:
    corners = np.array([[-0.5, -0.35], [0.6, -0.3], [0.55, 0.4], [-0.45, 0.35]])
    return np.concatenate([corners * distance * 0.5, np.full((4, 1), distance)], 1)


def moment_of(corners: NDArray[np.float64], world_from_cam: Rigid) -> Moment:
    mesh = quads([world_from_cam.apply(corners)], 1)
    flat = np.zeros(len(mesh.vertices), np.float32)
    return Moment(Exposure(Body(mesh, flat, flat), None), world_from_cam, ())


def outline_centroid(camera: Camera, corners: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Centroid (2,) and area of a distorted polygon in pixels, by Green's theorem over a dense outline."""
    edge = np.concatenate(
        [a + np.linspace(0, 1, 400)[:, None] * (b - a) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)]
    )
    x, y = camera.project(edge)[0].T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    area = cross.sum() / 2
    centre = np.array([((x + np.roll(x, -1)) * cross).sum(), ((y + np.roll(y, -1)) * cross).sum()]) / (6 * area)
    return centre, abs(float(area))


@pytest.mark.parametrize("samples", [4, 5])
def test_a_shape_lies_where_the_camera_projects_it(samples: int) -> None:
    pose = Rigid(rotation_exp(np.array([0.3, -1.1, 0.4])), np.array([3.0, -2.0, 1.0]))
    corners = square(4.0)
    picture = render(moment_of(corners, pose), RayField.of(LENS), Rigid.identity(), Flat(), samples)
    image = picture.radiance[..., 0].astype(float)
    v, u = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    centre, area = outline_centroid(LENS, corners)
    assert image.sum() == pytest.approx(area, rel=2e-3)
    found = np.array([(u * image).sum(), (v * image).sum()]) / image.sum()
    assert np.abs(found - centre).max() < 0.02  # half a pixel of bias would show as 0.5


def test_rays_are_those_of_the_camera() -> None:
    rays, step = RayField.of(LENS), 1e-3
    v, u = (a.ravel() for a in np.mgrid[0:128, 0:192].astype(float))
    exact = LENS.unproject(np.stack([u, v], 1))[0]
    assert np.abs(rays.centre - exact).max() < 2e-7
    for slope, du, dv in ((rays.along_u, step, 0.0), (rays.along_v, 0.0, step)):
        moved = LENS.unproject(np.stack([u + du, v + dv], 1))[0]
        assert np.abs(slope - (moved - exact) / step).max() < 2e-6


def test_samples_lie_evenly_about_the_pixel_centre() -> None:
    for count in range(1, 10):
        offsets = sample_offsets(count)
        assert np.abs(offsets.mean(0)).max() < 1e-6
        assert np.abs(offsets).max() < 0.5
        assert len(np.unique(offsets[:, 0])) == len(np.unique(offsets[:, 1])) == count


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio.build(SimulationConfig(frames=1, scale=0.25, seed=5, view_m=60))


def test_depth_and_classes_of_left_rgb_agree_with_the_thermal_camera(studio: Studio) -> None:
    moment, left, thermal = studio.world.at(0.4), studio.rig.true.rgb[0], studio.rig.true.thermal[0]
    rgb, infrared = studio.picture(left, moment), studio.picture(thermal, moment)
    labels = studio.world.columns.label
    pixels = np.argwhere(np.isfinite(rgb.depth_m))[:, ::-1].astype(float)
    rays, _ = left.camera.unproject(pixels)
    depth = rgb.depth_m[np.isfinite(rgb.depth_m)]
    there = thermal.cam_from_cam0.apply(rays * depth[:, None])
    seen_at, real = thermal.camera.project(there)
    real &= thermal.camera.sees(seen_at, 1)
    places = seen_at[real].T[::-1]
    nearness = map_coordinates(1 / infrared.depth_m, places, order=1)  # linear over a plane's image
    share = np.abs(nearness * there[real, 2] - 1)
    row, column = np.round(places).astype(int)
    same = labels[infrared.material[row, column]] == labels[rgb.material[np.isfinite(rgb.depth_m)][real]]
    assert real.sum() > 10_000
    assert np.median(share) < 3e-4
    assert (share < 0.02).mean() > 0.85  # the rest: hidden from one of them, or at a silhouette
    assert same.mean() > 0.93


def test_no_rays_hit_nothing(studio: Studio) -> None:
    """As where no pixel of a portion of an image faces the sun."""
    exposure, none, sun = studio.world.at(0.0).exposure, np.zeros((0, 3), np.float32), np.ones(3, np.float32)
    assert exposure.blocked(none, sun).shape == (0,)
    assert exposure.hit(sun, none).distance.shape == (0,)
    assert exposure.blocked(sun, sun).shape == (1,)


def test_what_moves_is_where_it_is_at_the_exposure(studio: Studio) -> None:
    world, a, b = studio.world, 0.0, 0.037
    for mover in world.movers:
        (s0, d0, _), (s1, d1, _) = mover.place(a), mover.place(b)
        assert np.hypot(s1 - s0, d1 - d0) < 15 * (b - a)
    distances = [mover.place(b)[0] - mover.place(a)[0] for mover in world.movers]
    assert max(np.abs(distances)) > 5 * (b - a)
    before, after = world.drive.pose(a), world.drive.pose(b)
    speed = np.linalg.norm(after.translation - before.translation) / (b - a)
    assert 4 < speed < 12


def test_a_hidden_lag_shows_an_older_world_under_the_same_stamp(studio: Studio) -> None:
    late = replace(studio, config=replace(studio.config, thermal_lag_ms=12.0))
    a, b = (s.segment(s.schedule.keys[0]) for s in (studio, late))
    rows = [(x, y) for x, y in zip(a.poses, b.poses, strict=True) if "/ir_" in x.topic]
    assert rows and all(x.stamp_ns == y.stamp_ns and x.seen_ns - y.seen_ns == 12_000_000 for x, y in rows)
    moved = [np.linalg.norm(x.world_from_body.translation - y.world_from_body.translation) for x, y in rows]
    assert all(0.04 < m < 0.15 for m in moved)


def test_the_car_turns_and_changes_speed() -> None:
    drive = make_drive(SimulationConfig(frames=20, seed=5))
    t = np.arange(0, 20, 0.5)
    speed = np.diff(drive.along(t)) / 0.5
    poses = [drive.pose(float(x)).rotation for x in t]
    yaw = np.unwrap([np.arctan2(r[1, 0], r[0, 0]) for r in poses])
    assert np.ptp(speed) > 0.8 and speed.min() > 4
    assert np.ptp(yaw) > np.radians(5)
