"""The importer of plain pairs: every file becomes what it is, or one clear message."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from full_disk import fill_disk

from heatnet.dataset_tools.importers import ImportConfig, import_dataset
from heatnet.dataset_tools.shards import Dataset
from heatnet.errors import DatasetError, HeatNetError


def write_pair(root: Path, split: str, domain: str, name: str, bits: int = 8, label: bool = True) -> None:
    rng = np.random.default_rng(len(name) + sum(map(ord, name)))
    images: dict[str, Any] = {
        "rgb": rng.integers(0, 256, (24, 32, 3)).astype(np.uint8),
        "thermal": rng.integers(100, 1 << bits, (24, 32)).astype(np.uint16 if bits > 8 else np.uint8),
        "labels": rng.integers(0, 14, (24, 32)).astype(np.uint8),
    }
    for kind in ("rgb", "thermal", "labels") if label else ("rgb", "thermal"):
        folder = root / split / domain / kind
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{name}.png"), images[kind])


def make_layout(root: Path, bits: int = 8) -> Path:
    for name in ("a", "b", "c"):
        write_pair(root, "train", "day", name, bits)
        write_pair(root, "train", "night", name, bits, label=False)
    write_pair(root, "val", "night", "d", bits)
    return root


@pytest.mark.parametrize("bits", [8, 16])
def test_counts_labels_and_colours_arrive_as_they_are_in_the_files(tmp_path: Path, bits: int) -> None:
    root = make_layout(tmp_path / "in", bits)
    import_dataset("pairs", root, tmp_path / "out", ImportConfig(label_source="hand"))
    dataset = Dataset.open(tmp_path / "out")
    ref = dataset.refs("train", "day", labelled=True)[1]
    sample = dataset.read(ref, check=True)
    rgb, thermal, label = (
        cv2.imread(str(root / "train/day" / kind / "b.png"), cv2.IMREAD_UNCHANGED)
        for kind in ("rgb", "thermal", "labels")
    )
    assert rgb is not None and sample.label is not None
    assert np.array_equal(sample.rgb, rgb[..., ::-1])
    assert np.array_equal(sample.thermal, thermal) and np.array_equal(sample.label, label)
    assert sample.thermal.dtype == np.uint16 and sample.valid.all() and np.isnan(sample.sun_elevation_deg)
    low, high = dataset.thermal_range(ref)
    assert (low, high) == (0, 255) if bits == 8 else 0 < low < high < 65_540
    assert len(dataset.refs("train", "night", labelled=False)) == 3 and len(dataset.refs("val", "night")) == 1
    assert ref.label_source == "hand" and ref.sequence == "in-day"


def test_importing_twice_changes_nothing(tmp_path: Path) -> None:
    root = make_layout(tmp_path / "in")
    import_dataset("pairs", root, tmp_path / "out")
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "out").rglob("*.h5")}
    manifest = (tmp_path / "out/manifest.json").read_bytes()
    import_dataset("pairs", root, tmp_path / "out")
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "out").rglob("*.h5")} == before
    assert (tmp_path / "out/manifest.json").read_bytes() == manifest


def test_other_pairs_of_the_same_name_do_not_replace_what_is_complete(tmp_path: Path) -> None:
    import_dataset("pairs", make_layout(tmp_path / "in"), tmp_path / "out")
    write_pair(tmp_path / "in", "train", "day", "aa")
    before = {p.name for p in (tmp_path / "out/shards").iterdir()}
    with pytest.raises(DatasetError, match="other contents"):
        import_dataset("pairs", tmp_path / "in", tmp_path / "out")
    assert {p.name for p in (tmp_path / "out/shards").iterdir()} == before
    assert len(Dataset.open(tmp_path / "out").refs("train", "day")) == 3
    with pytest.raises(DatasetError, match="another configuration"):
        import_dataset("pairs", tmp_path / "in", tmp_path / "out", ImportConfig(label_source="guess"))


def test_a_size_may_be_chosen(tmp_path: Path) -> None:
    import_dataset("pairs", make_layout(tmp_path / "in"), tmp_path / "out", ImportConfig(size=(16, 12)))
    dataset = Dataset.open(tmp_path / "out")
    sample = dataset.read(dataset.refs("train", "day")[0], check=True)
    assert sample.rgb.shape == (12, 16, 3) and sample.label is not None and sample.label.shape == (12, 16)


def test_files_without_a_partner_are_counted(tmp_path: Path) -> None:
    root = make_layout(tmp_path / "in")
    (root / "train/day/rgb/a.png").unlink()
    (root / "train/night/thermal/b.png").unlink()
    summary = import_dataset("pairs", root, tmp_path / "out")
    reasons = {"no RGB image of this name": 1, "no thermal image of this name": 1, "label without a pair": 1}
    assert summary["drops"] == reasons == Dataset.open(tmp_path / "out").manifest.drops


COLOURED = np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)
CUT_JPEG = cv2.imencode(".jpg", COLOURED)[1].tobytes()[:-200]


def _spoil(path: Path, image: Any) -> None:
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        cv2.imwrite(str(path), image)


@pytest.mark.parametrize(
    ("file", "image", "message"),
    [
        ("train/day/labels/b.png", np.full((24, 32), 200, np.uint8), "label id 200"),
        ("train/day/labels/b.png", np.zeros((24, 32, 3), np.uint8), "3 channels"),
        ("train/day/labels/b.png", np.zeros((12, 16), np.uint8), "16x12"),
        ("train/day/thermal/b.png", np.zeros((24, 32), np.uint16), "uint16"),
        ("train/day/thermal/b.png", COLOURED, "3 channels"),
        ("train/day/rgb/b.png", b"", "not a readable image"),
        ("train/day/rgb/b.png", b"\x89PNG\r\n\x1a\n" + bytes(40), "not a readable image"),
        ("val/night/rgb/d.png", CUT_JPEG, "not a readable image"),
    ],
)  # fmt: skip
def test_a_bad_file_gives_its_name_and_leaves_nothing(tmp_path: Path, file: str, image: Any, message: str) -> None:
    root = make_layout(tmp_path / "in")
    _spoil(root / file, image)
    with pytest.raises(DatasetError, match=rf"{Path(file).name}.*{message}"):
        import_dataset("pairs", root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_keeps_what_was_finished_and_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_layout(tmp_path / "in")
    import_dataset("pairs", root, tmp_path / "whole")
    fill_disk(monkeypatch, "night")
    with pytest.raises(HeatNetError, match="No space left"):
        import_dataset("pairs", root, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert [dataset.read(ref, check=True) for ref in dataset.refs("train", "day")]
    monkeypatch.undo()
    import_dataset("pairs", root, tmp_path / "out")
    contents = [{p.name: p.read_bytes() for p in (tmp_path / d).rglob("*.*")} for d in ("whole", "out")]
    assert contents[0] == contents[1]


def test_what_is_no_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no pair found"):
        import_dataset("pairs", tmp_path / "empty", tmp_path / "out")
    with pytest.raises(DatasetError, match="no such folder"):
        import_dataset("pairs", tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(DatasetError, match="unknown format"):
        import_dataset("voc", tmp_path, tmp_path / "out")
    make_layout(tmp_path / "in")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").write_text("dear")
    with pytest.raises(DatasetError, match="no dataset"):
        import_dataset("pairs", tmp_path / "in", tmp_path / "other")
    assert [p.name for p in (tmp_path / "other").iterdir()] == ["letter.txt"]
