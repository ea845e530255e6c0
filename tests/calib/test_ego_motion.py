"""Without odometry images tell how the rig moved; where nothing does, that is said."""

from dataclasses import replace

import numpy as np
from calib_corridor import SPEED_M_S

from heatnet.calib.depth_choice import choose_depth
from heatnet.calib.ego_motion import motion_notes, motions_of
from heatnet.calib.motion import CamMotion
from heatnet.calib.rig import Rig
from heatnet.calib.rigid import rotation_log
from heatnet.calib.views import Views

AFTER_NS = 30_000_000


def test_the_motion_at_key_frames_is_that_of_the_odometry_which_is_hidden(rig: Rig, views: Views) -> None:
    hidden = replace(views, trajectories=(None,))
    choice = choose_depth("stereo", hidden, rig)
    known, found = motions_of(views, rig, choice), motions_of(hidden, rig, choice)
    for view, true, estimated in zip(views.views, known, found, strict=True):
        a, b = (m.between(view.stamp_ns + AFTER_NS, view.stamp_ns) for m in (true, estimated))
        assert np.linalg.norm(a.translation - b.translation) < 0.05 * SPEED_M_S * AFTER_NS * 1e-9
        assert np.linalg.norm(rotation_log(a.rotation @ b.rotation.T)) < np.deg2rad(0.02)
    (note,) = motion_notes(found, [v.stamp_ns for v in views.views])
    assert "4 of 4 key frames" in note
    assert motion_notes(known, [v.stamp_ns for v in views.views]) == ()


def test_odometry_is_never_replaced_where_there_is_some(rig: Rig, views: Views) -> None:
    for motion in motions_of(views, rig, choose_depth("stereo", views, rig)):
        assert motion == CamMotion(views.trajectories[0], rig.body)


def test_key_frames_far_apart_or_of_other_recordings_count_as_standing_still_and_that_is_said(
    rig: Rig, views: Views
) -> None:
    hidden = replace(views, trajectories=(None, None), recordings=("a", "b"))
    first, second = views.views[:2]
    apart = replace(second, stamp_ns=second.stamp_ns + 60_000_000_000)
    for other in (apart, replace(second, recording=1)):
        pair = replace(hidden, views=(first, other))
        motions = motions_of(pair, rig, choose_depth("stereo", pair, rig))
        assert np.array_equal(motions[0].between(first.stamp_ns + AFTER_NS, first.stamp_ns).matrix, np.eye(4))
        (note,) = motion_notes(motions, [v.stamp_ns for v in pair.views])
        assert "standing still" in note


def test_images_without_features_give_no_motion(rig: Rig, views: Views) -> None:
    black = tuple(replace(v, left=np.zeros_like(v.left)) for v in views.views[:2])
    dark = replace(views, trajectories=(None,), views=black)
    assert not any(
        m.known(v.stamp_ns)
        for m, v in zip(motions_of(dark, rig, choose_depth("stereo", dark, rig)), black, strict=True)
    )
