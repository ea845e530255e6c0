"""Landmarks of many frames, asked at once, are those of each frame."""

from dataclasses import replace

import numpy as np
import pytest

from heatnet.calib.config import CalibrationConfig
from heatnet.calib.depth_choice import choose_depth
from heatnet.calib.matching import Search
from heatnet.calib.observations import Observe
from heatnet.calib.parameters import Estimate
from heatnet.calib.rig import Rig
from heatnet.calib.scene import observer, prepare
from heatnet.calib.solve import match
from heatnet.calib.views import Views

EVERY_FRAME = 9


@pytest.fixture(scope="module")
def seen_by(rig: Rig, views: Views) -> dict[str, Observe]:
    twice = (replace(v, thermal={n: f[:1] * 2 for n, f in v.thermal.items()}) for v in views.views[:3])
    some = replace(views, views=tuple(twice))
    scenes = prepare(some, rig, CalibrationConfig().edges, choose_depth("stereo", some, rig))
    both = {name: observer(scenes, name) for name in ("cam2", "cam3")}
    return {**both, **{str(i): observer(scenes[i : i + 1], "cam2") for i in range(len(scenes))}}


def test_matches_of_all_frames_are_those_of_each(rig: Rig, seen_by: dict[str, Observe]) -> None:
    truth = Estimate(rig["cam2"].camera, rig["cam2"].cam_from_cam0)
    together = match(seen_by["cam2"](0.7, EVERY_FRAME), truth, Search(3))
    alone = [match(seen_by[str(i)](0.7, EVERY_FRAME), truth, Search(3)) for i in range(3)]
    assert together.tried == sum(m.tried for m in alone)
    apart = np.abs(together.residuals - np.concatenate([m.residuals for m in alone]))
    assert np.quantile(apart, 0.99) < 1e-3  # places of later images are rounded a little more
    assert apart.max() < 1 / 32  # of a pixel: in such steps OpenCV 4 interpolates
    assert np.array_equal(together.views, np.concatenate([m.views for m in alone]))
    assert len(np.unique(together.views)) == 3


def test_a_landmark_has_the_same_number_in_every_camera_and_frame(seen_by: dict[str, Observe]) -> None:
    left, right = (seen_by[name](0.7, 1) for name in ("cam2", "cam3"))
    assert np.array_equal(left.numbers, right.numbers)
    assert len(np.unique(left.numbers)) == len(left.points)
    often = seen_by["cam2"](0.7, EVERY_FRAME)
    assert len(often.views) > len(left.views)
    assert np.array_equal(np.unique(often.numbers), left.numbers)


def test_fewer_landmarks_stand_for_all(seen_by: dict[str, Observe]) -> None:
    every = seen_by["cam2"](0.7, EVERY_FRAME)
    few = every.thinned(1000)
    assert len(few.points) <= 1000 + len(few.views)
    assert len(few.points) * few.worth == pytest.approx(len(every.points), rel=0.02)
    assert np.array_equal(np.unique(few.images), np.unique(every.images))
    assert every.thinned(10**6) is every


def test_cameras_ask_the_same_landmarks_though_one_lacks_a_frame(rig: Rig, views: Views) -> None:
    some = replace(views, views=views.views[:3])
    scenes = prepare(some, rig, CalibrationConfig().edges, choose_depth("stereo", some, rig))
    blind = replace(scenes[0].view, thermal={"cam2": scenes[0].view.thermal["cam2"]})
    scenes = (replace(scenes[0], view=blind), *scenes[1:])
    left, right = (observer(scenes, name)(0.7, 1).every(3) for name in ("cam2", "cam3"))
    assert len(right.numbers) < len(left.numbers)
    assert np.isin(right.numbers, left.numbers).all()


def test_estimates_apart_are_as_far_apart_as_the_image_moves(rig: Rig, seen_by: dict[str, Observe]) -> None:
    truth = Estimate(rig["cam2"].camera, rig["cam2"].cam_from_cam0)
    step = np.zeros(len(truth.names))
    step[truth.names.index("cx")] = 0.75
    assert seen_by["cam2"](0.7, 1).apart_px(truth, truth.moved(step)) == pytest.approx(0.75)
