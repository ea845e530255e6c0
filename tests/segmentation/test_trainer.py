"""The trainer people expect: precision, parts, interruptions, early stop, and what a run remembers."""

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from segmentation_toys import tiny, toy_trainer

from heatnet.dataset_tools.shards import SampleRef
from heatnet.errors import DatasetError, TrainingError
from heatnet.segmentation.checkpoint import load_checkpoint
from heatnet.segmentation.config import TrainConfig, laptop, with_settings
from heatnet.segmentation.critic import make_critics
from heatnet.segmentation.data import Batch, Frames, batches, loading_processes
from heatnet.segmentation.inference import inference
from heatnet.segmentation.interrupt import Interrupt
from heatnet.segmentation.network import NetworkConfig
from heatnet.segmentation.optimizer import Average, Schedule, Updater, autocast, make_schedule
from heatnet.segmentation.pseudo_labels import LabelStore
from heatnet.segmentation.pspnet import PSPNet
from heatnet.segmentation.run_log import read_metrics
from heatnet.segmentation.student import Student, alternating_step, student_step
from heatnet.segmentation.train import train

SMALL = laptop(width=0.05, crop=(64, 64), batch=4, dropout=0.0)


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have tests of their own."""
    monkeypatch.setattr("heatnet.segmentation.train.write_report", lambda *_: None)


def frames(count: int = 4) -> Frames:
    torch.manual_seed(1)
    return Frames(
        rgb=torch.rand(count, 3, 64, 64) * 2 - 1,
        thermal=torch.rand(count, 1, 64, 64) * 2 - 1,
        valid=torch.ones(count, 64, 64, dtype=torch.bool),
        label=torch.randint(0, 13, (count, 64, 64)),
        confidence=torch.full((count, 64, 64), 0.7),
    )


def student_of(config: TrainConfig) -> Student:
    torch.manual_seed(0)
    network = PSPNet(NetworkConfig(width=0.05, steps=1, dropout=0.0))
    with inference(network):
        maps = network(torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64))
    critics = make_critics(maps, ["logits"], 0.1)
    updaters = [Updater(part, config, Schedule(1e-3, 0, 100, 0)) for part in (network, critics)]
    return Student(network, updaters[0], critics, updaters[1], torch.ones(13), Average(network, 0.9))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_trains_and_agrees_with_the_full_one(precision: str) -> None:
    batch = Batch(frames(), frames())
    full = student_step(student_of(SMALL), batch, SMALL, confuse=True)
    config = replace(SMALL, precision=precision)
    student = student_of(config)
    before = student.network.head.classify.weight.detach().clone()  # type: ignore[union-attr]
    mixed = student_step(student, batch, config, confuse=True)
    for name in ("day", "night", "confusion", "critic"):
        assert mixed[name] == pytest.approx(full[name], rel=0.05), name
    assert student.network.head.classify.weight.dtype == torch.float32  # type: ignore[union-attr]
    for _ in range(3):  # fp16 may leave a step out until its scale fits
        student_step(student, batch, config, confuse=True)
    assert not torch.equal(before, student.network.head.classify.weight)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("device", "known", "short"), [("cpu", True, False), ("cuda", True, True), ("cuda", False, False)]
)
def test_unasked_a_gpu_that_knows_bf16_computes_in_it_and_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch, device: str, known: bool, short: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: known)
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype: contextlib.nullcontext((kind, dtype)))
    with autocast(TrainConfig(), torch.device(device)) as asked:
        assert asked == (("cuda", torch.bfloat16) if short else None)


def test_unasked_a_gpu_is_fed_by_the_cores_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert loading_processes(TrainConfig()) == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for cores, processes in ((1, 1), (4, 3), (64, 8)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert loading_processes(TrainConfig()) == processes
    assert loading_processes(TrainConfig(workers=0)) == 0


def test_an_overflow_of_fp16_leaves_a_step_out_and_too_many_stop() -> None:
    layer = torch.nn.Linear(2, 1)
    updater = Updater(layer, replace(SMALL, precision="fp16"), Schedule(1e-2, 0, 100, 0))
    before = layer.weight.detach().clone()
    updater.descend((layer(torch.ones(1, 2)) * 1e36).sum())
    assert torch.equal(before, layer.weight)
    with pytest.raises(TrainingError, match="both must be finite"):
        for _ in range(60):
            updater.descend((layer(torch.ones(1, 2)) * 0).abs().sqrt().sum())  # a slope without end at 0
    assert torch.equal(before, layer.weight)


def test_parts_of_a_batch_make_the_step_of_their_mean() -> None:
    """A network without batch statistics: two halves give the gradient of the whole."""
    inputs = torch.rand(4, 2)
    weights = []
    for parts in (1, 2):
        torch.manual_seed(0)
        layer = torch.nn.Linear(2, 1)
        updater = Updater(layer, replace(SMALL, accumulate=parts), Schedule(1e-2, 0, 100, 0))
        norms = [updater.descend(layer(part).square().mean()) for part in inputs.chunk(parts)]
        assert norms[:-1] == [None] * (parts - 1) and norms[-1] is not None
        weights.append(layer.weight.detach().clone())
    assert torch.allclose(*weights, atol=1e-7)


def test_a_run_in_parts_goes_on_where_it_was(toy_dataset: Path, tmp_path: Path) -> None:
    config = tiny(stage="thermal-teacher", thermal_teacher_steps=4, batch=4, accumulate=2)
    train(toy_dataset, tmp_path / "run", config)
    lines = [line for line in read_metrics(tmp_path / "run") if line["kind"] == "loss"]
    assert lines[-1]["step"] == 3 and lines[-1]["gradient_norm"] > 0


def test_in_turns_only_one_of_student_and_critics_moves_and_the_other_is_frozen_altogether() -> None:
    config = replace(SMALL, alternate=True)
    student, batch = student_of(config), Batch(frames(), frames())
    network = {name: value.clone() for name, value in student.network.state_dict().items()}
    assert set(alternating_step(student, batch, config, 0)) == {"critic"}
    assert all(torch.equal(value, network[name]) for name, value in student.network.state_dict().items())
    assert student.network.training
    critics = {name: value.clone() for name, value in student.critics.state_dict().items()}
    assert {"day", "night", "confusion"} <= set(alternating_step(student, batch, config, 1))
    assert all(torch.equal(value, critics[name]) for name, value in student.critics.state_dict().items())


def test_critics_and_student_have_a_schedule_each() -> None:
    config = TrainConfig(schedule="halving", halve_every=10, warmup_steps=0)
    halved = make_schedule(config, 1.0, 0, 100)
    assert [halved.at(step) for step in (0, 9, 10, 25)] == [1.0, 1.0, 0.5, 0.25]
    later = make_schedule(TrainConfig(warmup_steps=0), 1.0, 50, 100)
    assert later.at(50) == 1.0 and later.at(75) == pytest.approx(0.5**0.9) and later.at(100) == 0


SCRIPT = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[3])
from segmentation_toys import tiny
from heatnet.segmentation.train import train
import heatnet.segmentation.train as module
module.write_report = lambda *_: None
config = tiny(stage="thermal-teacher", thermal_teacher_steps=12, validations=2, save_steps=3, dropout=0.3)
train(Path(sys.argv[1]), Path(sys.argv[2]), config, resume=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_stopped_at_any_step_ends_with_the_same_metrics(
    toy_dataset: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C saves after the step under way; a kill costs the steps since the last save."""
    command = [sys.executable, "-c", SCRIPT, str(toy_dataset)]
    tests = str(Path(__file__).parent)
    subprocess.run([*command, str(tmp_path / "whole"), tests], check=True)
    events = tmp_path / "broken" / "thermal_teacher"
    process = subprocess.Popen([*command, str(tmp_path / "broken"), tests], stderr=subprocess.PIPE)
    while process.poll() is None and not (events / "last.pt").is_file() and not (number == 2 and events.is_dir()):
        time.sleep(0.01)
    process.send_signal(number)
    error = process.communicate(timeout=120)[1].decode()
    if number == signal.SIGINT and process.returncode:
        assert "all saved; --resume goes on" in error
        assert load_checkpoint(events / "last.pt").step >= 1
    subprocess.run([*command, str(tmp_path / "broken"), tests], check=True)
    assert read_metrics(tmp_path / "broken") == read_metrics(tmp_path / "whole")
    whole, broken = (load_checkpoint(tmp_path / name / "thermal_teacher" / "last.pt") for name in ("whole", "broken"))
    assert all(torch.equal(whole.weights[name], broken.weights[name]) for name in whole.weights)


