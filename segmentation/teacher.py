"""One step of a teacher: a network of one modality on labelled day frames."""

from dataclasses import dataclass

import torch
from torch import Tensor

from heatnet.segmentation.classes import IGNORE
from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.data import Batch, Frames
from heatnet.segmentation.losses import certainty_loss, pixel_weights, supervised_loss
from heatnet.segmentation.network import Maps, Network
from heatnet.segmentation.optimizer import Updater, autocast

CERTAINTY_WEIGHT = 10.0  # as the original weighs it against the cross entropy


@dataclass
class Teacher:
    """A teacher and what moves it."""

    network: Network
    updater: Updater
    class_weights: Tensor  # (13,)


def counted_pixels(network: Network, frames: Frames) -> Tensor | None:
    """Where a network can know anything: what sees thermal alone answers only for pixels that thermal covers."""
    return frames.valid if network.config.modalities == ("thermal",) else None


def day_certainty(maps: Maps, day: Frames) -> Tensor:
    """What the certainty branch has to learn from labelled frames."""
    assert maps.error is not None
    return certainty_loss(maps.error, maps.logits, day.label, pixel_weights(day.label))


def teacher_step(teacher: Teacher, batch: Batch, config: TrainConfig) -> dict[str, float]:
    """Cross entropy on the day labels, one step of the updater; returns the loss terms."""
    day = batch.day
    with autocast(config, day.rgb.device):
        maps = teacher.network(day.rgb, day.thermal)
        weights = pixel_weights(day.label, teacher.class_weights, counted_pixels(teacher.network, day))
        terms = {"day": supervised_loss(maps.logits, day.label, weights)}
        loss = terms["day"]
        if maps.error is not None:
            terms["certainty"] = day_certainty(maps, day)
            loss = loss + CERTAINTY_WEIGHT * terms["certainty"]
    norm = teacher.updater.descend(loss)
    numbers = {name: term.item() for name, term in terms.items()}
    with torch.no_grad():
        right = (maps.logits.argmax(1) == day.label)[day.label != IGNORE].float().mean()
    return numbers | {"accuracy": right.item()} | ({} if norm is None else {"gradient_norm": norm})
