"""A damaged recording is refused in one line, or used as far as it can be read; one given twice is refused."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flat_street import make_recording, make_rig, write_calibration

from heatnet.dataset_tools.align import GridConfig
from heatnet.dataset_tools.build import BuildConfig, build_dataset
from heatnet.dataset_tools.recording import read_recorded_rig
from heatnet.dataset_tools.shards import Dataset
from heatnet.dataset_tools.views import ViewsConfig, load_views
from heatnet.errors import RecordingError


def view(recordings: list[Path], rig_file: Path, out: Path, salvage: bool = False) -> int:
    return len(load_views(recordings, make_rig(), ViewsConfig(salvage=salvage)).views)


def build(recordings: list[Path], rig_file: Path, out: Path, salvage: bool = False) -> int:
    build_dataset(recordings, rig_file, out, BuildConfig(grid=GridConfig(240), depth="infinite", salvage=salvage))
    return len(Dataset.open(out).refs())


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("drive"), frames=6, labelled=False)


@pytest.fixture(scope="module")
def rig_file(drive: Path) -> Path:
    return write_calibration(drive.parent / "rig.yaml")


@pytest.mark.parametrize("use", [view, build])
def test_a_cut_off_recording_is_refused_in_one_line_and_used_on_request(
    use: Callable[..., Any], drive: Path, rig_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = drive.read_bytes()
    cut = tmp_path / "cut.bag"
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    with caplog.at_level(logging.WARNING):
        with pytest.raises(RecordingError, match=r"cut\.bag: damaged \(.*\); --salvage uses what can be read$"):
            use([cut], rig_file, tmp_path / "out")
        assert not caplog.messages and not (tmp_path / "out").exists()
        assert 2 <= use([cut], rig_file, tmp_path / "out", salvage=True) < 6
    assert caplog.messages and len(set(caplog.messages)) == len(caplog.messages)


@pytest.mark.parametrize("use", [view, build])
def test_a_recording_given_twice_is_refused(
    use: Callable[..., Any], drive: Path, rig_file: Path, tmp_path: Path
) -> None:
    again = Path(os.path.relpath(drive))
    with pytest.raises(RecordingError, match="given twice"):
        use([drive, again], rig_file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_camera_of_16_bits_is_thermal_beside_one_that_is_by_name(tmp_path: Path) -> None:
    rig = make_rig()
    rig = rig.with_camera(replace(rig.rgb[1], topic="/right/thermal"))
    rig = rig.with_camera(replace(rig.thermal[-1], topic="/camera_2"))
    drive = make_recording(tmp_path / "in", frames=1, rig=rig)
    found = read_recorded_rig(write_calibration(tmp_path / "rig.yaml", rig), drive)
    assert [camera.topic for camera in found.thermal] == ["/right/thermal", "/camera_2"]
