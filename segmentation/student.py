"""One step of the student: day labels, the night teacher's labels, and the confusion of the critics."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.critic import detached, part, scores
from heatnet.segmentation.data import Batch, Frames
from heatnet.segmentation.losses import confusion_loss, critic_loss, pixel_weights, supervised_loss
from heatnet.segmentation.optimizer import update
from heatnet.segmentation.pspnet import Maps, PSPNet
from heatnet.segmentation.teacher import counted_pixels


@dataclass
class Student:
    """The student and its critics, each with its own optimizer."""

    network: PSPNet
    optimizer: Optimizer
    critics: nn.ModuleList
    critic_optimizer: Optimizer | None  # None without critics
    class_weights: Tensor  # (13,)


def student_step(student: Student, batch: Batch, config: TrainConfig, confuse: bool) -> dict[str, float]:
    """One step of the student and, in the second stage (`confuse`), one of the critics on the same forward pass."""
    assert batch.night is not None
    day, night = batch.day, batch.night
    maps = student.network(torch.cat([day.rgb, night.rgb]), torch.cat([day.thermal, night.thermal]))
    day_maps, night_maps = part(maps, slice(None, len(day.rgb))), part(maps, slice(len(day.rgb), None))
    terms = {
        "day": _labelled(student, day_maps, day, config),
        "night": _labelled(student, night_maps, night, config),
    }
    loss = terms["day"] + terms["night"]
    if confuse:
        with frozen(student.critics):
            terms["confusion"] = _confusion(student, day_maps, night_maps, night, config)
        loss = loss + config.confusion_weight * terms["confusion"]
    norm = update(student.optimizer, loss, config.clip_norm)
    if confuse:
        terms["critic"] = critic_step(student, detached(day_maps), detached(night_maps), config)
    return {name: term.item() for name, term in terms.items()} | {"gradient_norm": norm}


def critic_step(student: Student, day: Maps, night: Maps, config: TrainConfig) -> Tensor:
    """One step of the critics on maps through which nothing flows back to the student; returns their loss."""
    assert student.critic_optimizer is not None
    loss = critic_loss(scores(student.critics, day), scores(student.critics, night), config.critic_loss)
    update(student.critic_optimizer, loss, config.clip_norm)
    return loss.detach()


def _labelled(student: Student, maps: Maps, frames: Frames, config: TrainConfig) -> Tensor:
    """Cross entropy weighted by class and by the confidence of the label (1 for the dataset's own labels)."""
    weights = pixel_weights(frames.label, student.class_weights, counted_pixels(student.network, frames))
    if config.confidence:
        weights = weights * frames.confidence
    return supervised_loss(maps.logits, frames.label, weights)


def _confusion(student: Student, day: Maps, night: Maps, frames: Frames, config: TrainConfig) -> Tensor:
    """The confusion term; with confidence weighting it acts where the night teacher's labels do not."""
    weights = 1 - frames.confidence if config.confidence else None
    by_day, by_night = scores(student.critics, day), scores(student.critics, night)
    return confusion_loss(by_day, by_night, config.critic_loss, config.two_way, weights)


@contextlib.contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Within it gradients flow through `module` but none reaches its parameters."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
