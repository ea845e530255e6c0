"""Calibration recovers a known rig, says how far it is to be trusted, and refuses what cannot be calibrated."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from calib_corridor import alignment_error, rough

from heatnet.calib.camchain import read_rig, write_rig
from heatnet.calib.pipeline import CalibrationConfig, CalibrationResult, calibrate, write_calibration
from heatnet.calib.report import write_report
from heatnet.calib.rig import Rig
from heatnet.calib.views import ThermalFrame, View, Views
from heatnet.errors import CalibrationError, HeatNetError


def test_both_thermal_cameras_are_recovered_from_degrees_off(rig: Rig, result: CalibrationResult) -> None:
    assert result.status == "good"
    for camera in result.cameras:
        name = camera.after.name
        assert alignment_error(rig[name], camera.before, rig.rgb_left) > 10
        assert alignment_error(rig[name], camera.after, rig.rgb_left) < 0.3


def test_the_stated_error_holds_the_true_one(rig: Rig, result: CalibrationResult) -> None:
    for camera in result.cameras:
        truth = rig[camera.after.name]
        assert alignment_error(truth, camera.after, rig.rgb_left) < camera.stated_px
        names = camera.estimate.names
        found = dict(zip(names, camera.values(), strict=True))
        half = dict(zip(names, camera.uncertainty.half_width, strict=True))
        for name, value in zip(("fx", "fy", "cx", "cy"), truth.camera.intrinsics, strict=True):
            assert abs(found[name] - value) < 2 * half[name], name


def test_rgb_cameras_come_out_unchanged(rig: Rig, result: CalibrationResult) -> None:
    assert result.rig.rgb == rig.rgb


def test_what_lag_and_forward_translation_share_is_said(result: CalibrationResult) -> None:
    """At constant speed the two are one; where the value came from must be told."""
    for camera in result.cameras:
        share = dict(zip(camera.estimate.names, camera.uncertainty.prior_share, strict=True))
        assert share["translation_z"] + share["lag"] > 0.5
        assert any("translation_z" in line for line in camera.prior_directions())


def test_the_files_written_say_what_was_found(tmp_path: Path, rig: Rig, result: CalibrationResult) -> None:
    beside = write_calibration(result, tmp_path / "refined.yaml")
    again = read_rig(tmp_path / "refined.yaml")
    for camera in result.cameras:
        written = again[camera.after.name]
        assert np.allclose(written.camera.intrinsics, camera.after.camera.intrinsics)
        assert np.allclose(written.cam_from_cam0.matrix, camera.after.cam_from_cam0.matrix, atol=1e-7)
    assert beside.name == "calibration.json"
    said = json.loads(beside.read_text())
    assert set(said["cameras"]) == {"cam2", "cam3"}
    for camera_said in said["cameras"].values():
        assert camera_said["image"] == "raw"
        low, high = camera_said["parameters"]["fx"]["interval_95"]
        assert low < camera_said["parameters"]["fx"]["value"] < high
        assert len(camera_said["frames"]) == 4


def test_the_report_is_one_file_that_asks_nothing_of_the_network(
    tmp_path: Path, views: Views, result: CalibrationResult
) -> None:
    write_report(result, views, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert 'src="http' not in text
    assert "url(" not in text.replace("url(#", "")
    assert text.count("data:image/jpeg") >= 4
    assert "corridor" in text


def test_a_camera_that_does_not_convince_is_named_in_the_camchain(tmp_path: Path, result: CalibrationResult) -> None:
    first, *others = result.cameras
    doubtful = replace(result, cameras=(replace(first, status="inconclusive", reason="halves differ"), *others))
    write_calibration(doubtful, tmp_path / "c.yaml")
    first_line = (tmp_path / "c.yaml").read_text().splitlines()[0]
    assert first_line == f"# {first.after.name} is inconclusive, do not use it: halves differ"
    assert len(read_rig(tmp_path / "c.yaml").thermal) == len(result.rig.thermal)
    write_calibration(result, tmp_path / "d.yaml")
    assert "inconclusive" not in (tmp_path / "d.yaml").read_text()


def test_a_full_disk_leaves_no_half_written_calibration(
    tmp_path: Path, result: CalibrationResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, text: str) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(HeatNetError, match="No space left"):
        write_calibration(result, tmp_path / "refined.yaml")
    assert list(tmp_path.iterdir()) == []


def test_a_camchain_that_cannot_be_written_leaves_no_new_calibration_json(
    tmp_path: Path, result: CalibrationResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "refined.yaml").write_text("old")
    (tmp_path / "calibration.json").write_text("old too")
    write_text = Path.write_text

    def refuse(self: Path, text: str) -> int:
        if "refined.yaml" in self.name:
            self.touch()
            raise OSError(28, "No space left on device")
        return write_text(self, text)

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(HeatNetError, match=r"/refined\.yaml: .*No space left"):
        write_calibration(result, tmp_path / "refined.yaml")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"refined.yaml": "old", "calibration.json": "old too"}


def test_an_output_that_cannot_hold_a_camchain_is_refused(tmp_path: Path, result: CalibrationResult) -> None:
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "calibration.json", "beside the camchain")):
        with pytest.raises(CalibrationError, match=words):
            write_calibration(result, path)
    assert list(tmp_path.iterdir()) == []


def changed(views: Views, change: object, count: int = 2) -> Views:
    """The first key frames with one change each."""
    return replace(views, views=tuple(change(v) for v in views.views[:count]))  # type: ignore[operator]


def covered(view: View) -> View:
    noise = np.random.default_rng(0).normal(23000, 6, (256, 320)).astype(np.uint16)
    return replace(view, thermal={n: (ThermalFrame(view.stamp_ns, noise),) for n in view.thermal})


def expect_no_number_to_trust(views: Views, rig: Rig, words: str) -> None:
    """An error with the reason, or a result that calls itself inconclusive."""
    try:
        outcome = calibrate(views, rough(rig, (1.0, 1.0, 0.0)))
    except CalibrationError as error:
        assert words in str(error)
        assert "\n" not in str(error)
    else:
        assert outcome.status == "inconclusive"
        assert all(c.reason for c in outcome.cameras)


def test_a_covered_lens_gives_no_calibration(rig: Rig, views: Views) -> None:
    expect_no_number_to_trust(changed(views, covered), rig, "found again in the thermal images")


@pytest.mark.parametrize("name", ["cam2", "cam3"])
def test_a_covered_lens_spares_the_other_camera(rig: Rig, views: Views, name: str) -> None:
    def half_covered(view: View) -> View:
        return replace(view, thermal=view.thermal | {name: covered(view).thermal[name]})

    outcome = calibrate(changed(views, half_covered, 4), rough(rig, (1.0, 1.0, 0.0)))
    (camera,) = outcome.cameras
    assert camera.status == "good"
    assert alignment_error(rig[camera.after.name], camera.after, rig.rgb_left) < 0.3
    assert outcome.status == "inconclusive"
    assert any(name in line and "found again in the thermal images" in line for line in outcome.lines())
    assert (outcome.rig[name].camera.intrinsics == rough(rig, (1.0, 1.0, 0.0))[name].camera.intrinsics).all()


def test_total_darkness_gives_no_calibration(rig: Rig, views: Views) -> None:
    def dark(view: View) -> View:
        black = np.random.default_rng(1).poisson(1.0, view.left.shape).astype(np.uint8)
        return replace(view, left=black, right=black[:, ::-1].copy())

    expect_no_number_to_trust(changed(views, dark), rig, "edge points with depth")


@pytest.mark.parametrize("scene", ["a blank wall", "sky only"])
def test_where_there_is_nothing_to_see_there_is_no_calibration(rig: Rig, views: Views, scene: str) -> None:
    def bare(view: View) -> View:
        generator = np.random.default_rng(view.stamp_ns % 97)
        rows, columns = view.left.shape[:2]
        falling = np.linspace(180, 120 if scene == "sky only" else 180, rows)[:, None, None]
        left, right = (
            np.clip(falling + generator.normal(0, 2, (rows, columns, 3)), 0, 255).astype(np.uint8) for _ in range(2)
        )
        shade = np.linspace(22800, 22500 if scene == "sky only" else 22800, 256)[:, None]
        cool = {n: (shade + generator.normal(0, 6, (256, 320))).astype(np.uint16) for n in view.thermal}
        frames = {n: (ThermalFrame(view.stamp_ns, pixels),) for n, pixels in cool.items()}
        return replace(view, left=left, right=right, thermal=frames)

    expect_no_number_to_trust(changed(views, bare, 4), rig, "edge points with depth")


def test_swapped_left_and_right_give_no_calibration(rig: Rig, views: Views) -> None:
    swapped = changed(views, lambda v: replace(v, left=v.right, right=v.left))
    expect_no_number_to_trust(swapped, rig, "left and right")


def test_a_rig_file_with_left_and_right_swapped_is_said(rig: Rig, views: Views) -> None:
    first, second = rig.rgb
    back = second.cam_from_cam0.inverse()
    mirrored = rig.with_camera(replace(second, cam_from_cam0=replace(back, translation=back.translation)))
    with pytest.raises(CalibrationError, match="swapped"):
        calibrate(changed(views, lambda v: v), mirrored)
    assert first.name == "cam0"


def test_one_key_frame_is_inconclusive(rig: Rig, views: Views) -> None:
    expect_no_number_to_trust(changed(views, lambda v: v, 1), rig, "edge points")


def test_a_standing_rig_is_inconclusive(rig: Rig, views: Views) -> None:
    def stays(view: View) -> View:
        first = views.views[0]
        noise = np.random.default_rng(view.stamp_ns % 97).integers(0, 4, first.left.shape, dtype=np.uint8)
        return replace(first, stamp_ns=view.stamp_ns, left=first.left // 2 + noise, right=first.right // 2 + noise)

    expect_no_number_to_trust(changed(views, stays, 4), rig, "1 key frames of different places (4 in all)")


def test_swapped_thermal_cameras_are_inconclusive(rig: Rig, views: Views) -> None:
    other = {"cam2": "cam3", "cam3": "cam2"}
    swapped = changed(views, lambda v: replace(v, thermal={n: v.thermal[o] for n, o in other.items()}), 3)
    expect_no_number_to_trust(swapped, rig, "found again in the thermal images")


def test_no_thermal_frames_are_said(rig: Rig, views: Views) -> None:
    with pytest.raises(CalibrationError, match="no thermal frame"):
        calibrate(changed(views, lambda v: replace(v, thermal={})), rig)


def test_without_a_right_image_stereo_depth_is_refused(rig: Rig, views: Views) -> None:
    with pytest.raises(CalibrationError, match="right RGB camera"):
        calibrate(changed(views, lambda v: replace(v, right=None)), rig, CalibrationConfig(depth="stereo"))


def test_an_unknown_kind_of_depth_is_refused(rig: Rig, views: Views) -> None:
    with pytest.raises(CalibrationError, match="depth"):
        calibrate(views, rig, CalibrationConfig(depth="guess"))


def test_images_of_another_size_than_the_rig_file_says_are_refused(rig: Rig, views: Views) -> None:
    small = changed(views, lambda v: replace(v, right=v.right[::2, ::2]))
    with pytest.raises(CalibrationError, match="rig file says"):
        calibrate(small, rig)


def test_the_rig_written_before_is_what_was_read(tmp_path: Path, rig: Rig) -> None:
    write_rig(tmp_path / "rig.yaml", rig)
    assert np.allclose(read_rig(tmp_path / "rig.yaml")["cam3"].cam_from_cam0.matrix, rig["cam3"].cam_from_cam0.matrix)


def test_a_thermal_camera_without_frames_is_named_and_not_called_good(
    tmp_path: Path, rig: Rig, result: CalibrationResult
) -> None:
    half = replace(result, cameras=result.cameras[:1])
    assert half.status == "inconclusive"
    write_calibration(half, tmp_path / "c.yaml")
    assert (tmp_path / "c.yaml").read_text().startswith("# cam3 /ir_right: no frame in the recordings; left as given")
    assert json.loads((tmp_path / "calibration.json").read_text())["unseen"]
