"""Whole runs on a toy street: what is written, resumed, refused, and that the method does what it is for."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from segmentation_toys import tiny, toy_trainer

from heatnet.dataset_tools.shards import Dataset, Manifest, ShardInfo, write_manifest, write_shard
from heatnet.errors import DatasetError, HeatNetError, TrainingError
from heatnet.segmentation.build import build_network
from heatnet.segmentation.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from heatnet.segmentation.config import AugmentConfig
from heatnet.segmentation.evaluate import evaluate
from heatnet.segmentation.loop import Trainer
from heatnet.segmentation.run_log import read_metrics
from heatnet.segmentation.sources import day_source, label_frames
from heatnet.segmentation.train import train


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have tests of their own."""
    monkeypatch.setattr("heatnet.segmentation.train.write_report", lambda *_: None)


def test_a_run_leaves_checkpoints_configuration_metrics_and_events(toy_run: Path) -> None:
    for stage in ("rgb_teacher", "thermal_teacher", "heatnet"):
        assert {"last.pt", "best.pt"} <= {path.name for path in (toy_run / stage).iterdir()}
        assert list((toy_run / stage).glob("events.*"))
        assert load_checkpoint(toy_run / stage / "best.pt").stage == stage
        assert load_checkpoint(toy_run / stage / "best.pt").training == {}
    assert json.loads((toy_run / "config.json").read_text())["width"] == 0.1
    lines = read_metrics(toy_run)
    assert {line["stage"] for line in lines} == {"rgb_teacher", "thermal_teacher", "heatnet"}
    last = [line for line in lines if line["stage"] == "heatnet" and line["kind"] == "loss"][-1]
    assert {"day", "night", "confusion", "critic", "learning_rate"} <= set(last)
    assert [line["step"] for line in lines if line["kind"] == "validation"] == [0, 1, 0, 1, 1, 3]


def test_a_run_is_scored_with_all_its_models_side_by_side(toy_run: Path, toy_dataset: Path) -> None:
    scores = evaluate(toy_run, toy_dataset, "val")
    assert list(scores["models"]) == ["rgb_teacher", "thermal_teacher", "heatnet"]
    assert scores["classes_scored"] == ["road", "sky", "person", "car"]
    for name in ("day", "night", "combined", "pooled"):
        assert scores[name] == scores["models"]["heatnet"][name]
        assert set(scores[name]) == {"miou", "iou"}
    json.dumps(scores, allow_nan=False)
    one = evaluate(toy_run / "rgb_teacher" / "best.pt", toy_dataset, "val", ["car", "person"])
    assert list(one["models"]) == ["rgb_teacher"] and set(one["day"]["iou"]) == {"person", "car"}


def test_the_same_seed_gives_the_same_run(toy_run: Path, toy_dataset: Path, tmp_path: Path) -> None:
    train(toy_dataset, tmp_path / "again", tiny())
    assert read_metrics(tmp_path / "again") == read_metrics(toy_run)


