"""The report shows the true calibration on the edges, and says what was used, why, and how far to trust it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from heatnet.calib.figures import cell_counts
from heatnet.calib.overlay import rgb_in_thermal, strokes
from heatnet.calib.parameters import Estimate
from heatnet.calib.pipeline import CalibrationResult
from heatnet.calib.report import write_report
from heatnet.calib.result import CameraResult
from heatnet.calib.rig import Rig
from heatnet.calib.svg import VIRIDIS, Scale, heat_map
from heatnet.calib.views import Choice, Views
from heatnet.calib.words import weak_directions


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, views: Views, result: CalibrationResult) -> str:
    """The report of the corridor, of whose key frames one was left out."""
    left_out = Choice(0, 17 * 10**9, False, "the shutter was <closed>")
    result = replace(result, choices=(*result.choices, left_out))
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(result, views, path)
    return path.read_text()


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "url(" not in page and "@import" not in page and "<link" not in page
    assert len(page) < 8e6


def test_the_verdict_stands_before_everything_else(page: str, result: CalibrationResult) -> None:
    for camera in result.cameras:
        assert page.index(f"{camera.stated_px:.2f} px</b> or better") < page.index("Before and after")


def test_an_inconclusive_camera_shows_no_number_to_trust(
    tmp_path: Path, views: Views, result: CalibrationResult
) -> None:
    doubtful = replace(result.cameras[0], status="inconclusive", reason="halves differ", split_half_px=9.0)
    write_report(replace(result, cameras=(doubtful,)), views, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "Do not use this one" in text and "or better" not in text
    assert text.count("✘") == 1


def test_every_picture_has_both_calibrations_and_both_modalities(page: str) -> None:
    count = page.count('class="stack"')
    assert count >= 4
    for part in ('alt="thermal image"', 'class="rgb"', '<svg class="before"', '<svg class="after"'):
        assert page.count(part) == count


def test_frames_used_and_left_out_stand_with_their_reasons(page: str) -> None:
    assert page.count("<figure>") == 4
    assert "1 looked at and left out" in page
    assert "the shutter was &lt;closed&gt;" in page


def test_names_from_outside_cannot_write_the_page(tmp_path: Path, views: Views, result: CalibrationResult) -> None:
    evil = "<script>alert(1)</script>"
    write_report(replace(result, recordings=(evil,)), replace(views, recordings=(evil,)), tmp_path / "report.html")
    assert evil not in (tmp_path / "report.html").read_text()


def camera_of(result: CalibrationResult) -> CameraResult:
    return result.cameras[0]


def truth(rig: Rig, camera: CameraResult) -> Estimate:
    true = rig[camera.after.name]
    return Estimate(true.camera, true.cam_from_cam0)


def test_strokes_move_onto_where_the_truth_puts_them(rig: Rig, result: CalibrationResult) -> None:
    camera, scene = camera_of(result), result.scenes[1]
    frame = scene.view.thermal[camera.after.name][0]
    guess = Estimate(camera.before.camera, camera.before.cam_from_cam0)
    middle = [np.median(strokes(scene, frame, e).pixels, axis=0) for e in (guess, camera.estimate, truth(rig, camera))]
    assert np.linalg.norm(middle[0] - middle[2]) > 3
    assert np.linalg.norm(middle[1] - middle[2]) < 0.5


def test_rgb_bent_into_thermal_has_its_edges_where_the_truth_has_them(rig: Rig, result: CalibrationResult) -> None:
    camera, scene = camera_of(result), result.scenes[1]
    frame = scene.view.thermal[camera.after.name][0]
    bent = rgb_in_thermal(scene, frame, truth(rig, camera), rig.rgb_left)
    assert bent.shape == (*frame.pixels.shape, 3)
    places = strokes(scene, frame, truth(rig, camera)).pixels
    steep = np.hypot(*np.gradient(bent[..., 1].astype(float)))
    columns, rows = np.rint(places).astype(int).T
    lit = bent[rows, columns].max(axis=1) > 0
    assert lit.mean() > 0.9
    assert np.median(steep[rows, columns][lit]) > 2 * np.median(steep[bent.max(axis=2) > 0])


def test_coverage_counts_every_edge_once(result: CalibrationResult) -> None:
    camera = camera_of(result)
    assert np.nansum(cell_counts(camera)) == pytest.approx(camera.fit.matches.worth.sum())


def test_a_map_leaves_holes_where_nothing_is_known() -> None:
    values = np.array([[1.0, np.nan], [2.0, 3.0]])
    assert heat_map(values, (20, 20), Scale(0, 3, "px", VIRIDIS), "t").count("<title>") == 3
    scale = Scale(0, 3, "px", VIRIDIS)
    assert (scale.colour(-1), scale.colour(5)) == (VIRIDIS[0], VIRIDIS[-1])


def test_weak_directions_are_said_in_words() -> None:
    correlation = np.array([[1, 0.998, 0], [0.998, 1, 0], [0, 0, 1]])
    lines = weak_directions(("rotation_x", "cy", "lag"), np.array([0, 0.1, 0.8]), correlation, np.array([0.04, 0.1, 2]))
    assert len(lines) == 2 and "moves the alignment by 0.10 px" in lines[1]
    assert "lag" in lines[0] and "80%" in lines[0]
    assert "pitch" in lines[1] and "image centre down" in lines[1] and "same sense" in lines[1]
