"""Counts of any thermal camera are scaled by a range that fits them, one for a whole dataset."""

from pathlib import Path

import flat_street
import numpy as np
import pytest
from flat_street import NOON_NS, make_recording, write_calibration

from heatnet.dataset_tools.align import GridConfig
from heatnet.dataset_tools.build import BuildConfig, build_dataset
from heatnet.dataset_tools.counts import EIGHT_BIT, USUAL, known_range
from heatnet.dataset_tools.shards import Dataset

CONFIG = BuildConfig(grid=GridConfig(240), depth="infinite")


def ranges(root: Path) -> set[tuple[float, float]]:
    return {tuple(record.thermal_range) for record in Dataset.open(root).manifest.shards}


def test_images_of_8_bits_and_of_a_street_need_no_measuring() -> None:
    street = np.full((4, 4), 23_000, np.uint16)
    street[0] = 0
    assert known_range([np.full((4, 4), 90, np.uint8)]) == EIGHT_BIT
    assert known_range([street]) == USUAL
    assert known_range([street // 4]) is None


def test_a_camera_of_14_bits_gives_a_measured_range_that_its_dataset_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig_file = write_calibration(tmp_path / "rig.yaml")
    usual = make_recording(tmp_path / "usual", frames=2, start_ns=NOON_NS + 600 * 10**9, labelled=False)
    counts = flat_street.counts
    monkeypatch.setattr(flat_street, "counts", lambda seen: counts(seen) / 4)
    odd = make_recording(tmp_path / "odd", frames=2, labelled=False)
    build_dataset([odd], rig_file, tmp_path / "out", CONFIG)
    ((low, high),) = ranges(tmp_path / "out")
    assert 5000 < low < 5600 < 6000 < high < 6300
    assert (
        len(caplog.messages) == 1 and "odd" in caplog.messages[0] and f"{low:.0f} to {high:.0f}" in caplog.messages[0]
    )
    build_dataset([odd, usual], rig_file, tmp_path / "out", CONFIG)
    assert ranges(tmp_path / "out") == {(low, high)} and len(Dataset.open(tmp_path / "out").refs()) == 4
    build_dataset([usual], rig_file, tmp_path / "usual_out", CONFIG)
    assert ranges(tmp_path / "usual_out") == {USUAL}