HOLDER = """
import sys
from pathlib import Path
from heatnet.segmentation.run_lock import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_trainings_at_once_do_not_mix_in_one_run_and_a_killed_one_keeps_nobody_out(
    toy_dataset: Path, tmp_path: Path
) -> None:
    run, config = tmp_path / "run", tiny(stage="thermal-teacher", thermal_teacher_steps=1, validations=1)
    other = subprocess.Popen([sys.executable, "-c", HOLDER, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None and other.stdout.readline() == b"held\n"
    with pytest.raises(TrainingError, match="run: another training is at work"):
        train(toy_dataset, run, config)
    assert [path.name for path in run.iterdir()] == [".lock"]
    other.kill()
    other.communicate(timeout=60)
    train(toy_dataset, run, config)
    assert (run / "thermal_teacher" / "best.pt").is_file()


def test_a_refused_run_leaves_no_folder(toy_run: Path, toy_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="one --stage"):
        train(toy_dataset, tmp_path / "run", tiny(), init_from=toy_run / "heatnet" / "best.pt")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """As on a terminal: a shell lets its background jobs, these tests perhaps among them, ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_interrupts")
def test_the_first_interrupt_waits_and_the_second_one_does_not() -> None:
    with Interrupt() as interrupt:
        assert not interrupt
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


