"""What is asked for on the command line is what the dataset is."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from flat_street import NOON_NS, make_recording, make_rig, write_calibration

from heatnet.cli import main
from heatnet.dataset_tools.shards import Dataset


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    write_calibration(folder / "rig.yaml")
    return make_recording(folder)


def build(drive: Path, out: Path, *options: object) -> Result:
    arguments = ["build-dataset", drive, "--calibration", drive.parent / "rig.yaml", "-o", out, *options]
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def built(drive: Path, out: Path, *options: object) -> Dataset:
    result = build(drive, out, *options)
    assert result.exit_code == 0, result.output
    return Dataset.open(out)


def test_width_and_crop_make_the_grid(drive: Path, tmp_path: Path) -> None:
    dataset = built(drive, tmp_path / "out", "--width", 120, "--crop", 20, 2, 64, 24)
    sample = dataset.read(dataset.refs()[0], check=True)
    assert sample.rgb.shape == (24, 64, 3) and sample.thermal.shape == sample.valid.shape == (24, 64)
    whole = built(drive, tmp_path / "whole", "--width", 120, "--crop", 0, 0, 120, 32)
    assert np.array_equal(whole.read(whole.refs()[0]).rgb[2:26, 20:84], sample.rgb)
    assert "leaves the image" in build(drive, tmp_path / "no", "--width", 120, "--crop", 90, 0, 64, 24).stderr


def test_a_plane_stands_where_it_is_told_to(drive: Path, tmp_path: Path) -> None:
    near, far, infinite = (
        built(drive, tmp_path / name, "--width", 240, "--depth", *options).read
        for name, options in (
            ("near", ("plane", "--plane", 4)),
            ("far", ("plane", "--plane", 1e6)),
            ("inf", ("infinite",)),
        )
    )
    refs = Dataset.open(tmp_path / "near").refs()
    assert np.array_equal(far(refs[0]).thermal, infinite(refs[0]).thermal)
    assert (near(refs[0]).thermal != far(refs[0]).thermal).mean() > 0.3


def test_a_tolerance_below_the_offset_of_the_stamps_pairs_nothing(drive: Path, tmp_path: Path) -> None:
    assert len(built(drive, tmp_path / "a", "--width", 240, "--tolerance", 4.1).refs()) == 4
    result = build(drive, tmp_path / "b", "--width", 240, "--tolerance", 3.9)
    assert result.exit_code == 1 and "the tolerance is 3.9 ms" in result.stderr


def test_what_counts_as_day_and_night_can_be_moved(drive: Path, tmp_path: Path) -> None:
    """The sun stands at 57 degrees."""
    options = ("--width", 240, "--day-above", 60, "--night-below", 50)
    for twilight in ("day", "night"):
        refs = built(drive, tmp_path / twilight, *options, "--twilight", twilight).refs()
        assert {ref.domain for ref in refs} == {twilight} and len(refs) == 4
    assert build(drive, tmp_path / "drop", *options, "--twilight", "drop").exit_code == 1
    assert {
        r.domain for r in built(drive, tmp_path / "n", "--width", 240, "--day-above", 70, "--night-below", 65).refs()
    } == {"night"}
    assert "overlap" in build(drive, tmp_path / "no", "--day-above", -10).stderr


def test_another_thermal_camera_is_taken_by_name_and_wrong_names_are_refused(drive: Path, tmp_path: Path) -> None:
    name = make_rig().thermal[0].name
    dataset = built(drive, tmp_path / "a", "--width", 240, "--thermal-camera", name)
    assert dataset.manifest.provenance[0]["topics"]["thermal"] == "/ir_left"
    result = build(drive, tmp_path / "b", "--thermal-camera", "cam7")
    assert result.exit_code == 1 and f"no thermal camera cam7; it has {name}" in result.stderr


def test_a_topic_counts_as_thermal_where_told(drive: Path, tmp_path: Path) -> None:
    options = ("--width", 240, "--depth", "plane", "--thermal-camera", "cam1")
    assert "no thermal camera cam1" in build(drive, tmp_path / "no", *options).stderr
    dataset = built(drive, tmp_path / "out", *options, "--thermal", "/rgb_right")
    assert dataset.manifest.provenance[0]["topics"]["thermal"] == "/rgb_right"


def test_fractions_and_margin_cut_a_drive(tmp_path: Path) -> None:
    write_calibration(tmp_path / "rig.yaml")
    drive = make_recording(tmp_path, frames=12)
    options = ("--width", 240, "--fractions", 0.5, 0, 0.5, "--margin", 0.4)
    refs = built(drive, tmp_path / "out", *options, "--depth", "plane").refs()
    stamps = {ref.split: [] for ref in refs}
    dataset = Dataset.open(tmp_path / "out")
    for ref in refs:
        stamps[ref.split].append((dataset.read(ref).rgb_stamp_ns - NOON_NS) / 1e9)
    assert set(stamps) == {"train", "test"} and max(stamps["train"]) + 0.4 <= min(stamps["test"])
    assert build(drive, tmp_path / "no", "--fractions", 0, 0, 0).exit_code == 1


def test_a_rig_file_may_say_when_it_was_made(drive: Path, tmp_path: Path) -> None:
    dated = tmp_path / "rig.yaml"
    dated.write_text((drive.parent / "rig.yaml").read_text() + "calibrated: 2024-05-01\n")
    arguments = ["build-dataset", drive, "--calibration", dated, "-o", tmp_path / "out", "--width", 120]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    (document,) = (Dataset.open(tmp_path / "out").manifest.calibration or {}).values()
    assert document["calibrated"] == "2024-05-01"


def test_the_settings_are_written_beside_the_dataset(drive: Path, tmp_path: Path) -> None:
    built(drive, tmp_path / "out", "--width", 240, "--tolerance", 9, "--twilight", "drop", "--depth", "plane")
    config = json.loads((tmp_path / "out/manifest.json").read_text())["config"]
    assert config["tolerance_ms"] == 9 and config["sun"]["twilight"] == "drop" and config["grid"]["width"] == 240
