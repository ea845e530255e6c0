"""Shards and the manifest: what is written is what is read, and nothing altered is ever read."""

import json
import os
import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from full_disk import fill_disk

from heatnet.dataset_tools.codecs import Compression
from heatnet.dataset_tools.shard_index import read_index
from heatnet.dataset_tools.shards import (
    Dataset,
    Manifest,
    Sample,
    ShardInfo,
    samples_per_shard,
    write_manifest,
    write_shard,
)
from heatnet.errors import DatasetError, HeatNetError


def make_sample(i: int, labelled: bool = True, size: tuple[int, int] = (20, 30)) -> Sample:
    rng = np.random.default_rng(i)
    return Sample(
        rng.integers(0, 256, (*size, 3)).astype(np.uint8),
        rng.integers(21800, 25000, size).astype(np.uint16),
        rng.integers(0, 2, size).astype(np.uint8),
        rng.integers(0, 14, size).astype(np.uint8) if labelled else None,
        1_500_000_000_123_456_789 + i,
        1_500_000_000_127_456_789 + i,
        12.5 - i,
    )


INFO = ShardInfo("train", "day", "drive", "hand")


def make_dataset(root: Path, samples: int = 5) -> Dataset:
    day = write_shard(root, "day.h5", [make_sample(i) for i in range(samples)], INFO)
    info = ShardInfo("val", "night", "drive", thermal_range=(0.0, 255.0))
    night = write_shard(root, "night.h5", [make_sample(i, False) for i in range(2)], info)
    write_manifest(root, Manifest(shards=(day, night), drops={"no thermal frame near": 3}))
    return Dataset.open(root)


def same(a: Sample, b: Sample) -> bool:
    images = all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("rgb", "thermal", "valid"))
    labels = (a.label is None and b.label is None) or np.array_equal(a.label, b.label)  # type: ignore[arg-type]
    stamps = (a.rgb_stamp_ns, a.thermal_stamp_ns) == (b.rgb_stamp_ns, b.thermal_stamp_ns)
    return bool(images and labels and stamps and a.sun_elevation_deg == b.sun_elevation_deg)