def scores(values: list[float]) -> Any:
    verdicts = iter(values)

    def score(_: Any) -> dict[str, Any]:
        value = next(verdicts)
        return {name: {"miou": value} for name in ("day", "night", "combined", "pooled")}

    return score


def test_a_stage_ends_when_validation_gets_no_better_and_does_not_begin_again(
    toy_dataset: Path, tmp_path: Path
) -> None:
    config = tiny(thermal_teacher_steps=8, validations=8, patience=2)
    reached = toy_trainer(toy_dataset, tmp_path, config).fit(scores([0.2, 0.6, 0.4, 0.5]))
    assert reached["steps"] == 4 and reached["validation"]["combined"] == 0.6
    again = toy_trainer(toy_dataset, tmp_path, config)
    again.resume()
    assert again.fit(scores([]))["steps"] == 4


def test_patience_without_a_validation_split_is_refused(make_dataset: Any, tmp_path: Path) -> None:
    root = make_dataset(("train", "day", 2, "hand"), ("train", "night", 2, None))
    with pytest.raises(DatasetError, match="'val'; patience 3"):
        train(root, tmp_path / "run", tiny(patience=3))


def test_a_run_says_what_it_was_trained_on_and_is_not_resumed_on_other_data(
    toy_run: Path, toy_dataset: Path, make_dataset: Any
) -> None:
    told = json.loads((toy_run / "provenance.json").read_text())["dataset"]
    assert told["name"] == "dataset" and len(told["sha256"]) == 64 and told["size"] == [64, 96]
    assert load_checkpoint(toy_run / "heatnet" / "best.pt").dataset == told
    other = make_dataset(("train", "day", 2, "hand"), ("train", "night", 2, None))
    with pytest.raises(TrainingError, match=r"another dataset.*--init-from"):
        train(other, toy_run, tiny(), resume=True)


