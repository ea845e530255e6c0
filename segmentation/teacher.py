"""One step of a teacher: a network of one modality on labelled day frames."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.data import Batch, Frames
from heatnet.segmentation.losses import pixel_weights, supervised_loss
from heatnet.segmentation.optimizer import update
from heatnet.segmentation.pspnet import PSPNet


@dataclass
class Teacher:
    """A teacher and what moves it."""

    network: PSPNet
    optimizer: Optimizer
    class_weights: Tensor  # (13,)


def counted_pixels(network: PSPNet, frames: Frames) -> Tensor | None:
    """Where a network can know anything: what sees thermal alone answers only for pixels that thermal covers."""
    return frames.valid if network.config.modalities == ("thermal",) else None


def teacher_step(teacher: Teacher, batch: Batch, config: TrainConfig) -> dict[str, float]:
    """Cross entropy on the day labels, one step of the optimizer; returns the loss terms."""
    day = batch.day
    logits = teacher.network(day.rgb, day.thermal).logits
    weights = pixel_weights(day.label, teacher.class_weights, counted_pixels(teacher.network, day))
    loss = supervised_loss(logits, day.label, weights)
    norm = update(teacher.optimizer, loss, config.clip_norm)
    with torch.no_grad():
        right = (logits.argmax(1) == day.label)[day.label < 13].float().mean()
    return {"day": loss.item(), "gradient_norm": norm, "accuracy": right.item()}
