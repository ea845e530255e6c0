"""What training sees: pairs that any worker makes alike, and never a label by night."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from segmentation_toys import tiny

from heatnet.dataset_tools.shards import Dataset
from heatnet.errors import DatasetError, TrainingError
from heatnet.segmentation.config import AdaptConfig, TrainConfig, laptop
from heatnet.segmentation.data import Pairs, Source, batches
from heatnet.segmentation.pseudo_labels import LabelStore
from heatnet.segmentation.train import train


def small(**changes: object) -> TrainConfig:
    return laptop(**{"width": 0.1, "scale": 1.0, "crop": (64, 96), "batch": 2, "workers": 0, **changes})


def sources(root: Path, store: LabelStore | None = None) -> tuple[Source, Source]:
    data = Dataset.open(root)
    day, night = (tuple(data.refs(split="train", domain=domain)) for domain in ("day", "night"))
    return Source(data, day), Source(data, night, store)


def test_labels_by_night_are_never_read_even_where_the_dataset_has_them(toy_dataset: Path, tmp_path: Path) -> None:
    day, night = sources(toy_dataset)
    assert night.refs[0].label_source == "simulation"
    assert (night.read(0).label == 13).all()
    assert (day.read(0).label != 13).all()
    store = LabelStore(tmp_path / "labels")
    for ref in night.refs:
        store.write(ref, np.full((64, 96), 2, np.uint8), np.full((64, 96), 0.5, np.float32))
    _, night = sources(toy_dataset, store)
    assert (night.read(3).label == 2).all()
    assert np.allclose(night.read(3).confidence, 0.5, atol=1 / 255)
    for batch in batches(Pairs(day, night, small(), "heatnet"), 0, 8):
        assert batch.night is not None
        assert set(batch.night.label.unique().tolist()) <= {2, 13}


def test_a_teachers_day_labels_stay_where_another_agrees_and_labels_by_hand_stay_altogether(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_dataset(("train", "day", 1, "teacher:rgb"), ("train", "day", 1, "hand"))
    data = Dataset.open(root)
    refs, store = tuple(data.refs()), LabelStore(tmp_path / "second")
    given = [Source(data, refs).read(index).label for index in (0, 1)]
    second = given[0].copy()
    second[:20] = 7
    for ref in refs:
        store.write(ref, second, np.ones(second.shape, np.float32))
    agreed, by_hand = (Source(data, refs, None, store).read(index).label for index in (0, 1))
    assert (agreed[:20] == 13).all() and np.array_equal(agreed[20:], given[0][20:])
    assert np.array_equal(by_hand, given[1])
    bare = [replace(ref, label_source=None) for ref in refs[:1]]
    first = LabelStore(tmp_path / "first")
    first.write(bare[0], given[0], np.full(second.shape, 0.5, np.float32))
    assert np.array_equal(Source(data, tuple(bare), first, store).read(0).label, agreed)


def test_a_student_learns_from_the_day_labels_that_its_night_teacher_shares(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_dataset(("train", "day", 2, "teacher:rgb"), ("train", "day", 1, "hand"), ("train", "night", 2, None))
    run = tmp_path / "run"
    train(root, run, tiny(adapt=AdaptConfig(agree=True), teacher_modalities=("rgb", "thermal")))
    assert len(list((run / "labels" / "agree").glob("*.npy"))) == 2


def test_a_pair_depends_on_seed_and_number_alone(toy_dataset: Path) -> None:
    def rows(config: TrainConfig, first: int, last: int) -> list[float]:
        pairs = Pairs(*sources(toy_dataset), config, "heatnet")
        return [float(batch.day.rgb.sum() + batch.night.rgb.sum()) for batch in batches(pairs, first, last)]  # type: ignore[union-attr]

    straight = rows(small(), 0, 6)
    assert rows(small(), 3, 6) == straight[3:]
    assert rows(small(workers=2), 0, 6) == straight
    assert rows(small(seed=1), 0, 6) != straight


def test_every_day_frame_comes_once_an_epoch_and_nights_are_drawn(toy_dataset: Path) -> None:
    day, night = sources(toy_dataset)
    seen: list[int] = []

    class Watched(Source):
        def read(self, index: int):  # type: ignore[no-untyped-def]
            seen.append(index)
            return super().read(index)

    pairs = Pairs(Watched(day.dataset, day.refs), night, small(), "heatnet")
    for number in range(24):
        pairs[number]
    assert sorted(seen[:12]) == sorted(seen[12:]) == list(range(12))
    assert seen[:12] != seen[12:]


def test_pairs_go_to_workers_by_pickle(toy_dataset: Path) -> None:
    pairs = Pairs(*sources(toy_dataset), small(), "heatnet")
    copy = pickle.loads(pickle.dumps(pairs))
    assert np.array_equal(copy[5].day.rgb.numpy(), pairs[5].day.rgb.numpy())


def test_the_rgb_teacher_sees_neither_darkness_nor_missing_rgb(toy_dataset: Path) -> None:
    config = TrainConfig()
    assert config.augmentation("heatnet").night_like > 0 and config.augmentation("heatnet").drop_rgb > 0
    assert config.augmentation("rgb-teacher").night_like == config.augmentation("rgb-teacher").drop_rgb == 0


def test_a_student_of_rgb_alone_is_never_left_without_input() -> None:
    assert TrainConfig(modalities=("rgb",)).augmentation("heatnet").drop_rgb == 0
    assert TrainConfig(modalities=("thermal",)).augmentation("heatnet").drop_thermal == 0


def test_a_missing_or_broken_teacher_label_is_named(toy_dataset: Path, tmp_path: Path) -> None:
    _, night = sources(toy_dataset, LabelStore(tmp_path))
    with pytest.raises(TrainingError, match="npy"):
        night.read(0)
    (tmp_path / f"{night.refs[0].shard:05d}_{night.refs[0].row:05d}.npy").write_bytes(b"no archive")
    with pytest.raises(TrainingError, match="npy"):
        night.read(0)


def test_a_label_id_that_does_not_exist_is_refused(make_dataset: Callable[..., Path], monkeypatch) -> None:  # type: ignore[no-untyped-def]
    root = make_dataset(("train", "day", 1, "hand"))
    data = Dataset.open(root)
    sample = data.read(data.refs()[0])
    broken = type(sample)(**{**vars(sample), "label": np.full_like(sample.label, 200)})
    monkeypatch.setattr(Dataset, "read", lambda *_: broken)
    with pytest.raises(DatasetError, match="200"):
        Source(data, tuple(data.refs())).read(0)
