"""Folders of images are recordings: a subfolder a topic, a stamp a file."""

import cv2
import numpy as np
import pytest

from heatnet.dataset_tools.recording import open_recording, resolve_topic
from heatnet.dataset_tools.recording.folder import stamp_of
from heatnet.errors import RecordingError


@pytest.mark.parametrize(
    ("stem", "stamp"),
    [
        ("fl_rgb_1570719012_126422200", 1570719012126422200),
        ("1570719012_5", 1570719012000000005),
        ("1570719012126422200", 1570719012126422200),
        ("cam_0_1570719012126422200", 1570719012126422200),
        ("000000042", 42),
        ("left_7", None),
        ("left", None),
        ("", None),
        ("rgb_12345678901_999999999", 12345678901999999999 if 12345678901999999999 < 2**63 else None),
        ("9" * 5000, None),
        ("²", None),
    ],
)
def test_stamps_are_read_from_names(stem, stamp):
    assert stamp_of(stem) == stamp


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name, depth, ending in (("fl_rgb", np.uint8, "png"), ("ir", np.uint16, "png"), ("deep/er", np.uint8, "jpg")):
        (tmp_path / name).mkdir(parents=True)
        for i in (2, 0, 1):
            shape = (8, 10) if depth == np.uint16 else (8, 10, 3)
            pixels = rng.integers(0, 255, shape, np.uint8).astype(depth) * (1 + 256 * (depth == np.uint16))
            cv2.imwrite(str(tmp_path / name / f"{name.replace('/', '_')}_{100 + i}_{5 * i}.{ending}"), pixels)
    (tmp_path / "ir" / "notes.txt").write_text("x")
    return tmp_path


def test_a_folder_of_images_is_a_recording(folder):
    with open_recording(folder) as recording:
        assert {t.name: t.count for t in recording.topics.values()} == {"/fl_rgb": 3, "/ir": 3, "/deep/er": 3}
        assert list(recording.topics) == ["/deep/er", "/fl_rgb", "/ir"]
        assert resolve_topic(recording, "/fl_rgb") == "/fl_rgb" and recording.damage == []
        stamps = [(100 + i) * 10**9 + 5 * i for i in range(3)]
        assert recording.stamps(["/ir"])["/ir"].tolist() == stamps
        read = list(recording.messages(["/ir", "/fl_rgb"]))
        assert [m.stamp_ns for _, m in read] == [s for s in stamps for _ in range(2)]
        for topic, message in read:
            expected = cv2.imread(str(next((folder / topic[1:]).glob(f"*_{message.stamp_ns // 10**9}_*"))), -1)
            np.testing.assert_array_equal(message.pixels, expected[..., ::-1] if expected.ndim == 3 else expected)
        assert [m.stamp_ns for _, m in recording.messages(["/ir"], {"/ir": stamps[1:2]})] == stamps[1:2]
        with pytest.raises(RecordingError, match="no topic /gone"):
            recording.stamps(["/gone"])


def test_images_beside_each_other_are_a_topic_too(tmp_path):
    (tmp_path / "thermal").mkdir()
    cv2.imwrite(str(tmp_path / "thermal" / "12.png"), np.zeros((2, 2), np.uint8))
    cv2.imwrite(str(tmp_path / "thermal" / "no stamp.png"), np.zeros((2, 2), np.uint8))
    with open_recording(tmp_path / "thermal") as recording:
        assert list(recording.topics) == ["/thermal"]
        assert "1 images have no stamp" in recording.damage[0]


def test_an_unreadable_image_is_named(folder):
    file = next((folder / "ir").glob("*_101_*"))
    file.write_bytes(file.read_bytes()[:60])
    with open_recording(folder) as recording:
        with pytest.raises(RecordingError, match=file.name):
            list(recording.messages(["/ir"]))
        skipped: list[RecordingError] = []
        assert len(list(recording.messages(["/ir"], skipped=skipped))) == 2 and file.name in str(skipped[0])
        file.unlink()
        with pytest.raises(RecordingError, match="cannot be read"):
            list(recording.messages(["/ir"]))
