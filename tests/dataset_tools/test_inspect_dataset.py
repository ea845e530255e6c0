"""A dataset at a glance: the figures are those of its samples, and the picture shows them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_validate import make_dataset, make_sample

from heatnet.dataset_tools.inspect_dataset import contact_sheet, inspect_dataset
from heatnet.dataset_tools.shards import Dataset, Manifest, write_manifest


def test_the_summary_counts_what_is_there(tmp_path: Path) -> None:
    half = np.repeat(np.array([[3], [13]], np.uint8), 12, axis=0) * np.ones((1, 32), np.uint8)
    counts = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) + 22_000
    valid = np.ones((24, 32), np.uint8)
    valid[:12] = 0
    samples = [make_sample(i, label=half, thermal=counts, valid=valid) for i in range(3)]
    make_dataset(tmp_path, {"train": samples, "test": [make_sample(9)]})
    summary = inspect_dataset(tmp_path)
    train, test = summary.groups
    assert (train.split, train.domain, train.samples, train.labelled) == ("train", "day", 3, 3)
    assert train.classes == {"curb": 1.0} and train.valid == 0.5
    assert train.thermal_counts == pytest.approx((22_387, 22_575, 22_764), abs=2)
    assert train.thermal_lag_ms == (4.0, 4.0) and train.sun_elevation_deg == (40.0, 40.0)
    assert test.samples == 1 and summary.size == (32, 24) and summary.shards == 2
    json.dumps(summary.as_dict(), allow_nan=False)


def test_the_contact_sheet_shows_every_group(tmp_path: Path) -> None:
    make_dataset(tmp_path / "d", {"train": [make_sample(i) for i in range(9)], "test": [make_sample(20)]})
    contact_sheet(Dataset.open(tmp_path / "d"), tmp_path / "sheet.png", rows=4)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None and sheet.shape == (3 * (264 + 22), 5 * 352, 3) and sheet.std() > 20


def test_the_figures_are_drawn_from_what_is_there(tmp_path: Path) -> None:
    make_dataset(tmp_path / "d", {"train": [make_sample(i) for i in range(9)], "test": [make_sample(20)]})
    inspect_dataset(tmp_path / "d", tmp_path / "figures.png")
    picture = cv2.imread(str(tmp_path / "figures.png"))
    assert picture is not None and picture.shape == (800, 1400, 3) and picture.std() > 20


def test_an_empty_dataset_can_be_looked_at(tmp_path: Path) -> None:
    write_manifest(tmp_path, Manifest())
    assert inspect_dataset(tmp_path, tmp_path / "figures.png").groups == ()
    contact_sheet(Dataset.open(tmp_path), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").is_file()
