"""Cameras: what projects comes back, derivatives are derivatives, and the image may be resized and cut."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from heatnet.calib.camera import Camera

RADTAN = Camera("radtan", np.array([508.0, 505.0, 318.0, 250.0]), np.array([-0.42, 0.18, 0.002, 0.0004]), (640, 512))
RADTAN_K3 = replace(RADTAN, distortion=np.array([-0.38, 0.2, 0.001, -0.002, -0.05]))
EQUIDISTANT = replace(RADTAN, model="equidistant", distortion=np.array([-0.03, 0.01, -0.004, 0.001]))
PINHOLE = RADTAN.undistorted()
CAMERAS = pytest.mark.parametrize(
    "camera", [RADTAN, RADTAN_K3, EQUIDISTANT, PINHOLE], ids=["radtan", "radtan k3", "equidistant", "none"]
)


def points(count: int = 200) -> np.ndarray:
    generator = np.random.default_rng(3)
    return np.concatenate([generator.uniform(-0.5, 0.5, (count, 2)), np.ones((count, 1))], 1) * generator.uniform(
        3, 60, (count, 1)
    )


@CAMERAS
def test_a_pixel_comes_back_from_its_ray(camera: Camera) -> None:
    pixels, real = camera.project(points())
    rays, found = camera.unproject(pixels)
    assert real.all()
    assert found.all()
    assert np.allclose(rays * points()[:, 2:], points(), atol=1e-8)


def test_projection_agrees_with_opencv() -> None:
    zero = np.zeros(3)
    for camera in (RADTAN, RADTAN_K3):
        expected, _ = cv2.projectPoints(points(), zero, zero, camera.matrix, camera.distortion)
        assert np.allclose(camera.project(points())[0], expected[:, 0], atol=1e-8)
    expected, _ = cv2.fisheye.projectPoints(points()[:, None], zero, zero, EQUIDISTANT.matrix, EQUIDISTANT.distortion)
    assert np.allclose(EQUIDISTANT.project(points())[0], expected[:, 0], atol=1e-8)


@CAMERAS
def test_derivatives_agree_with_differences(camera: Camera) -> None:
    xy, h = points()[:, :2] / points()[:, 2:], 1e-6
    by_xy = np.stack([(camera.distort(xy + s) - camera.distort(xy - s)) / (2 * h) for s in h * np.eye(2)], -1)
    assert np.allclose(camera.distort_jacobian(xy), by_xy, atol=1e-7)
    jacobian = camera.coefficient_jacobian(xy)
    assert jacobian.shape == (len(xy), 2, len(camera.distortion))
    for step, column in zip(h * np.eye(len(camera.distortion)), np.moveaxis(jacobian, -1, 0), strict=True):
        more, less = (replace(camera, distortion=camera.distortion + sign * step) for sign in (1, -1))
        assert np.allclose(column, (more.distort(xy) - less.distort(xy)) / (2 * h), atol=1e-7)


def test_points_behind_the_camera_and_beyond_the_fold_are_not_real() -> None:
    far = np.tan(np.deg2rad(75))
    barrel = replace(RADTAN, distortion=np.array([-0.42, 0.0, 0.0, 0.0]))
    _, real = barrel.project(np.array([[0, 0, -5.0], [far, 0, 1.0], [0, 0, 5.0]]))
    assert real.tolist() == [False, False, True]


def test_the_centre_pixel_stays_the_centre_when_the_image_shrinks() -> None:
    half = PINHOLE.scaled(320, 256)
    pixels, _ = PINHOLE.project(points())
    assert np.allclose(half.project(points())[0], (pixels + 0.5) / 2 - 0.5)


def test_a_cut_image_has_the_same_rays() -> None:
    window = RADTAN.cropped(100, 50, 200, 100)
    assert np.allclose(window.project(points())[0] + [100, 50], RADTAN.project(points())[0])
    assert window.resolution == (200, 100)
