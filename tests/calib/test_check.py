"""A check passes what is right, fails what is wrong, and says so when it cannot tell."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from calib_corridor import Corridor
from click.testing import CliRunner

from heatnet.calib.check import CameraCheck, CheckConfig, CheckResult, Verdict, check
from heatnet.calib.parameters import Estimate
from heatnet.calib.rig import Rig
from heatnet.calib.views import ThermalFrame, View, Views
from heatnet.cli import main
from heatnet.errors import CalibrationError, NoKeyFrameError

LENIENT = CheckConfig(tolerance_px=1.0)  # four key frames at constant speed leave forward translation open


def moved(rig: Rig, turn_deg: tuple[float, float, float], focal_share: float = 0.0) -> Rig:
    """The rig with every thermal camera turned and of another focal length."""
    for entry in rig.thermal:
        estimate = Estimate(entry.camera, entry.cam_from_cam0)
        step = np.zeros(len(estimate.names))
        step[:3] = np.deg2rad(turn_deg)
        step[6:8] = focal_share * entry.camera.intrinsics[:2]
        wrong = estimate.moved(step)
        rig = rig.with_camera(replace(entry, camera=wrong.camera, cam_from_cam0=wrong.cam_from_cam0))
    return rig


def expect_inconclusive(result: CheckResult, words: str) -> None:
    assert result.status == "inconclusive"
    for camera in result.cameras:
        assert camera.status == "inconclusive"
        assert words in camera.reason
        assert "alignment_error_px" not in camera.as_dict()


def test_the_true_calibration_passes(rig: Rig, views: Views) -> None:
    result = check(views, rig, LENIENT)
    assert result.status == "pass"
    for camera in result.cameras:
        assert camera.distance_px < 0.3
        assert camera.interval_px[0] < camera.interval_px[1] <= 1.0


@pytest.mark.parametrize(
    ("turn_deg", "focal"), [((0.2, -0.2, 0.1), 0.0), ((0.0, 0.0, 0.0), 0.02), ((1.2, 1.5, 0.5), 0)]
)
def test_a_wrong_calibration_fails_and_is_told_what_changed(
    rig: Rig, views: Views, turn_deg: tuple[float, float, float], focal: float
) -> None:
    wrong = moved(rig, turn_deg, focal)
    result = check(views, wrong)
    assert result.status == "fail"
    for camera in result.cameras:
        low, high = camera.interval_px
        assert 0.5 < low < camera.distance_px < high
        assert "degrees" in camera.reason
        assert camera.refined is not None
        back = camera.refined.difference(Estimate(rig[camera.given.name].camera, rig[camera.given.name].cam_from_cam0))
        assert abs(back[2]) < 0.003


def test_what_is_far_from_right_fails_however_far(rig: Rig, views: Views) -> None:
    """Farther than a tape measure or a guess of the pixels may be off: that speaks against what is given."""
    camera = rig["cam2"]
    wide = replace(camera, camera=replace(camera.camera, intrinsics=camera.camera.intrinsics * [1, 1.03, 1, 1]))
    (found,) = check(views, replace(rig, cameras=(*rig.rgb, wide)), LENIENT).cameras
    assert found.status == "fail"
    assert "fx and fy by" in found.reason and "+0.00 +0.00 +0.00" not in found.reason


def test_an_error_within_the_tolerance_asked_for_passes(rig: Rig, views: Views) -> None:
    slightly = moved(rig, (0.1, 0.1, 0.0))
    assert check(views, slightly, CheckConfig(tolerance_px=2.0)).status == "pass"


@pytest.mark.slow
def test_one_wrong_camera_fails_the_rig(rig: Rig, views: Views) -> None:
    wrong = rig.with_camera(moved(rig, (0.4, 0.4, 0.0))["cam2"])
    result = check(views, wrong, LENIENT)
    assert [c.status for c in result.cameras] == ["fail", "pass"]
    assert result.status == "fail"


def test_a_covered_lens_cannot_be_checked(rig: Rig, views: Views) -> None:
    def covered(view: View) -> View:
        noise = np.random.default_rng(0).normal(23000, 6, (256, 320)).astype(np.uint16)
        return replace(view, thermal={n: (ThermalFrame(view.stamp_ns, noise),) for n in view.thermal})

    expect_inconclusive(check(replace(views, views=tuple(covered(v) for v in views.views)), rig), "")


def test_bare_walls_cannot_be_checked(rig: Rig) -> None:
    expect_inconclusive(check(Corridor(rig, frames=3, panels=False).views(), rig), "edge points with depth")


def test_one_key_frame_cannot_be_checked(rig: Rig, views: Views) -> None:
    expect_inconclusive(check(replace(views, views=views.views[:1]), rig), "")


@pytest.mark.slow
def test_thermal_frames_of_other_places_cannot_be_checked(rig: Rig, views: Views) -> None:
    """Edges enough, and none of them where it should be: as of two recordings mixed up."""

    def upside_down(frames: tuple[ThermalFrame, ...]) -> tuple[ThermalFrame, ...]:
        return tuple(replace(f, pixels=f.pixels[::-1, ::-1].copy()) for f in frames)

    shifted = tuple(
        replace(view, thermal={name: upside_down(frames) for name, frames in other.thermal.items()})
        for view, other in zip(views.views, views.views[::-1], strict=True)
    )
    result = check(replace(views, views=shifted), rig)
    assert result.status == "inconclusive"


def test_a_camera_without_frames_is_inconclusive_and_the_other_is_judged(rig: Rig, views: Views) -> None:
    blind = tuple(replace(v, thermal={"cam2": v.thermal["cam2"]}) for v in views.views)
    result = check(replace(views, views=blind), rig, LENIENT)
    assert [c.status for c in result.cameras] == ["pass", "inconclusive"]
    assert "no thermal frame" in result.cameras[1].reason
    assert result.status == "inconclusive"


def test_a_rig_without_thermal_cameras_is_refused(rig: Rig, views: Views) -> None:
    with pytest.raises(CalibrationError, match="no thermal camera"):
        check(views, replace(rig, cameras=rig.rgb))


@pytest.mark.parametrize(("status", "code"), [("pass", 0), ("fail", 1), ("inconclusive", 3)])
def test_the_exit_code_tells_the_verdict(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: Verdict, code: int
) -> None:
    verdict = CheckResult((CameraCheck(rig.thermal[0], status, "because"),), 0.5)
    monkeypatch.setattr("heatnet.calib.check.check", lambda views, rig, config: verdict)
    monkeypatch.setattr("heatnet.dataset_tools.recording.read_recorded_rig", lambda *_: rig)
    monkeypatch.setattr("heatnet.dataset_tools.views.load_views", lambda *_: None)
    done = CliRunner().invoke(main, ["check", "a.bag", "--rig", str(tmp_path / "r.yaml"), "--json"])
    assert done.exit_code == code
    said = json.loads(done.stdout)
    assert (said["status"], said["cameras"]["cam2"]["reason"]) == (status, "because")
    assert ("no longer right" in done.stderr) == (status == "fail")


def test_a_recording_without_a_key_frame_is_inconclusive(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dark(*_: object) -> Views:
        raise NoKeyFrameError("a.bag: no key frame for a calibration (4 left out because RGB is black)")

    monkeypatch.setattr("heatnet.dataset_tools.recording.read_recorded_rig", lambda *_: rig)
    monkeypatch.setattr("heatnet.dataset_tools.views.load_views", dark)
    done = CliRunner().invoke(main, ["check", "a.bag", "--rig", str(tmp_path / "r.yaml"), "--json"])
    assert done.exit_code == 3
    said = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert said["status"] == "inconclusive"
    assert "RGB is black" in said["cameras"]["cam3"]["reason"]