def test_samples_come_back_as_they_were_written(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    for i, ref in enumerate(dataset.refs("train")):
        assert same(dataset.read(ref, check=True), make_sample(i))
    night = dataset.refs(domain="night", labelled=False)
    assert same(dataset.read(night[1], check=True), make_sample(1, False))
    assert dataset.thermal_range(night[0]) == (0.0, 255.0) and night[0].sequence == "drive"
    assert dataset.refs("train")[0].label_source == "hand" and dataset.refs("test") == []
    assert dataset.manifest.drops == {"no thermal frame near": 3}


def test_any_h5py_reads_a_shard_as_the_interface_says(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    with h5py.File(tmp_path / "shards" / "day.h5") as file:
        shapes = {name: (file[name].shape, str(file[name].dtype)) for name in file}
        attributes = dict(file.attrs)
        assert np.array_equal(file["thermal"][3], make_sample(3).thermal)
    assert shapes == {
        "rgb": ((5, 20, 30, 3), "uint8"),
        "thermal": ((5, 20, 30), "uint16"),
        "valid": ((5, 20, 30), "uint8"),
        "label": ((5, 20, 30), "uint8"),
        "rgb_stamp_ns": ((5,), "int64"),
        "thermal_stamp_ns": ((5,), "int64"),
        "sun_elevation_deg": ((5,), "float32"),
        "crc32": ((5,), "uint32"),
        "class_pixels": ((5, 14), "uint32"),
    }
    assert attributes["domain"] == "day" and attributes["label_source"] == "hand"
    assert attributes["thermal_range"].tolist() == [21800, 25000]


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    samples = [make_sample(i) for i in range(3)]
    first, second = (write_shard(tmp_path, name, samples, INFO) for name in ("a.h5", "b.h5"))
    assert first.sha256 == second.sha256
    assert (tmp_path / "shards/a.h5").read_bytes() == (tmp_path / "shards/b.h5").read_bytes()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_samples_come_back_and_are_the_same_bytes_again(tmp_path: Path, compression: Compression) -> None:
    steps = np.arange(600).reshape(20, 30)
    changes = {"thermal": (22_000 + steps // 7).astype(np.uint16), "confidence": (steps % 256).astype(np.uint8)}
    samples = [replace(make_sample(i), **changes, rgb_right=make_sample(i + 50).rgb) for i in range(3)]
    first, second = (write_shard(tmp_path, name, samples, INFO, compression) for name in ("a.h5", "b.h5"))
    assert first.sha256 == second.sha256
    write_manifest(tmp_path, Manifest(shards=(first,)))
    dataset = Dataset.open(tmp_path)
    for sample, ref in zip(samples, dataset.refs(), strict=True):
        read = dataset.read(ref, check=True)
        assert same(read, sample) and np.array_equal(read.confidence, sample.confidence)  # type: ignore[arg-type]
        assert np.array_equal(read.rgb_right, sample.rgb_right)  # type: ignore[arg-type]
    plain = write_shard(tmp_path, "c.h5", samples, INFO)
    assert first.bytes < plain.bytes
    with h5py.File(tmp_path / "shards/a.h5") as file:
        thermal = file["thermal"]
        assert thermal.shuffle and (compression == "zstd" or np.array_equal(thermal[1], samples[1].thermal))


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_an_altered_compressed_image_is_refused_whatever_it_claims(tmp_path: Path, compression: Compression) -> None:
    record = write_shard(tmp_path, "a.h5", [make_sample(i) for i in range(3)], INFO, compression)
    write_manifest(tmp_path, Manifest(shards=(record,)))
    path, rng, refused = tmp_path / "shards/a.h5", random.Random(0), 0
    content = path.read_bytes()
    for _ in range(100):
        altered = bytearray(content)
        altered[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(altered)
        dataset = Dataset(tmp_path, Dataset.open_lenient(tmp_path).manifest)
        for row, ref in enumerate(dataset.refs()):
            try:
                assert same(dataset.read(ref, check=True), make_sample(row))
            except DatasetError:
                refused += 1
    assert refused > 60


def test_the_images_of_a_sample_lie_together(tmp_path: Path) -> None:
    samples = [make_sample(i, size=(64, 96)) for i in range(5)]
    record = write_shard(tmp_path, "a.h5", samples, INFO)
    write_manifest(tmp_path, Manifest(shards=(record,)))
    dataset = Dataset.open(tmp_path)
    assert read_index(dataset.path(record), record).in_one_piece[1:].all()  # HDF5's own index follows the first
    assert all(same(dataset.read(ref), sample) for ref, sample in zip(dataset.refs(), samples, strict=True))


def test_a_disk_that_gives_a_little_at_a_time_gives_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [make_sample(i, size=(64, 96)) for i in range(3)]
    write_manifest(tmp_path, Manifest(shards=(write_shard(tmp_path, "a.h5", samples, INFO),)))
    dataset, preadv = Dataset.open(tmp_path), os.preadv

    def little(descriptor: int, buffers: list[Any], offset: int) -> int:
        return preadv(descriptor, [memoryview(buffers[0]).cast("B")[:1000]], offset)

    monkeypatch.setattr(os, "preadv", little)
    assert all(same(dataset.read(ref, check=True), sample) for ref, sample in zip(dataset.refs(), samples, strict=True))


def test_class_pixels_are_known_without_reading_an_image(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    counted = dataset.class_pixels(dataset.refs())
    for i in range(5):
        label = make_sample(i).label
        assert label is not None and counted[i].tolist() == np.bincount(label.ravel(), minlength=14).tolist()
    assert (counted[5:] == 0).all() and len(counted) == 7


def test_an_unknown_sun_stays_unknown(tmp_path: Path) -> None:
    sample = Sample(**{**vars(make_sample(0)), "sun_elevation_deg": float("nan")})
    write_manifest(tmp_path, Manifest(shards=(write_shard(tmp_path, "a.h5", [sample], INFO),)))
    dataset = Dataset.open(tmp_path)
    assert np.isnan(dataset.read(dataset.refs()[0], check=True).sun_elevation_deg)


def test_a_shard_may_be_open_elsewhere(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    with h5py.File(tmp_path / "shards" / "day.h5", "r") as file:
        assert same(dataset.read(dataset.refs()[1]), make_sample(1)) and len(file["rgb"]) == 5


def test_a_dataset_survives_pickling_and_fork(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    ref = dataset.refs()[2]
    dataset.read(ref)
    assert same(pickle.loads(pickle.dumps(dataset)).read(ref), make_sample(2))
    child = os.fork()
    if child == 0:
        os._exit(0 if same(dataset.read(ref), make_sample(2)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("room_bytes", [0, 50, 3000, 9000])
def test_a_full_disk_leaves_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room_bytes: int) -> None:
    fill_disk(monkeypatch, "a.h5", room_bytes)
    with pytest.raises(HeatNetError, match=r"a\.h5.*No space left"):
        write_shard(tmp_path, "a.h5", [make_sample(0)], INFO)
    assert list((tmp_path / "shards").iterdir()) == []


def test_a_flipped_bit_is_never_returned_by_a_checked_read(tmp_path: Path) -> None:
    """Every flip is either in bytes that no sample uses, or refused."""
    dataset = make_dataset(tmp_path)
    path = tmp_path / "shards" / "day.h5"
    content = path.read_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(150):
        altered = bytearray(content)
        altered[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(altered)
        fresh = Dataset(tmp_path, dataset.manifest)
        for row, ref in enumerate(fresh.refs("train")):
            try:
                assert same(fresh.read(ref, check=True), make_sample(row))
            except DatasetError:
                refused += 1
    assert refused > 100


def _edit(root: Path, change: Callable[[dict[str, Any]], Any], sign: bool = True) -> None:
    from heatnet.dataset_tools.manifest import _checksum

    document = json.loads((root / "manifest.json").read_text())
    change(document)
    if sign:
        del document["checksum"]
        document["checksum"] = _checksum(document)
    (root / "manifest.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format_version=2), "format version 2"),
        (lambda d: d.update(format="other"), "not the manifest"),
        (lambda d: d["shards"][0].update(name="../../secret.h5"), "not a plain file name"),
        (lambda d: d["shards"][0].update(name="/etc/passwd.h5"), "not a plain file name"),
        (lambda d: d["shards"][0].update(name="a\0b.h5"), "not a plain file name"),
        (lambda d: d["shards"][0].update(domain="dusk"), "dusk"),
        (lambda d: d["shards"][0].update(samples=-1), "impossible"),
        (lambda d: d["shards"][0].update(width=1 << 40), "impossible"),
        (lambda d: d["shards"][0].update(width="30"), "impossible|wrong type"),
        (lambda d: d["shards"][0].update(thermal_range=[1, 1]), "thermal_range"),
        (lambda d: d["shards"][0].update(thermal_range=None), "broken"),
        (lambda d: d["shards"][0].pop("sha256"), "broken"),
        (lambda d: d["shards"][0].update(extra=1), "broken"),
        (lambda d: d["shards"].append(d["shards"][0]), "twice"),
        (lambda d: d.update(shards=3), "broken"),
        (lambda d: d.pop("drops"), "broken"),
        (lambda d: d["shards"][0].update(bytes=7), "the manifest says 7"),
    ],
)
def test_an_impossible_manifest_is_refused(tmp_path: Path, change: Callable[..., Any], message: str) -> None:
    make_dataset(tmp_path)
    _edit(tmp_path, change)
    with pytest.raises(DatasetError, match=message):
        Dataset.open(tmp_path)


def test_an_altered_manifest_is_refused(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    _edit(tmp_path, lambda d: d["shards"][0].update(domain="night"), sign=False)
    with pytest.raises(DatasetError, match="altered"):
        Dataset.open(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{", "null", "\x00\xff", "[" * 100_000])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DatasetError, match=r"manifest\.json"):
        Dataset.open(tmp_path)


def test_a_missing_or_cut_off_shard_is_refused(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    path = tmp_path / "shards" / "day.h5"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"day\.h5.*the manifest says"):
        Dataset.open(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"day\.h5"):
        dataset.read(dataset.refs()[0])
    path.unlink()
    with pytest.raises(DatasetError, match=r"day\.h5.*missing"):
        Dataset.open(tmp_path)
    with pytest.raises(DatasetError, match="no dataset there"):
        Dataset.open(tmp_path / "nowhere")


def test_a_shard_of_other_shapes_than_the_manifest_says_is_refused(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    _edit(tmp_path, lambda d: d["shards"][0].update(width=31))
    dataset = Dataset.open(tmp_path)
    with pytest.raises(DatasetError, match=r"rgb is not uint8 of shape"):
        dataset.read(dataset.refs()[0])


def test_a_shard_in_which_only_some_samples_have_labels_is_never_written(tmp_path: Path) -> None:
    for samples in ([make_sample(0), make_sample(1, False)], [make_sample(0), make_sample(1, size=(8, 8))], []):
        with pytest.raises(DatasetError):
            write_shard(tmp_path, "a.h5", samples, INFO)
    assert not (tmp_path / "shards").exists()
    assert samples_per_shard(320, 704) > 50 and samples_per_shard(10**5, 10**5) == 1
