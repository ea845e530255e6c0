"""Without depth a street is assumed: it says nothing about translation and lag, and that is said."""

from dataclasses import replace

import numpy as np
from calib_corridor import alignment_error, rough

from heatnet.calib.config import CalibrationConfig
from heatnet.calib.depth_choice import choose_depth
from heatnet.calib.edges import EdgeConfig
from heatnet.calib.motion import CamMotion
from heatnet.calib.parameters import Estimate
from heatnet.calib.pipeline import calibrate
from heatnet.calib.rig import Rig
from heatnet.calib.rigid import rotation_log
from heatnet.calib.scene import observer, prepare
from heatnet.calib.views import Views


def test_what_is_assumed_of_depth_moves_neither_translation_nor_lag(rig: Rig, views: Views) -> None:
    guess = rough(rig, (0.0, 0.0, 0.0))
    mono = replace(views, views=tuple(replace(v, right=None) for v in views.views))
    choice = choose_depth("none", mono, guess)
    assert not choice.measured
    assert "translation and lag stay" in choice.notes[1]
    camera = guess["cam2"]
    estimate = Estimate(camera.camera, camera.cam_from_cam0)
    observed = observer(prepare(mono, guess, EdgeConfig(), choice), "cam2")(1.0, 1)
    placed = estimate.place(observed.points, observed.velocities)
    seen = placed[:, 2] > 0
    derivative = np.abs(estimate.jacobian(placed[seen], observed.velocities[seen]))
    names = estimate.names
    for name in ("translation_x", "translation_y", "translation_z", "lag"):
        assert derivative[:, :, names.index(name)].max() < 1.0, name  # px a metre or a second
    assert np.median(derivative[:, 1, names.index("rotation_x")]) > 200


def test_a_right_image_does_not_sharpen_what_is_assumed(rig: Rig, views: Views) -> None:
    mono = replace(views, views=tuple(replace(v, right=None) for v in views.views))
    both, one = (prepare(seen, rig, EdgeConfig(), choose_depth("none", seen, rig)) for seen in (views, mono))
    assert all(np.array_equal(a.landmarks.points, b.landmarks.points) for a, b in zip(both, one, strict=True))


def test_the_street_that_is_assumed_has_a_road_and_houses(rig: Rig, views: Views) -> None:
    depth = choose_depth("none", views, rig).of(views.views[0], CamMotion(None, None))
    assert depth is not None
    rays = np.array([[0.0, 0.0, 1.0], [0.0, 0.2, 1.0], [0.8, 0.0, 1.0]])
    assert np.allclose(depth.sample(rays), [50.0, 8.0, 12.5], rtol=0.02)


def test_measured_depth_pins_nothing(rig: Rig, views: Views) -> None:
    scenes = prepare(views, rig, EdgeConfig(), choose_depth("stereo", views, rig))
    assert all(scene.pinned == {} for scene in scenes)


def test_one_rgb_camera_finds_rotation_and_intrinsics_and_nothing_is_sure_that_is_wrong(rig: Rig, views: Views) -> None:
    guess = rough(rig, (2.0, -2.5, 1.5), 0.93)
    mono = replace(views, views=tuple(replace(v, right=None) for v in views.views))
    near, far = calibrate(mono, guess, replace(CalibrationConfig(), depth="none")).cameras
    assert alignment_error(rig["cam2"], near.before, rig.rgb_left) > 8
    assert alignment_error(rig["cam2"], near.after, rig.rgb_left) < 1
    turned = near.after.cam_from_cam0.rotation @ rig["cam2"].cam_from_cam0.rotation.T
    assert np.rad2deg(np.linalg.norm(rotation_log(turned))) < 1.0  # of 3.5; the image centre makes up for the rest
    for camera in (near, far):
        places = [c.cam_from_cam0.inverse().translation for c in (camera.before, camera.after)]
        assert np.allclose(*places, atol=1e-4)
        assert abs(camera.estimate.lag_s) < 1e-5
        error = alignment_error(rig[camera.after.name], camera.after, rig.rgb_left)
        assert camera.status == "inconclusive" or error < camera.stated_px
