"""Key frames are chosen by what they add, and what cannot be used is left out with its reason."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from heatnet.calib.glance import CELLS, Glance, Onlooker, sharpness_of
from heatnet.calib.rig import Rig
from heatnet.calib.selection import Candidate, choose
from heatnet.calib.views import Views


def candidate(
    second: int,
    cells: dict[tuple[int, int, int], float],
    motion: str = "at the usual speed",
    recording: int = 0,
    way_m: float = 10,
) -> Candidate:
    """A key frame with so many edges by depth, ring and sector."""
    structure = np.zeros((1, *CELLS))
    for cell, count in cells.items():
        structure[(0, *cell)] = count
    thumbnail = np.random.default_rng([recording, second]).integers(0, 255, (20, 60), dtype=np.uint8)
    glance = Glance(structure, thumbnail, 2.0, "", {"cam2": ""})
    return Candidate(recording, second * 10**9, np.array([way_m * second, 0, 0]), motion, glance)


def used(candidates: list[Candidate], count: int) -> list[tuple[int, int]]:
    return [(c.recording, c.stamp_ns // 10**9) for c in choose(candidates, count) if c.used]


def test_what_nobody_else_shows_is_chosen_before_more_of_the_same() -> None:
    plenty = {(1, 0, s): 60.0 for s in range(8)}
    near = {(0, 2, s): 25.0 for s in range(4)}
    frames = [candidate(i, plenty) for i in range(10)] + [candidate(10, near)]
    assert (0, 10) in used(frames, 3)


@pytest.mark.parametrize("motion", ["turning left", "slower than usual"])
def test_what_tells_the_lag_is_chosen_among_steady_driving(motion: str) -> None:
    frames = [candidate(i, {(1, 0, 0): 50.0 + i}) for i in range(10)] + [candidate(10, {(1, 0, 0): 45.0}, motion)]
    chosen = choose(frames, 3)
    assert chosen[10].used and motion in chosen[10].reason


def test_places_apart_are_chosen_before_places_side_by_side() -> None:
    frames = [candidate(i, {(1, 0, 0): 50.0}, way_m=0.3 if i < 8 else 10) for i in range(10)]
    assert {(0, 8), (0, 9)} <= set(used(frames, 3))


def test_every_recording_gets_its_share_and_leaves_what_it_cannot_fill() -> None:
    rich = [candidate(i, {(1, 0, 0): 500.0}) for i in range(10)]
    poor = [candidate(i, {(1, 0, 0): 5.0}, recording=1) for i in range(3)]
    assert sorted(r for r, _ in used([*rich, *poor], 8)) == [0] * 5 + [1] * 3


def test_a_standing_rig_is_used_once() -> None:
    first = candidate(0, {(1, 0, 0): 50.0})
    frames = [replace(first, stamp_ns=i * 10**9) for i in range(5)]
    choices = choose(frames, 4)
    assert sum(c.used for c in choices) == 1
    assert all("shows the same as the one at" in c.reason for c in choices if not c.used)


def test_every_key_frame_looked_at_has_a_reason() -> None:
    frames = [candidate(i, {(i % 3, 0, 0): 50.0}) for i in range(30)]
    choices = choose(frames, 5)
    assert len(choices) == 30 and sum(c.used for c in choices) == 5 and all(c.reason for c in choices)
    assert choose([], 5) == []


def spoiled(frame: Candidate, **changed: object) -> Candidate:
    return replace(frame, glance=replace(frame.glance, **changed))  # type: ignore[arg-type]


def test_flawed_key_frames_are_never_used_even_where_others_lack() -> None:
    frames = [candidate(i, {(1, 0, 0): 50.0}) for i in range(4)]
    frames[0] = spoiled(frames[0], flaw="RGB is black")
    frames[1] = spoiled(frames[1], thermal_flaws={"cam2": "shutter closed", "cam3": "shutter closed"})
    frames[2] = spoiled(frames[2], thermal_flaws={"cam2": "shutter closed", "cam3": ""})
    choices = choose(frames, 4)
    assert [c.used for c in choices] == [False, False, True, True]
    assert [c.reason for c in choices[:2]] == ["RGB is black", "shutter closed"]


def test_one_blurred_among_sharp_ones_is_left_out() -> None:
    frames = [candidate(i, {(1, 0, 0): 50.0}) for i in range(6)]
    frames[2] = spoiled(frames[2], sharpness=0.9)
    choices = choose(frames, 6)
    assert choices[2].reason == "RGB is blurred" and sum(c.used for c in choices) == 5


@pytest.fixture(scope="module")
def frame(views: Views) -> dict[str, NDArray[np.uint16]]:
    return {name: frames[0].pixels for name, frames in views.views[1].thermal.items()}


def look(rig: Rig, views: Views, **changed: object) -> Glance:
    """A look at a key frame of the corridor, something changed."""
    view, before = views.views[1], views.views[0]
    thermal = {n: (f[0].pixels, before.thermal[n][0].pixels) for n, f in view.thermal.items()}
    seen = {"left": view.left, "right": view.right, "thermal": thermal} | changed
    return Onlooker(rig).look(**seen)  # type: ignore[arg-type]


def test_a_good_key_frame_shows_structure_near_and_far_in_both_cameras(rig: Rig, views: Views) -> None:
    glance = look(rig, views)
    assert glance.flaw == "" and glance.thermal_flaws == {"cam2": "", "cam3": ""}
    assert glance.structure.shape == (2, *CELLS)
    assert (glance.structure.sum(axis=(1, 2, 3)) > 100).all()
    assert (glance.structure.sum(axis=(0, 2, 3)) > 20).all()  # near, middling and far


def test_black_and_white_images_are_flawed(rig: Rig, views: Views) -> None:
    left = views.views[1].left
    assert look(rig, views, left=left // 64).flaw == "RGB is black"
    assert "overexposed" in look(rig, views, left=np.maximum(left, 252)).flaw


def test_a_closed_shutter_and_a_covered_lens_are_flaws(rig: Rig, views: Views, frame: dict[str, NDArray]) -> None:
    noise = np.random.default_rng(0).normal(23000, 6, (256, 320)).astype(np.uint16)
    glance = look(rig, views, thermal={"cam2": (frame["cam2"], frame["cam2"].copy()), "cam3": (noise, frame["cam3"])})
    assert "shutter closed" in glance.thermal_flaws["cam2"]
    assert "lens covered" in glance.thermal_flaws["cam3"]
    assert glance.structure.sum() == 0


def test_without_a_right_image_all_counts_as_halfway_off(rig: Rig, views: Views) -> None:
    depths = look(rig, views, right=None).structure.sum(axis=(0, 2, 3))
    assert depths[1] > 100 and depths[0] + depths[2] < 0.1 * depths[1]


def test_blur_lowers_the_sharpness(views: Views) -> None:
    green = views.views[0].left[..., 1]
    blurred = cv2.GaussianBlur(green, (0, 0), 3.0)
    assert sharpness_of(blurred) < 0.6 * sharpness_of(green)
