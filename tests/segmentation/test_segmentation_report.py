"""The report is one file that needs no network, and holds what it promises."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from heatnet.errors import DatasetError, HeatNetError
from heatnet.segmentation.figures import confusion_matrices, loss_curves
from heatnet.segmentation.frames import Frame
from heatnet.segmentation.report import thermal_picture, write_report


def test_training_leaves_a_report_that_stands_alone(toy_run: Path) -> None:
    page = (toy_run / "report.html").read_text()
    assert not re.search(r"""(src|href)=["']?(?!data:)(https?:|//|\.)""", page)
    assert "<script" not in page
    assert page.count("<img ") == 2 * 2 * 4 * 6  # some and the best and worst; day and night, four frames, six pictures
    for word in (
        "RGB teacher",
        "Night teacher (RGB-T)",
        "HeatNet",
        "person",
        "by day",
        "by night",
        "confusion of the critics",
        "calibration error",
        "before the critic",
        "best and its worst frames",
    ):
        assert word in page
    assert page.count("<svg") == 6  # three of curves, confusions, reliability, features


def test_a_report_of_one_checkpoint_has_its_scores_alone(toy_run: Path, toy_dataset: Path, tmp_path: Path) -> None:
    scores = write_report(toy_run / "heatnet" / "best.pt", toy_dataset, "val", tmp_path / "r.html", ["car", "person"])
    page = (tmp_path / "r.html").read_text()
    assert list(scores["models"]) == ["heatnet"] and "Night teacher (RGB-T)" not in page
    assert "confusion of the critics" in page  # the run's curves are found beside the checkpoint


def test_a_report_goes_without_what_a_broken_last_checkpoint_would_have_shown(
    toy_run: Path, toy_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(toy_run, tmp_path / "run")
    last = tmp_path / "run" / "heatnet" / "last.pt"
    last.write_bytes(last.read_bytes()[:-3000])
    write_report(tmp_path / "run", toy_dataset, "val", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "confusion of the critics" in page and "before the critic" not in page
    (line,) = caplog.messages
    assert "last.pt: not a checkpoint" in line and "without the features" in line


def test_a_report_that_cannot_be_written_or_scored_leaves_nothing(
    toy_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError):
        write_report(toy_run, toy_dataset, "test", tmp_path / "r.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(HeatNetError, match="file"):
        write_report(toy_run, toy_dataset, "val", tmp_path / "file" / "r.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_curves_are_drawn_without_validation_and_matrices_without_some_classes() -> None:
    lines = [{"kind": "loss", "step": step, "day": 1.0 / (step + 1)} for step in range(30)]
    assert "no validation split" in loss_curves(lines)
    counts = np.zeros((13, 13), np.int64)
    counts[10, 9] = 5
    drawing = confusion_matrices({"night": counts})
    assert "by night" in drawing and "car" in drawing and "sky" not in drawing


def test_thermal_is_shown_with_its_own_contrast_and_missing_cover_marked() -> None:
    thermal = np.linspace(-0.2, 0.1, 60, dtype=np.float32).reshape(6, 10)
    valid = np.ones((6, 10), bool)
    valid[:, 0] = False
    blank = np.zeros((6, 10))
    frame = Frame(np.zeros((6, 10, 3), np.uint8), thermal, valid, blank.astype(np.uint8), blank.astype(np.float32))
    shown = thermal_picture(frame)
    assert shown[5, 9].tolist() == [255] * 3 and shown[0, 0, 2] > shown[0, 0, 0]
