"""One step of the student: day labels, the night teacher's labels, and the confusion of the critics."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from heatnet.segmentation.adaptation import (
    class_mix,
    complementary,
    dimmed,
    draw_classes,
    draw_objects,
    hidden_in_both,
    labelled_by,
    only_sure,
    surer,
)
from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.critic import detached, part, scores
from heatnet.segmentation.data import Batch, Frames
from heatnet.segmentation.inference import at_rest
from heatnet.segmentation.losses import confusion_loss, critic_loss, pixel_weights, supervised_loss
from heatnet.segmentation.network import Maps, Network
from heatnet.segmentation.optimizer import Average, Updater, autocast
from heatnet.segmentation.teacher import CERTAINTY_WEIGHT, counted_pixels, day_certainty


@dataclass
class Student:
    """The student and its critics, each with its own updater."""

    network: Network
    updater: Updater
    critics: nn.ModuleDict
    critic_updater: Updater | None  # None without critics
    class_weights: Tensor  # (13,)
    average: Average[Network] | None = None  # of the student, where it labels nights
    night_teacher: Network | None = None  # where it labels while the student trains


def student_step(student: Student, batch: Batch, config: TrainConfig, confuse: bool) -> dict[str, float]:
    """One step of the student and, in the second stage (`confuse`), one of the critics on the same forward pass."""
    day, night, own = prepared(student, batch, config)
    with autocast(config, day.rgb.device):
        day_maps, night_maps = forward(student.network, day, night)
        terms = {
            "day": labelled(student, day_maps, day, config),
            "night": labelled(student, night_maps, night, config),
        }
        loss = terms["day"] + terms["night"]
        if day_maps.error is not None:
            terms["certainty"] = day_certainty(day_maps, day)
            loss = loss + CERTAINTY_WEIGHT * terms["certainty"]
        if own is not None and config.adapt.masked_consistency:
            terms["masked"] = labelled(student, _seen_in_part(student.network, own, config), own, config)
            loss = loss + config.adapt.masked_consistency * terms["masked"]
        if confuse:
            with frozen(student.critics):
                terms["confusion"] = _confusion(student, day_maps, night_maps, night, config)
            loss = loss + config.confusion_weight * terms["confusion"]
    norm = student.updater.descend(loss)
    if confuse and not config.alternate:
        terms["critic"] = critic_step(student, detached(day_maps), detached(night_maps), config)
    return plain(terms, norm)


def critic_step(student: Student, day: Maps, night: Maps, config: TrainConfig) -> Tensor:
    """One step of the critics on maps through which nothing flows back to the student; returns their loss."""
    assert student.critic_updater is not None
    with autocast(config, day.logits.device):
        loss = critic_loss(scores(student.critics, day), scores(student.critics, night), config.critic_loss)
    student.critic_updater.descend(loss)
    return loss.detach()


def alternating_step(student: Student, batch: Batch, config: TrainConfig, number: int) -> dict[str, float]:
    """The original's order: a step of the critics, then one of the student, each with a forward pass of its own."""
    assert batch.night is not None
    if number % 2 == 1:
        return student_step(student, batch, config, confuse=True)
    with at_rest(student.network), autocast(config, batch.day.rgb.device):
        day_maps, night_maps = forward(student.network, batch.day, batch.night)
    return plain({"critic": critic_step(student, day_maps, night_maps, config)}, None)


def forward(network: Network, day: Frames, night: Frames) -> tuple[Maps, Maps]:
    """The maps of day and night frames, from one pass."""
    maps = network(torch.cat([day.rgb, night.rgb]), torch.cat([day.thermal, night.thermal]))
    return part(maps, slice(None, len(day.rgb))), part(maps, slice(len(day.rgb), None))


def prepared(student: Student, batch: Batch, config: TrainConfig) -> tuple[Frames, Frames, Frames | None]:
    """Day and night frames as the student sees them, and the night frames with the labels of its own average."""
    assert batch.night is not None
    adapt, day, night = config.adapt, batch.day, batch.night
    if student.night_teacher is not None:
        night = labelled_by(student.night_teacher, night)
    own = None
    if adapt.needs_average:
        assert student.average is not None
        own = only_sure(labelled_by(student.average.network, night), adapt.threshold)
        night = surer(night, own) if adapt.mean_teacher else night
    night = only_sure(night, adapt.threshold)
    if adapt.class_mix:
        night = class_mix(day, night, draw_classes(day.label, adapt.class_mix))
    if adapt.paste:
        night = class_mix(dimmed(day, night), night, draw_objects(day.label, adapt.paste))
    if adapt.complementary_mask:
        day, night = complementary(day, adapt), complementary(night, adapt)
    return day, night, own


def labelled(student: Student, maps: Maps, frames: Frames, config: TrainConfig) -> Tensor:
    """Cross entropy weighted by class and by the confidence of the label (1 for the dataset's own labels)."""
    weights = pixel_weights(frames.label, student.class_weights, counted_pixels(student.network, frames))
    if config.confidence:
        weights = weights * frames.confidence
    return supervised_loss(maps.logits, frames.label, weights)


def _seen_in_part(network: Network, night: Frames, config: TrainConfig) -> Maps:
    seen = hidden_in_both(night, config.adapt)
    return network(seen.rgb, seen.thermal)


def _confusion(student: Student, day: Maps, night: Maps, frames: Frames, config: TrainConfig) -> Tensor:
    """The confusion term; with confidence weighting it acts where the night labels do not."""
    weights = 1 - frames.confidence if config.confidence else None
    by_day, by_night = scores(student.critics, day), scores(student.critics, night)
    return confusion_loss(by_day, by_night, config.critic_loss, config.two_way, weights, config.critic_weights)


def plain(terms: dict[str, Tensor], norm: float | None) -> dict[str, float]:
    """The terms as numbers, with the norm of the gradient where there was a step."""
    numbers = {name: term.item() for name, term in terms.items()}
    return numbers if norm is None else {**numbers, "gradient_norm": norm}


@contextlib.contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Within it gradients flow through `module` but none reaches its parameters."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
