"""A recording that is cut off, changed or something else gives its readable part or one message."""

import random
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from recording_writers import KINDS, compressed, image, write_recording

from heatnet.dataset_tools.recording import open_recording
from heatnet.errors import RecordingError

IMAGE = "sensor_msgs/msg/Image"
FRAMES = np.random.default_rng(5).integers(20000, 26000, (40, 6, 8), np.uint16)


def messages():
    return [("/ir", IMAGE, image(10**9 * i, FRAMES[i], "mono16"), 10**9 * i) for i in range(len(FRAMES))]


def write(folder: Path, kind: str) -> Path:
    """A recording of 40 images; ROS 1 bags in chunks of a few."""
    folder.mkdir(exist_ok=True)
    return write_recording(folder, kind, messages(), **({"chunk_bytes": 600} if kind == "bag" else {}))


def read_all(path: Path) -> tuple[list[int], list[str]]:
    """Numbers of the frames that come out, each compared with what was written, and the damage that was told."""
    with open_recording(path) as recording:
        numbers = []
        for _, message in recording.messages(list(recording.topics)):
            numbers.append(message.stamp_ns // 10**9)
            np.testing.assert_array_equal(message.pixels, FRAMES[numbers[-1]])
        return numbers, list(recording.damage)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_recording_tells_no_damage(kind, tmp_path):
    assert read_all(write(tmp_path, kind)) == (list(range(40)), [])


@pytest.mark.parametrize("kind", ["bag", "mcap", "db3"])
def test_a_cut_off_recording_gives_its_start_and_says_so(kind, tmp_path, caplog):
    whole = write(tmp_path, kind).read_bytes()
    cut = tmp_path / f"cut.{kind}"
    counts = []
    for percent in range(0, 100, 4):
        cut.write_bytes(whole[: len(whole) * percent // 100])
        try:
            numbers, damage = read_all(cut)
        except RecordingError as error:
            assert str(cut) in str(error) and "\n" not in str(error)
            numbers, damage = [], ["refused"]
        assert numbers == list(range(len(numbers))) and damage
        counts.append(len(numbers))
    assert counts == sorted(counts) and counts[0] == 0
    if kind != "db3":  # SQLite keeps its pages in no order that a cut would leave readable
        assert counts[-1] >= 30 and counts[12] >= 10


@pytest.mark.parametrize("compression", ["none", "lz4", "bz2"])
def test_a_damaged_chunk_costs_only_its_own_messages(compression, tmp_path):
    path = write_recording(tmp_path, "bag", messages(), compression=compression, chunk_bytes=600)
    data = bytearray(path.read_bytes())
    chunk = data.index(b"compression=" + compression.encode(), len(data) // 2)
    at = data.index(b"op=\x02", chunk) if compression == "none" else chunk + 120
    data[at : at + 4] = b"\xff\x00\xff\x00"
    path.write_bytes(data)
    numbers, damage = read_all(path)
    assert 30 <= len(numbers) < 40 and {0, 39} <= set(numbers)
    assert len(damage) == 1 and "of the chunk at byte" in damage[0]


@pytest.mark.parametrize("kind", ["bag", "mcap"])
def test_without_an_index_every_message_is_found(kind, tmp_path):
    path = write(tmp_path, kind)
    data = bytearray(path.read_bytes())
    if kind == "bag":
        at = data.index(b"index_pos=") + len(b"index_pos=")
        data[at : at + 8] = bytes(8)  # as a recorder leaves it that was killed
    else:
        data[-28:-12] = bytes(16)  # the footer's places of the summary
    path.write_bytes(data)
    if kind == "bag":
        path = path.rename(path.with_suffix(".bag.active"))
    numbers, damage = read_all(path)
    assert numbers == list(range(40)) and "no usable index" in damage[0]


def test_an_index_that_does_not_reach_the_end_is_not_believed(tmp_path):
    path = write(tmp_path, "bag")
    data = bytearray(path.read_bytes())
    at = data.index(b"chunk_count=") + len(b"chunk_count=")
    data[at] -= 1
    path.write_bytes(data)
    numbers, damage = read_all(path)
    assert numbers == list(range(40)) and "it ends at byte" in damage[0]


@pytest.mark.parametrize("flip", [0, 1])
def test_a_wrong_checksum_costs_the_chunk(flip, tmp_path):
    path = write(tmp_path, "mcap")
    data = bytearray(path.read_bytes())
    chunk = 8 + 9 + int.from_bytes(data[9:17], "little")  # after the magic and the header
    assert data[chunk] == 6 and data[chunk + 9 + 28 : chunk + 9 + 32] == bytes(4)  # a plain chunk
    size = int.from_bytes(data[chunk + 25 : chunk + 33], "little")
    data[chunk + 33 : chunk + 37] = crc32(data[chunk + 49 : chunk + 49 + size]).to_bytes(4, "little")
    data[data.index(FRAMES[20].tobytes())] ^= flip
    path.write_bytes(data)
    numbers, damage = read_all(path)
    assert (20 in numbers) == (not flip) and [("its checksum is wrong" in line) for line in damage] == [True] * flip


def test_a_rosbag2_without_metadata_reads_its_files_in_order(tmp_path):
    folder = tmp_path / "drive"
    folder.mkdir()
    for part in range(11):  # a recorder starts a new file now and then; ten comes after two
        stamps = [("/ir", IMAGE, image(10**9 * i, FRAMES[i], "mono16"), 10**9 * i) for i in (2 * part, 2 * part + 1)]
        written = write_recording(_made(tmp_path / str(part)), "mcap", stamps)
        written.rename(folder / f"drive_{part}.mcap")
    assert read_all(folder) == (list(range(22)), [])
    (folder / "metadata.yaml").write_text(
        "rosbag2_bagfile_information: {relative_file_paths: [drive_0.mcap, gone.mcap]}"
    )
    numbers, damage = read_all(folder)
    assert numbers == list(range(22)) and "gone.mcap is listed" in damage[0]
    (folder / "drive_3.mcap").write_bytes(b"nothing")
    numbers, damage = read_all(folder)
    assert numbers == [n for n in range(22) if n not in (6, 7)] and "drive_3.mcap" in damage[-1]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("ending", ["bag", "mcap", "db3", "txt", ""])
@pytest.mark.parametrize("content", [b"", b"#ROSBAG V2.0\n", b"\x89MCAP0\r\n", b"SQLite format 3\0", b"garbage" * 999])
def test_what_is_no_recording_is_refused_in_one_line(ending, content, tmp_path):
    path = tmp_path / f"file.{ending}"
    path.write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        open_recording(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_files_and_folders_without_recordings_are_refused(tmp_path):
    with pytest.raises(RecordingError, match="no such file"):
        open_recording(tmp_path / "gone.bag")
    with pytest.raises(RecordingError, match="a folder without images"):
        open_recording(tmp_path)
    (tmp_path / "day.bag").write_bytes(b"")
    with pytest.raises(RecordingError, match=r"it holds day\.bag: name the file"):
        open_recording(tmp_path)
    (tmp_path / "metadata.yaml").write_text("{")
    with pytest.raises(RecordingError, match="rosbag2 folder without a readable file"):
        open_recording(tmp_path)


@pytest.mark.parametrize("kind", ["bag", "mcap", "db3"])
def test_a_message_that_lies_is_named_or_left_out(kind, tmp_path):
    lying = image(2 * 10**9, FRAMES[2], "mono16") | {"height": 400}
    broken = compressed(3 * 10**9, b"\xff\xd8no picture")
    stamped = [
        ("/ir", IMAGE, image(10**9, FRAMES[1], "mono16"), 1),
        ("/ir", IMAGE, lying, 2),
        ("/ir", IMAGE, image(4 * 10**9, FRAMES[4], "mono16"), 4),
        ("/rgb", "sensor_msgs/msg/CompressedImage", broken, 5),
    ]
    path = write_recording(tmp_path, kind, stamped)
    with open_recording(path) as recording:
        with pytest.raises(RecordingError, match=r"drive.* /ir at 2000000000 ns: 8x400 mono16"):
            list(recording.messages(["/ir"]))
        with pytest.raises(RecordingError, match="/rgb at 3000000000 ns: JPEG of 12 bytes"):
            list(recording.messages(["/rgb"]))
        skipped: list[RecordingError] = []
        read = [m.stamp_ns for _, m in recording.messages(["/ir", "/rgb"], skipped=skipped)]
        assert read == [10**9, 4 * 10**9] and len(skipped) == 2
        assert [m.stamp_ns for _, m in recording.messages(["/ir"], {"/ir": [10**9]})] == [10**9]


@pytest.mark.parametrize("kind", ["bag", "mcap", "db3"])
def test_changed_bytes_never_give_more_than_one_error(kind, tmp_path, caplog):
    whole = write(tmp_path, kind).read_bytes()
    dice = random.Random(kind)
    changed = tmp_path / f"changed.{kind}"
    for trial in range(30):
        data = bytearray(whole)
        for _ in range(dice.choice([1, 3, 30, len(data) // 10])):
            data[dice.randrange(len(data))] = dice.randrange(256)
        changed.write_bytes(data)
        try:
            with open_recording(changed) as recording:
                recording.stamps(list(recording.topics))
                list(recording.messages(list(recording.topics), skipped=[]))
        except RecordingError as error:
            assert str(changed) in str(error) and "\n" not in str(error), trial
