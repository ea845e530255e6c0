"""Edges lie where they are to a fraction of a pixel, and stereo depth is depth."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from calib_corridor import true_rig

from heatnet.calib import matching
from heatnet.calib.camera import Camera
from heatnet.calib.depth import DepthImage, StereoDepth
from heatnet.calib.edge_stereo import sharpen_depth
from heatnet.calib.edges import EdgeConfig, EdgePoints, find_edges, sample
from heatnet.calib.landmarks import Landmarks, place_edges
from heatnet.calib.matching import Gradients, Search, search
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.rigid import Rigid
from heatnet.calib.views import Views

ALONE = np.zeros(90, np.int64)  # all in the only image


def disc(radius: float, centre: tuple[float, float], shape: tuple[int, int], fine: int = 8) -> np.ndarray:
    """A disc drawn exactly: the share of every pixel that it covers."""
    y, x = np.mgrid[0 : shape[0] * fine, 0 : shape[1] * fine]
    inside = np.hypot((x + 0.5) / fine - 0.5 - centre[0], (y + 0.5) / fine - 0.5 - centre[1]) < radius
    return np.asarray(cv2.resize(inside.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA))


def test_edges_of_a_disc_lie_on_its_circle_and_their_normals_point_along_the_radius() -> None:
    centre, radius = (101.3, 79.8), 50.4
    image = np.repeat((100 + 20 * disc(radius, centre, (160, 200)))[..., None], 3, 2).astype(np.uint8)
    edges = find_edges(image, EdgeConfig())
    arm = edges.pixels - centre
    distance = np.hypot(*arm.T)
    assert len(edges) > 60
    assert abs(np.mean(distance) - radius) < 0.1
    assert np.std(distance) < 0.15
    assert (np.abs(np.einsum("ni,ni->n", arm / distance[:, None], edges.normals)) > 0.97).all()


def test_thermal_search_finds_an_edge_to_a_twentieth_of_a_pixel() -> None:
    centre, radius = (100.2, 80.6), 45.0
    generator = np.random.default_rng(0)
    blurred = cv2.GaussianBlur(disc(radius, centre, (160, 200)), (0, 0), 0.6)
    counts = (22000 + 500 * blurred + generator.normal(0, 5, blurred.shape)).astype(np.uint16)
    image = Gradients.of_thermal([counts], 0.5)
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    normals = np.stack([np.cos(angles), np.sin(angles)], 1)
    ahead = generator.uniform(-3, 3, (90, 1))
    offsets, _ = search(image, ALONE[:90], centre + (radius + ahead) * normals, normals, Search(6))
    assert np.isfinite(offsets).mean() > 0.95
    assert abs(np.nanmean(offsets + ahead[:, 0])) < 0.05
    assert np.nanstd(offsets + ahead[:, 0]) < 0.1


def test_two_edges_alike_within_reach_are_ambiguous() -> None:
    columns = np.zeros((80, 120), np.float32)
    columns[:, 50:60] = 500
    counts = (22000 + columns + np.random.default_rng(0).normal(0, 4, columns.shape)).astype(np.uint16)
    image = Gradients.of_thermal([counts], 0.7)
    pixels, normals = np.array([[55.0, 40.0]]), np.array([[1.0, 0.0]])
    assert np.isnan(search(image, ALONE[:1], pixels, normals, Search(9))[0]).all()
    assert np.isclose(search(image, ALONE[:1], pixels - [4, 0], normals, Search(3))[0], -1.5, atol=0.1).all()


def test_gradients_of_many_images_are_those_of_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MOST_ROWS", 250)  # of 5 images with their gaps, 3 at once
    generator = np.random.default_rng(0)
    images = [generator.integers(8000, 9000, (50, 70)).astype(np.uint16) for _ in range(5)]
    together = Gradients.of_thermal(images, 0.7)
    numbers = np.sort(generator.integers(0, 5, 400))
    places = generator.uniform([-20, -20], [90, 70], (400, 3, 2))  # of images that lie one below the other
    found = together.at(numbers, places)
    for number, image in enumerate(images):
        own = numbers == number
        alone = Gradients.of_thermal([image], 0.7).at(np.zeros(own.sum(), np.int64), places[own])
        assert np.allclose(found[own], alone, atol=2e-2 * np.abs(alone).max())
        assert np.abs(alone).max() > 1


def test_sampling_is_linear_between_pixels_and_zero_outside() -> None:
    plane = np.arange(12, dtype=np.float32).reshape(3, 4)
    values = sample(plane, np.array([[1.5, 1.0], [0.0, 0.5], [-5.0, 1.0]]))
    assert np.allclose(values, [5.5, 2.0, 0.0])


def test_stereo_depth_is_right_to_a_few_per_cent_along_the_axis_of_the_left_camera(rig: Rig, views: Views) -> None:
    view = views.views[0]
    assert view.right is not None
    depth = StereoDepth(*rig.rgb).match(view.left, view.right)
    rays = np.array([[x, y, 1.0] for x in np.linspace(-0.7, 0.7, 40) for y in np.linspace(-0.3, 0.3, 20)])
    walls, ground = 5.0 / np.abs(rays[:, 0]), np.where(rays[:, 1] > 0, 1.6, 5.0) / np.abs(rays[:, 1])
    truth = np.minimum(walls, ground)
    seen = (truth > 4) & (truth < 25)
    error = (depth.sample(rays) / truth - 1)[seen]
    assert np.isfinite(error).mean() > 0.6
    assert np.nanmedian(np.abs(error)) < 0.03
    assert abs(np.nanmedian(error)) < 0.01


def test_no_more_disparities_are_tried_than_the_image_is_wide(rig: Rig) -> None:
    left, right = rig.rgb
    far = replace(right, cam_from_cam0=Rigid(right.cam_from_cam0.rotation, np.array([-90.0, 0, 0])))
    stereo = StereoDepth(left, far)
    assert stereo.camera.resolution[0] <= stereo.disparities < stereo.camera.resolution[0] + 16


def test_landmarks_project_back_onto_their_pixels(rig: Rig, views: Views) -> None:
    view = views.views[0]
    assert view.right is not None
    edges = find_edges(view.left, EdgeConfig())
    landmarks = place_edges(edges, rig.rgb_left, StereoDepth(*rig.rgb).match(view.left, view.right))
    pixels, real = rig.rgb_left.camera.project(landmarks.points)
    assert len(landmarks) > 300
    assert real.all()
    assert np.allclose(pixels, landmarks.pixels, atol=1e-6)


def test_depth_of_a_turned_right_camera_needs_no_rectified_input() -> None:
    rig = true_rig()
    stereo = StereoDepth(*rig.rgb)
    assert stereo.baseline_m == pytest.approx(0.5)
    assert stereo.camera.model == "none"
    assert np.allclose(stereo.left_from_rectified.rotation[:, 0], [1, 0, 0], atol=0.02)


def true_depth(points: np.ndarray) -> np.ndarray:
    """Depth (N,) of the corridor along the rays of points (N, 3)."""
    rays = points / points[:, 2:]
    walls, ground = 5.0 / np.abs(rays[:, 0]), np.where(rays[:, 1] > 0, 1.6, 5.0) / np.abs(rays[:, 1])
    return np.minimum(walls, ground)


def placed_at_the_middle(depth: np.ndarray) -> Landmarks:
    """An upright edge in the middle of every row of a depth image (H, 121) of a simple camera."""
    camera = Camera("none", np.array([200.0, 200, 60, len(depth) / 2]), np.zeros(0), (121, len(depth)))
    entry = RigCamera("cam0", camera, "/rgb", False, Rigid.identity())
    pixels = np.stack([np.full(len(depth), 60.0), np.arange(float(len(depth)))], 1)
    edges = EdgePoints(pixels, np.tile([1.0, 0.0], (len(depth), 1)), np.ones(len(depth)))
    return place_edges(edges, entry, DepthImage(camera, Rigid.identity(), depth.astype(np.float32)))


@pytest.mark.parametrize(
    ("by_column", "expected", "outline"),
    [
        (lambda x: 1 / (0.1 + 0.0001 * x), 1 / 0.1, False),  # one slanted wall
        (lambda x: 1 / (0.1 + 0.001 * x), 1 / 0.1, False),  # one seen at a grazing angle: its sides differ by 8 %
        (lambda x: 1 / (0.1 - 0.001 * np.abs(x)), 1 / 0.1, False),  # the corner of a house: both walls lead away
        (lambda x: np.where(x < 0, 10.0, 10.6), 10.0, True),  # a person before a wall: a small step
        (lambda x: np.where(x < 0, 1 / (0.1 - 0.001 * x), 30.0), 1 / 0.1, True),  # the end of a slanted wall
        (lambda x: np.where(x < 0, 10.0, 10.2), 10.1, False),  # no step that measured depth would tell
        (lambda x: np.where(x < 0, np.nan, 12.0), 12.0, False),  # known on one side only
    ],
    ids=["plane", "grazing", "crease", "small step", "outline", "no step", "one side"],
)
def test_an_edge_lies_where_the_surfaces_beside_it_meet(
    by_column: Callable[..., np.ndarray], expected: float, outline: bool
) -> None:
    landmarks = placed_at_the_middle(np.tile(by_column(np.arange(121) - 60.0), (40, 1)))
    assert np.allclose(landmarks.points[:, 2], expected, rtol=0.002)
    assert (landmarks.outline == outline).all()


def test_noise_of_depth_is_no_outline_and_is_not_made_more_of() -> None:
    noise = np.random.default_rng(8).normal(0, 1, (2000, 121))
    rough, fine = (placed_at_the_middle(10 * (1 + share * noise)) for share in (0.01, 0.005))
    assert rough.outline.mean() < 0.02
    assert abs(rough.points[:, 2].mean() / 10 - 1) < 0.001
    assert fine.points[:, 2].std() / 10 < 0.008


def test_edges_found_again_in_the_right_image_know_their_depth(rig: Rig, views: Views) -> None:
    view = views.views[0]
    assert view.right is not None
    edges = find_edges(view.left, EdgeConfig())
    matched = place_edges(edges, rig.rgb_left, StereoDepth(*rig.rgb).match(view.left, view.right))
    wrong = replace(matched, points=matched.points * 1.03, along=matched.along * 1.03)
    sharp, shift = sharpen_depth(wrong, *rig.rgb, view.right, EdgeConfig())
    assert 0.2 < shift < 0.5  # 3 % of disparities around 11 px
    truth = true_depth(matched.points)
    moved = sharp.points[:, 2] != wrong.points[:, 2]
    assert (sharp.doubt == 0).mean() > 0.8
    assert moved.mean() > 0.4
    before, after = (np.abs(points.points[:, 2] / truth - 1)[moved] for points in (matched, sharp))
    assert np.median(after) < 0.5 * np.median(before)
    assert abs(np.median((sharp.points[:, 2] / truth - 1)[moved])) < 0.002
    pixels, _ = rig.rgb_left.camera.project(sharp.points)
    assert np.allclose(pixels, sharp.pixels, atol=1e-6)


def test_depth_of_edges_that_are_not_where_it_puts_them_in_the_right_image_is_doubted(rig: Rig, views: Views) -> None:
    view = views.views[0]
    assert view.right is not None
    edges = find_edges(view.left, EdgeConfig())
    matched = place_edges(edges, rig.rgb_left, StereoDepth(*rig.rgb).match(view.left, view.right))
    cam0 = rig.rgb_left.cam_from_cam0
    ends = [rig.rgb_left.camera.project(cam0.apply(p))[0] for p in (matched.points, matched.along)]
    tangents = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0], axis=1)[:, None]
    some = np.arange(len(matched)) % 2 == 0  # half of the depths belong to another surface
    factor = np.where(some, 1.6, 1.0)[:, None]
    wrong = replace(matched, points=matched.points * factor, along=matched.along * factor)
    sharp, _ = sharpen_depth(wrong, *rig.rgb, view.right, EdgeConfig())
    upright, level = np.abs(tangents[:, 1]) > 0.8, np.abs(tangents[:, 1]) < 0.2
    assert (sharp.doubt > 0)[upright & ~some].mean() < 0.3
    assert (sharp.doubt > 0)[upright & some].mean() > 0.65  # by chance another edge is met
    assert (sharp.doubt > 0)[level].mean() < 0.05


def test_edges_beside_saturated_pixels_are_left_out() -> None:
    rgb = np.full((120, 160, 3), 60, np.uint8)
    rgb[40:80, 40:60], rgb[40:80, 100:120] = 255, 200
    columns = find_edges(rgb, EdgeConfig()).pixels[:, 0]
    assert (columns > 90).any()
    assert not (columns < 80).any()


def test_an_edge_lies_where_light_changes_not_display_values() -> None:
    light = cv2.GaussianBlur(np.where(np.arange(160) < 80, 0.04, 0.8)[None].repeat(120, 0), (0, 0), 1.5)
    for gamma in (1.0, 2.2):  # of linear sensors and of displays; the step is at 79.5
        rgb = np.repeat((255 * light ** (1 / gamma)).round().astype(np.uint8)[..., None], 3, axis=2)
        columns = find_edges(rgb, EdgeConfig()).pixels[:, 0]
        assert abs(np.median(columns) - 79.5) < 0.5


def test_saturated_pixels_do_not_make_everything_an_edge() -> None:
    generator = np.random.default_rng(0)
    image = np.repeat((100 + 20 * disc(50.4, (101.3, 79.8), (160, 200)))[..., None], 3, 2)
    image = np.clip(image + generator.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
    expected = len(find_edges(image, EdgeConfig()))
    image[:60] = 255
    assert len(find_edges(image, EdgeConfig())) < expected


def test_the_end_of_a_front_seen_at_a_slant_is_as_far_as_the_front_is_there() -> None:
    """Left of column 120 a front that recedes to 12 m, right of it a wall at 40 m."""
    left = RigCamera(
        "cam0", Camera("none", np.array([200.0, 200, 120, 40]), np.zeros(0), (240, 80)), "/rgb", False, Rigid.identity()
    )
    inverse = np.full((80, 240), 1 / 40)
    inverse[:, :120] = 1 / 12 + 4e-4 * (119 - np.arange(120))
    rows = np.arange(10.0, 70.0)
    pixels, normals = np.stack([np.full(60, 119.0), rows], 1), np.tile([1.0, 0.0], (60, 1))
    depth = DepthImage(left.camera, Rigid.identity(), (1 / inverse).astype(np.float32))
    landmarks = place_edges(EdgePoints(pixels, normals, np.ones(60)), left, depth)
    assert len(landmarks) == 60 and landmarks.outline.all()
    assert np.allclose(landmarks.points[:, 2], 12.0, rtol=0.003)
