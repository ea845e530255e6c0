"""What is known of a recording is known when it is opened again, as long as the file stays as it is."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from flat_street import make_recording, write_calibration
from recording_writers import image, write_recording

from heatnet.dataset_tools.align import GridConfig
from heatnet.dataset_tools.build import BuildConfig, build_dataset
from heatnet.dataset_tools.recording import open_recording
from heatnet.dataset_tools.recording.rosbag1 import Rosbag1Source

YEAR_2020_S = 1_577_836_800


def bag_of(folder: Path, topic: str, changed_s: float = YEAR_2020_S) -> Path:
    """A bag of two images, of the same size whatever three letters the topic has."""
    frames = [image(10**9 * i, np.full((6, 8), 21_000, np.uint16), "mono16") for i in (1, 2)]
    messages = [(topic, "sensor_msgs/msg/Image", frame, 10**9 * i) for i, frame in enumerate(frames)]
    folder.mkdir(exist_ok=True)
    path = write_recording(folder, "bag", messages, chunk_bytes=100)
    os.utime(path, (changed_s, changed_s))
    return path


def overwrite(path: Path, other: Path, changed_s: float) -> None:
    """The content of another file, in place."""
    path.write_bytes(other.read_bytes())
    os.utime(path, (changed_s, changed_s))


def topics_of(path: Path) -> list[str]:
    with open_recording(path) as recording:
        return [topic for topic, _ in recording.messages(list(recording.topics))]


def test_a_build_reads_index_and_chunks_of_a_recording_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive = make_recording(tmp_path / "in")
    os.utime(drive, (YEAR_2020_S, YEAR_2020_S))
    indices, chunks = [], []
    index, chunk = Rosbag1Source._read_index, Rosbag1Source._read_chunk
    monkeypatch.setattr(Rosbag1Source, "_read_index", lambda self: (indices.append(1), index(self))[1])
    monkeypatch.setattr(Rosbag1Source, "_read_chunk", lambda self, at: (chunks.append(at), chunk(self, at))[1])
    rig_file = write_calibration(tmp_path / "calibration.yaml")
    build_dataset([drive], rig_file, tmp_path / "out", BuildConfig(grid=GridConfig(240)))
    assert len(indices) == 1 and chunks and len(chunks) == len(set(chunks))


def test_a_file_changed_since_is_read_anew(tmp_path: Path) -> None:
    path, other = bag_of(tmp_path / "a", "/ir"), bag_of(tmp_path / "b", "/fl")
    assert topics_of(path) == ["/ir", "/ir"]
    overwrite(path, other, YEAR_2020_S + 1)
    assert topics_of(path) == ["/fl", "/fl"]


def test_a_file_that_may_still_be_written_to_is_read_anew_though_its_time_stays(tmp_path: Path) -> None:
    now = time.time()
    path, other = bag_of(tmp_path / "a", "/ir", now), bag_of(tmp_path / "b", "/fl")
    assert topics_of(path) == ["/ir", "/ir"]
    overwrite(path, other, now)
    assert topics_of(path) == ["/fl", "/fl"]


def test_damage_that_was_met_is_told_when_opened_again(tmp_path: Path) -> None:
    path = bag_of(tmp_path, "/ir")
    data = bytearray(path.read_bytes())
    at = data.index(b"op=\x02", data.index(b"compression=none", len(data) // 3))
    data[at : at + 4] = b"\xff\x00\xff\x00"
    path.write_bytes(data)
    os.utime(path, (YEAR_2020_S, YEAR_2020_S))
    assert topics_of(path) == ["/ir"] == topics_of(path)
    with open_recording(path) as recording:
        assert len(recording.damage) == 1
        assert [topic for topic, _ in recording.messages(["/ir"])] == ["/ir"] and len(recording.damage) == 1


def test_of_many_files_only_the_latest_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for number in range(6):
        paths.append(bag_of(tmp_path / str(number), "/ir"))
        topics_of(paths[-1])
        topics_of(paths[0])  # what is asked for again stays
    read = []
    index = Rosbag1Source._read_index
    monkeypatch.setattr(Rosbag1Source, "_read_index", lambda self: (read.append(self._path), index(self))[1])
    for path in (paths[0], *reversed(paths[1:])):
        topics_of(path)
    assert read == paths[2:0:-1]
