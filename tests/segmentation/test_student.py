"""Who moves in which step, and what stands still."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from heatnet.errors import TrainingError
from heatnet.segmentation.config import TrainConfig, laptop
from heatnet.segmentation.critic import detached, make_critics, part
from heatnet.segmentation.data import Batch, Frames
from heatnet.segmentation.frames import Frame
from heatnet.segmentation.inference import inference, probabilities
from heatnet.segmentation.network import NetworkConfig
from heatnet.segmentation.optimizer import Average, Schedule, Updater, learning_rate_factor
from heatnet.segmentation.pspnet import PSPNet
from heatnet.segmentation.student import Student, critic_step, student_step
from heatnet.segmentation.teacher import Teacher, teacher_step

CONFIG = laptop(width=0.1, crop=(64, 64), batch=2)


def frames(label: int = 3) -> Frames:
    return Frames(
        rgb=torch.rand(2, 3, 64, 64) * 2 - 1,
        thermal=torch.rand(2, 1, 64, 64) * 2 - 1,
        valid=torch.ones(2, 64, 64, dtype=torch.bool),
        label=torch.full((2, 64, 64), label),
        confidence=torch.full((2, 64, 64), 0.7),
    )


def make_student(config: TrainConfig = CONFIG) -> Student:
    torch.manual_seed(0)
    network = PSPNet(NetworkConfig(width=0.1, steps=1))
    with inference(network):
        maps = network(torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64))
    critics = make_critics(maps, ["logits"], 0.1)
    updaters = [updater_of(part, config) for part in (network, critics)]
    return Student(network, updaters[0], critics, updaters[1], torch.ones(13), Average(network, 0.9))


def updater_of(network: torch.nn.Module, config: TrainConfig = CONFIG) -> Updater:
    return Updater(network, config, Schedule(1e-3, 0, 100, 0))


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_the_critic_step_leaves_the_student_and_its_statistics_alone() -> None:
    student = make_student()
    maps = student.network(torch.rand(4, 3, 64, 64), torch.rand(4, 1, 64, 64))
    network, critics = state(student.network), state(student.critics)
    optimizer = copy.deepcopy(student.updater.optimizer.state_dict())
    critic_step(student, detached(part(maps, slice(0, 2))), detached(part(maps, slice(2, 4))), CONFIG)
    assert same(network, student.network.state_dict())
    assert optimizer["state"] == student.updater.optimizer.state_dict()["state"]
    assert not same(critics, student.critics.state_dict())
    assert all(parameter.grad is None for parameter in student.network.parameters())


def test_a_step_with_confusion_moves_batch_statistics_once() -> None:
    student = make_student()
    student_step(student, Batch(frames(), frames()), CONFIG, confuse=True)
    assert student.network.stems[0].norm.num_batches_tracked.item() == 1


def test_student_and_critics_have_an_optimizer_each_and_the_confusion_leaves_no_gradient_in_the_critics() -> None:
    student = make_student()
    batch = Batch(frames(), frames(5))
    critics = state(student.critics)
    terms = student_step(student, batch, CONFIG, confuse=False)
    assert set(terms) == {"day", "night", "gradient_norm"}
    assert same(critics, student.critics.state_dict())
    assert all(parameter.grad is None for parameter in student.critics.parameters())
    terms = student_step(student, batch, CONFIG, confuse=True)
    assert {"confusion", "critic"} <= set(terms)
    assert not same(critics, student.critics.state_dict())
    assert student.critic_updater is not None
    shared = {id(p) for g in student.updater.optimizer.param_groups for p in g["params"]}
    assert not shared & {id(p) for g in student.critic_updater.optimizer.param_groups for p in g["params"]}
    assert all(parameter.requires_grad for parameter in student.critics.parameters())


def test_confusion_reaches_the_student() -> None:
    gradients = []
    for weight in (0.0, 100.0):
        student = make_student()
        config = laptop(width=0.1, crop=(64, 64), batch=2, confusion_weight=weight, clip_norm=1e9)
        torch.manual_seed(1)
        gradients.append(student_step(student, Batch(frames(13), frames(13)), config, confuse=True)["gradient_norm"])
    assert gradients[0] == 0 and gradients[1] > 0


def test_confidence_weighs_the_night_terms_only_where_it_differs() -> None:
    """A night label of no confidence teaches nothing: only the day gradient is left."""
    night = frames(5)
    doubtful = Frames(**{**vars(night), "confidence": torch.zeros(2, 64, 64)})
    terms = student_step(make_student(), Batch(frames(), doubtful), CONFIG, confuse=False)
    assert terms["night"] == 0 and terms["day"] > 0


class FixedCritic(torch.nn.Module):
    """Scores 0.25 for the upper half of any image and 0.75 for the lower one."""

    def __init__(self) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(()))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.tensor([0.25, 0.75]).view(1, 1, 2, 1).expand(len(features), 1, 2, 1) + self.level


def test_confusion_acts_where_the_night_teacher_is_in_doubt() -> None:
    student = make_student()
    student.critics = torch.nn.ModuleDict({"logits": FixedCritic()})
    student.critic_updater = updater_of(student.critics)
    confidence = torch.full((2, 64, 64), 0.9)
    confidence[:, 32:] = 0.2
    night = Frames(**{**vars(frames(5)), "confidence": confidence})
    terms = student_step(student, Batch(frames(), night), CONFIG, confuse=True)
    by_day = (0.75**2 + 0.25**2) / 2
    by_night = (0.1 * 0.75**2 + 0.8 * 0.25**2) / (0.1 + 0.8)
    assert terms["confusion"] == pytest.approx(by_day + by_night, rel=1e-4)


def test_inference_sees_black_beyond_the_frame_as_training_does() -> None:
    torch.manual_seed(0)
    network = PSPNet(NetworkConfig(width=0.1, steps=1))
    black = Frame(
        rgb=np.zeros((64, 64, 3), np.uint8),
        thermal=np.zeros((64, 64), np.float32),
        valid=np.zeros((64, 64), bool),
        label=np.full((64, 64), 13, np.uint8),
        confidence=np.ones((64, 64), np.float32),
    )
    black.rgb[:60, :60] = np.random.default_rng(0).integers(0, 255, (60, 60, 3))
    cut = Frame(**{name: image[:60, :60] for name, image in vars(black).items()})
    assert np.allclose(probabilities(network, cut, 1.0), probabilities(network, black, 1.0)[:, :60, :60], atol=1e-6)


def test_the_thermal_teacher_ignores_pixels_without_thermal() -> None:
    torch.manual_seed(0)
    network = PSPNet(NetworkConfig(modalities=("thermal",), width=0.1, steps=1))
    teacher = Teacher(network, updater_of(network), torch.ones(13))
    day = frames()
    uncovered = Frames(**{**vars(day), "valid": torch.zeros(2, 64, 64, dtype=torch.bool)})
    assert teacher_step(teacher, Batch(uncovered, None), CONFIG)["day"] == 0
    assert teacher_step(teacher, Batch(day, None), CONFIG)["day"] > 0


def test_inference_restores_the_mode_of_every_part() -> None:
    network = PSPNet(NetworkConfig(width=0.1, steps=1)).train()
    network.layer3.eval()
    modes = [module.training for module in network.modules()]
    statistics = state(network)
    with pytest.raises(RuntimeError), inference(network):
        assert not any(module.training for module in network.modules())
        network(torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64))
        raise RuntimeError
    assert [module.training for module in network.modules()] == modes
    assert same(statistics, network.state_dict())


def test_a_loss_that_is_not_finite_stops_with_the_weights_as_they_were() -> None:
    layer = torch.nn.Linear(2, 1)
    before = state(layer)
    with pytest.raises(TrainingError, match="nan"):
        updater_of(layer).descend(layer(torch.tensor([[math.nan, 1.0]])).sum())
    assert same(before, layer.state_dict())


def test_the_average_follows_weights_and_statistics() -> None:
    layer = torch.nn.BatchNorm1d(3)
    average = Average(layer, 0.9)
    torch.nn.init.constant_(layer.weight, 5.0)
    layer(torch.rand(4, 3))
    average.update(layer, 1000)
    assert average.network.weight.tolist() == pytest.approx([1.4] * 3) and average.network.num_batches_tracked == 1
    for step in range(200):
        average.update(layer, step)
    assert average.network.weight[0].item() == pytest.approx(5.0, abs=1e-3)
    assert not average.network.training


def test_the_learning_rate_warms_up_and_ends_at_nothing() -> None:
    factors = [learning_rate_factor(step, 100, 10) for step in range(101)]
    assert factors[0] < 0.1 and factors[-1] == 0
    assert max(factors) > 0.9 and factors.index(max(factors)) <= 11
    assert all(a >= b for a, b in pairwise(factors[11:]))