def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(
    toy_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(pretrain_steps=4, confusion_steps=4, validations=4)
    train(toy_dataset, tmp_path / "whole", config)
    advance = Trainer._advance

    def killed(trainer: Trainer, batch: Any) -> Any:
        if trainer.stage.name == "heatnet" and trainer.step == 7:
            raise KeyboardInterrupt
        return advance(trainer, batch)

    monkeypatch.setattr(Trainer, "_advance", killed)
    with pytest.raises(KeyboardInterrupt):
        train(toy_dataset, tmp_path / "broken", config)
    monkeypatch.undo()
    torch.manual_seed(99)
    train(toy_dataset, tmp_path / "broken", config, resume=True)
    assert read_metrics(tmp_path / "broken") == read_metrics(tmp_path / "whole")
    whole, broken = (load_checkpoint(tmp_path / name / "heatnet" / "last.pt").weights for name in ("whole", "broken"))
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_labels_by_night_do_not_change_the_training(toy_run: Path, toy_dataset: Path, tmp_path: Path) -> None:
    """The same images with senseless night labels, which call themselves as good as the others."""
    data = Dataset.open(toy_dataset)
    (night,) = (shard for shard in data.manifest.shards if (shard.split, shard.domain) == ("train", "night"))
    rng = np.random.default_rng(5)
    samples = [data.read(ref) for ref in data.refs(split="train", domain="night")]
    senseless = [replace(sample, label=rng.integers(0, 13, sample.valid.shape, np.uint8)) for sample in samples]
    other = tmp_path / "other"
    (other / "shards").mkdir(parents=True)
    for record in data.manifest.shards:
        (other / "shards" / record.name).write_bytes(data.path(record).read_bytes())
    info = ShardInfo("train", "night", night.sequence, night.label_source)
    changed = write_shard(other, night.name, senseless, info)
    shards = tuple(changed if record is night else record for record in data.manifest.shards)
    write_manifest(other, Manifest(shards=shards))
    train(other, tmp_path / "run", tiny())
    assert read_metrics(tmp_path / "run") == read_metrics(toy_run)


@pytest.mark.parametrize("modality", ["rgb", "thermal"])
def test_a_teachers_label_has_its_probability_and_none_where_it_was_never_trained(
    toy_dataset: Path, tmp_path: Path, modality: str
) -> None:
    """A network that says class 7 with logit 2 everywhere; the toys have no thermal in the first columns."""
    config = tiny(width=0.1, teacher_modalities=("thermal",))
    network = build_network(config.network(f"{modality}-teacher"))
    torch.nn.init.zeros_(network.head.classify.weight)
    network.head.classify.bias.data = 2.0 * (torch.arange(13) == 7)
    teacher = Checkpoint(f"{modality}_teacher", 1, network.config, network.state_dict(), config, {}, {})
    save_checkpoint(tmp_path / "best.pt", teacher)
    data = Dataset.open(toy_dataset)
    refs = data.refs(split="train", domain="night")[:1]
    label, confidence = label_frames(data, refs, tmp_path / "best.pt", tmp_path / "labels").read(refs[0])
    known = data.read(refs[0]).valid.astype(bool) if modality == "thermal" else np.ones(label.shape, bool)
    assert (label[known] == 7).all() and (label[~known] == 13).all()
    assert np.allclose(confidence[known], np.exp(2) / (np.exp(2) + 12), atol=1 / 255)
    assert not confidence[~known].any() and (modality == "rgb" or not known.all())


def test_a_teachers_day_labels_train_the_student_but_no_rgb_teacher(
    make_dataset: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = make_dataset(("train", "day", 4, "teacher:somebody"), ("train", "night", 4, None))
    with caplog.at_level(logging.WARNING):
        result = train(root, tmp_path / "run", tiny())
    assert list(result["stages"]) == ["thermal-teacher", "heatnet"]
    assert "no RGB teacher" in caplog.text
    assert (tmp_path / "run" / "heatnet" / "best.pt").is_file()  # without a validation split, the last one
    with pytest.raises(DatasetError, match="not a teacher's"):
        train(root, tmp_path / "other", tiny(stage="rgb-teacher"))


def test_day_frames_without_labels_get_those_of_the_rgb_teacher(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_dataset(("train", "day", 3, "hand"), ("train", "day", 2, None), ("train", "night", 2, None))
    train(root, tmp_path / "run", tiny(stage="rgb-teacher"))
    source = day_source(Dataset.open(root), tmp_path / "run")
    assert len(source.refs) == 5
    bare = [index for index, ref in enumerate(source.refs) if ref.label_source is None]
    assert all((source.read(index).label <= 12).all() for index in bare)
    assert all(source.read(index).confidence.max() < 1.01 for index in bare)


def test_init_from_starts_a_stage_from_given_weights(toy_run: Path, toy_dataset: Path, tmp_path: Path) -> None:
    config = tiny(
        stage="thermal-teacher", learning_rate=1e-30, weight_decay=0.0, thermal_teacher_steps=1, validations=1
    )
    train(toy_dataset, tmp_path / "run", config, init_from=toy_run / "thermal_teacher" / "best.pt")
    old, new = (
        load_checkpoint(folder / "thermal_teacher" / "best.pt").weights for folder in (toy_run, tmp_path / "run")
    )
    assert torch.equal(old["head.classify.weight"], new["head.classify.weight"])


@pytest.mark.parametrize(
    ("shards", "changes", "message"),
    [
        ([("val", "day", 1, "hand")], {}, "no frames in split 'train'"),
        ([("train", "day", 2, None), ("train", "night", 2, None)], {}, "labels that are not a teacher's"),
        ([("train", "night", 2, "simulation")], {"stage": "thermal-teacher"}, "no labelled day frames"),
        ([("train", "day", 2, "hand")], {"stage": "all"}, "no night frames"),
        ([("train", "day", 2, "hand"), ("train", "night", 2, None)], {"stage": "heatnet"}, "thermal-teacher first"),
    ],
)
def test_a_dataset_that_lacks_what_a_stage_needs_is_refused_before_training(
    make_dataset: Callable[..., Path], tmp_path: Path, shards: Any, changes: dict[str, Any], message: str
) -> None:
    root = make_dataset(*shards)
    with pytest.raises(HeatNetError, match=message):
        train(root, tmp_path / "run", tiny(**changes))
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten_and_only_resumed_with_its_own_settings(toy_run: Path, toy_dataset: Path) -> None:
    with pytest.raises(TrainingError, match="--resume"):
        train(toy_dataset, toy_run, tiny())
    before = (toy_run / "config.json").read_bytes()
    with pytest.raises(TrainingError, match=r"other settings.*batch"):
        train(toy_dataset, toy_run, tiny(batch=4), resume=True)
    with pytest.raises(TrainingError, match=r"other settings.*confusion_steps"):
        train(toy_dataset, toy_run, tiny(stage="heatnet", confusion_steps=3), resume=True)
    assert (toy_run / "config.json").read_bytes() == before
    with pytest.raises(TrainingError, match="one --stage"):
        train(toy_dataset, toy_run.parent / "new", tiny(), init_from=toy_run / "heatnet" / "best.pt")


def test_teachers_built_otherwise_are_refused(toy_run: Path, toy_dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(toy_run / "thermal_teacher", tmp_path / "run" / "thermal_teacher")
    with pytest.raises(TrainingError, match=r"thermal_teacher.*late.*early.*built alike"):
        train(toy_dataset, tmp_path / "run", tiny(stage="heatnet", fusion="early"), resume=True)
    with pytest.raises(
        TrainingError, match=r"differ in head_width \(0\.5, here 1\.0\), certainty \(False, here True\)$"
    ):
        train(toy_dataset, tmp_path / "run", tiny(stage="heatnet", head_width=1.0, certainty=True), resume=True)
    train(toy_dataset, tmp_path / "run", tiny(stage="heatnet", modalities=("thermal",), fusion="early"), resume=True)


def test_dropout_has_no_weights_and_may_differ_from_that_of_the_teachers(
    toy_run: Path, toy_dataset: Path, tmp_path: Path
) -> None:
    shutil.copytree(toy_run / "thermal_teacher", tmp_path / "run" / "thermal_teacher")
    train(toy_dataset, tmp_path / "run", tiny(stage="heatnet", dropout=0.3))
    assert load_checkpoint(tmp_path / "run" / "heatnet" / "best.pt").network.dropout == 0.3


def test_what_cannot_be_scored_is_said(toy_run: Path, toy_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"split 'test'.*train, val"):
        evaluate(toy_run, toy_dataset, "test")
    with pytest.raises(TrainingError, match="no such run"):
        evaluate(tmp_path / "nowhere", toy_dataset, "val")
    with pytest.raises(TrainingError, match="not a run"):
        evaluate(tmp_path, toy_dataset, "val")


def test_the_best_checkpoint_is_chosen_on_the_validation_split(toy_dataset: Path, tmp_path: Path) -> None:
    config = tiny(thermal_teacher_steps=3, validations=3)
    verdicts = iter([0.2, 0.6, 0.4])

    def score(_: Any) -> dict[str, Any]:
        value = next(verdicts)
        return {name: {"miou": value} for name in ("day", "night", "combined", "pooled")}

    trainer = toy_trainer(toy_dataset, tmp_path, config)
    assert trainer.fit(score)["validation"]["combined"] == 0.6
    assert load_checkpoint(tmp_path / "thermal_teacher" / "best.pt").step == 2
    assert load_checkpoint(tmp_path / "thermal_teacher" / "last.pt").step == 3


@pytest.mark.slow
def test_heatnet_sees_at_night_what_the_rgb_teacher_does_not(toy_dataset: Path, tmp_path: Path) -> None:
    steps = {"rgb_teacher_steps": 150, "thermal_teacher_steps": 150, "pretrain_steps": 120, "confusion_steps": 30}
    augmentation = AugmentConfig(rotation=0.2, scale=(0.9, 1.2))
    train(toy_dataset, tmp_path / "run", tiny(**steps, width=0.2, batch=4, learning_rate=4e-3, augment=augmentation))
    models = evaluate(tmp_path / "run", toy_dataset, "val")["models"]
    assert models["rgb_teacher"]["day"]["miou"] > 0.6
    assert models["heatnet"]["night"]["miou"] > models["rgb_teacher"]["night"]["miou"] + 0.2
    assert models["heatnet"]["day"]["miou"] > models["rgb_teacher"]["day"]["miou"] - 0.1