@pytest.mark.parametrize("text", [b"[]", b"null", b'{"night_teacher": 5}', b'{"night_teacher": {"name": 1}}', b"\xff"])
def test_a_broken_provenance_is_one_message_and_stays(
    toy_run: Path, toy_dataset: Path, tmp_path: Path, text: bytes
) -> None:
    shutil.copytree(toy_run, tmp_path / "run")
    (tmp_path / "run" / "provenance.json").write_bytes(text)
    for stage in ("all", "rgb-teacher"):
        with pytest.raises(TrainingError, match=r"provenance\.json: not as training writes it"):
            train(toy_dataset, tmp_path / "run", tiny(stage=stage), resume=True)
    assert (tmp_path / "run" / "provenance.json").read_bytes() == text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"5", "'5'; an object"),
        (b"null", "an object"),
        (b"{}", "an object"),
        (b'{"stage": "heatnet", "step": "one", "kind": "loss"}', "an object"),
        (b'{"stage": "heatnet", "step": 1, "kind": "loss", "day": []}', "and numbers"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_broken_line_among_the_metrics_is_named_before_training_goes_on(
    toy_run: Path, toy_dataset: Path, tmp_path: Path, line: bytes, message: str
) -> None:
    shutil.copytree(toy_run, tmp_path / "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    first, rest = metrics.read_bytes().split(b"\n", 1)
    metrics.write_bytes(b"\n".join([first, line, rest]))
    with pytest.raises(TrainingError, match=rf"metrics\.jsonl: line 2 is .*{message}"):
        read_metrics(tmp_path / "run")
    with pytest.raises(TrainingError, match=rf"metrics\.jsonl: line 2 is .*{message}"):
        train(toy_dataset, tmp_path / "run", tiny(), resume=True)
    metrics.write_bytes(first + b'\n{"stage": "heat')
    assert read_metrics(tmp_path / "run") == [json.loads(first)]


def test_the_network_before_the_critic_is_kept(toy_run: Path) -> None:
    assert load_checkpoint(toy_run / "heatnet" / "stage1.pt").step == 2


def test_an_rgb_only_student_learns_its_nights_from_a_heatnet(toy_run: Path, toy_dataset: Path, tmp_path: Path) -> None:
    teacher = toy_run / "heatnet" / "best.pt"
    config = tiny(stage="heatnet", modalities=("rgb",))
    train(toy_dataset, tmp_path / "run", config, init_from=toy_run / "rgb_teacher" / "best.pt", teacher=teacher)
    assert load_checkpoint(tmp_path / "run" / "heatnet" / "best.pt").network.modalities == ("rgb",)
    told = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert told["night_teacher"]["name"] == "best.pt" and len(told["night_teacher"]["sha256"]) == 64
    shutil.copytree(toy_run / "thermal_teacher", tmp_path / "run" / "thermal_teacher")
    with pytest.raises(TrainingError, match=r"labelled by best\.pt \(\w{12}\), now by the run's own night teacher"):
        train(toy_dataset, tmp_path / "run", config, resume=True)
    with pytest.raises(TrainingError, match=r"labelled by best\.pt .*, now by last\.pt"):
        train(toy_dataset, tmp_path / "run", config, resume=True, teacher=toy_run / "heatnet" / "last.pt")
    train(toy_dataset, tmp_path / "run", config, resume=True, teacher=teacher)
    with pytest.raises(TrainingError, match="name that stage"):
        train(toy_dataset, tmp_path / "other", tiny(), teacher=teacher)


@pytest.mark.parametrize(
    "changes",
    [
        {"alternate": True, "online_teacher": True, "schedule": "halving", "optimizer": "rmsprop"},
        {"backbone": "resnext", "certainty": True, "fusion": "early", "two_way": True, "critic_loss": "bce"},
        {"modalities": ("thermal",), "warm_start": False, "critics": 2, "critic_maps": ("logits", "stem"),
         "crop": (128, 128)},
    ],
)  # fmt: skip
def test_every_kind_of_run_trains_to_its_end(toy_dataset: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    train(toy_dataset, tmp_path / "run", tiny(**changes))
    last = [line for line in read_metrics(tmp_path / "run") if line["stage"] == "heatnet" and line["kind"] == "loss"][
        -1
    ]
    assert {"day", "night", "confusion", "critic"} <= set(last)
    assert all(math.isfinite(value) for value in last.values() if isinstance(value, float))


def test_labels_that_a_teacher_made_before_are_kept(toy_dataset: Path, tmp_path: Path, toy_run: Path) -> None:
    made = toy_run / "labels" / "night"
    before = {path.name: path.stat().st_mtime_ns for path in made.glob("*.npy")}
    with contextlib.suppress(TrainingError):
        train(toy_dataset, toy_run, tiny(), resume=True)
    assert before and before == {path.name: path.stat().st_mtime_ns for path in made.glob("*.npy")}


def test_settings_are_given_by_name() -> None:
    config = with_settings(laptop(), ["backbone=resnet50", "augment.flip=0", "crop=[64,96]", "adapt.mean_teacher=true"])
    assert (config.backbone, config.augment.flip, config.crop) == ("resnet50", 0, (64, 96))
    assert config.adapt.mean_teacher
    for wrong, message in (("flip", "KEY=VALUE"), ("augment.speed=1", "augment.speed"), ("batch=no", "batch")):
        with pytest.raises(TrainingError, match=message):
            with_settings(laptop(), [wrong])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 1}, "batch"),
        ({"batch": 4, "accumulate": 3}, "accumulate"),
        ({"precision": "int8"}, "precision"),
        ({"critic_maps": ("layer9",)}, "critic_maps"),
        ({"critics": 3, "critic_maps": ("logits",)}, "critics"),
        ({"schedule": "steps"}, "schedule"),
    ],
)
def test_impossible_settings_of_a_run_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=f"key '{message}'"):
        TrainConfig(**changes)


def test_patience_does_not_end_a_stage_in_its_first_part(toy_dataset: Path, tmp_path: Path) -> None:
    trainer = toy_trainer(toy_dataset, tmp_path, tiny(thermal_teacher_steps=9, validations=9, patience=2))
    trainer.stage.first_half = 6
    assert trainer.fit(scores([0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1]))["steps"] == 7


class Broken:
    """Pairs of which none can be read."""

    config = tiny(workers=1)

    def __getitem__(self, number: int) -> Batch:
        raise TrainingError(f"{number:05d}.npy: no label by a teacher (No such file)")


def test_an_error_in_a_loader_worker_is_one_clear_message() -> None:
    with pytest.raises(TrainingError) as caught:
        next(batches(Broken(), 0, 1))  # type: ignore[arg-type]
    assert str(caught.value) == "00000.npy: no label by a teacher (No such file)"


def test_labels_of_a_teacher_stay_with_their_frames_when_shards_move(tmp_path: Path) -> None:
    store = LabelStore(tmp_path)
    first, second = (SampleRef(shard, 0, "train", "night", "a", None, hash_) for shard, hash_ in ((0, "aa"), (1, "bb")))
    for ref, value in ((first, 1), (second, 2)):
        store.write(ref, np.full((2, 3), value, np.uint8), np.ones((2, 3), np.float32))
    assert (store.read(replace(first, shard=1))[0] == 1).all()
    assert (store.read(replace(second, shard=2))[0] == 2).all()
