"""The published layouts of Freiburg Thermal and MFNet, as their loaders describe them, with made-up pictures."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from heatnet.dataset_tools.importers import ImportConfig, import_dataset
from heatnet.dataset_tools.importers.freiburg import TEACHER
from heatnet.dataset_tools.shards import Dataset
from heatnet.dataset_tools.validate import validate_dataset
from heatnet.errors import DatasetError

START_S = 1_562_000_000
RNG = np.random.default_rng(0)


def write_image(path: Path, image: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def colours(height: int = 32, width: int = 96) -> Any:
    return RNG.integers(0, 256, (height, width, 3)).astype(np.uint8)


def make_freiburg(root: Path, frames: int = 60) -> Path:
    """Bursts of two frames 0.1 s apart, every second; the thermal image covers the middle; a test frame at 10 s."""
    warm = np.zeros((32, 96), np.uint16)
    for time_of_day in ("day", "night"):
        drive = root / "train" / "seq_00" / f"drive_{time_of_day}_2019_07_01"
        for i in range(frames):
            stamp = f"{START_S + i + (time_of_day == 'night') * 40_000}"
            for nsec in ("100000000", "200000000"):
                warm[:, 20:80] = RNG.integers(22_000, 24_000, (32, 60))
                write_image(drive / "fl_rgb" / f"fl_rgb_{stamp}_{nsec}.png", colours())
                write_image(drive / "fl_ir_aligned" / f"fl_ir_aligned_{stamp}_{nsec}.png", warm)
                label = RNG.integers(0, 13, (32, 96)).astype(np.uint8)
                write_image(drive / "fl_rgb_labels" / f"fl_rgb_labels_{stamp}_{nsec}.png", label)
        folder = root / "test" / time_of_day
        name = f"fl_{START_S + 10}_100000000" if time_of_day == "day" else "night_03"
        write_image(folder / "ImagesRGB" / f"{name}_rgb.png", colours())
        write_image(folder / "ImagesIR" / f"{name}_ir.png", warm)
        (folder / "SegmentationClass").mkdir(parents=True)
        np.save(folder / "SegmentationClass" / f"{name}.npy", RNG.integers(0, 14, (32, 96)))
    return root


def test_freiburg_is_split_by_drive_and_time_and_keeps_clear_of_its_test_frames(tmp_path: Path) -> None:
    summary = import_dataset(
        "freiburg", make_freiburg(tmp_path / "in"), tmp_path / "out", ImportConfig(size=(96, 32), least_gap_s=0.5)
    )
    dataset = Dataset.open(tmp_path / "out")
    stamps = {s: [dataset.read(ref).rgb_stamp_ns for ref in dataset.refs(s, "day")] for s in ("train", "val", "test")}
    seconds = {s: [stamp / 1e9 - START_S for stamp in found] for s, found in stamps.items()}
    assert [round(second, 3) for second in seconds["test"]] == [10.1]
    assert not [second for second in seconds["train"] if 8.1 <= second <= 12.1] and len(seconds["train"]) > 40
    assert min(seconds["val"]) - max(seconds["train"]) >= 2 and len(seconds["val"]) >= 3
    assert summary["drops"]["nearer to the frame before than asked for"] == 120
    assert summary["drops"]["near a test frame"] == 4
    assert [p for p in validate_dataset(tmp_path / "out") if p.severity == "error"] == []


def test_freiburg_keeps_counts_masks_and_who_made_which_labels(tmp_path: Path) -> None:
    import_dataset("freiburg", make_freiburg(tmp_path / "in", 6), tmp_path / "out", ImportConfig(size=(96, 32)))
    dataset = Dataset.open(tmp_path / "out")
    train = dataset.refs("train", "day")
    assert {ref.label_source for ref in train} == {TEACHER}
    assert dataset.refs("train", "night", labelled=True) == [] and dataset.refs("train", "night")
    assert {ref.label_source for ref in dataset.refs("test")} == {"hand"}
    sample = dataset.read(train[0], check=True)
    assert sample.valid[:, 20:80].all() and not sample.valid[:, :20].any()
    assert sample.thermal[:, 20:80].min() >= 22_000 and dataset.thermal_range(train[0]) == (21800, 25000)
    truth = np.load(tmp_path / "in/test/night/SegmentationClass/night_03.npy")
    label = dataset.read(dataset.refs("test", "night")[0]).label
    assert label is not None and np.array_equal(label, truth)


def test_freiburg_is_scaled_as_its_authors_do(tmp_path: Path) -> None:
    import_dataset("freiburg", make_freiburg(tmp_path / "in", 2), tmp_path / "out")
    record = Dataset.open(tmp_path / "out").manifest.shards[0]
    assert (record.width, record.height) == (960, 320)


def make_mfnet(root: Path) -> Path:
    for name in ("00001D", "00002N", "00003D"):
        write_image(root / "images" / f"{name}.png", RNG.integers(0, 256, (24, 32, 4)).astype(np.uint8))
        write_image(root / "labels" / f"{name}.png", RNG.integers(0, 9, (24, 32)).astype(np.uint8))
    (root / "train.txt").write_text("00001D\n00002N\n00001D_flip\n")
    (root / "test.txt").write_text("00003D\n")
    return root


def test_mfnet_gives_its_channels_and_our_classes(tmp_path: Path) -> None:
    root = make_mfnet(tmp_path / "in")
    summary = import_dataset("mfnet", root, tmp_path / "out")
    assert summary["drops"] == {"named in a list, but not there": 1}
    dataset = Dataset.open(tmp_path / "out")
    assert [len(dataset.refs(*key)) for key in (("train", "day"), ("train", "night"), ("test", "day"))] == [1, 1, 1]
    sample = dataset.read(dataset.refs("train", "day")[0], check=True)
    image = cv2.imread(str(root / "images/00001D.png"), cv2.IMREAD_UNCHANGED)
    theirs = cv2.imread(str(root / "labels/00001D.png"), cv2.IMREAD_UNCHANGED)
    assert image is not None and theirs is not None and sample.label is not None
    assert np.array_equal(sample.rgb, image[..., 2::-1]) and np.array_equal(sample.thermal, image[..., 3])
    for their_id, our_id in {0: 12, 1: 10, 2: 9, 3: 11, 4: 3, 6: 4}.items():
        assert (sample.label[theirs == their_id] == our_id).all()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("images/00001D.png", np.zeros((24, 32, 3), np.uint8), "four channels"),
        ("labels/00001D.png", np.full((24, 32), 9, np.uint8), "ids 0 to 8"),
        ("labels/00001D.png", np.zeros((12, 32), np.uint8), "32x12"),
    ],
)
def test_a_bad_mfnet_file_is_named_and_leaves_nothing(tmp_path: Path, file: str, content: Any, message: str) -> None:
    root = make_mfnet(tmp_path / "in")
    write_image(root / file, content)
    with pytest.raises(DatasetError, match=rf"00001D\.png.*{message}"):
        import_dataset("mfnet", root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("layout", ["freiburg", "mfnet"])
def test_folders_of_another_layout_are_refused(tmp_path: Path, layout: str) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DatasetError, match="needed"):
        import_dataset(layout, tmp_path / "in", tmp_path / "out")
    with pytest.raises(DatasetError, match="needed"):
        import_dataset("pairs", make_mfnet(tmp_path / "mfnet"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
