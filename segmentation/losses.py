"""The loss terms of HeatNet as pure functions (docs: see the table of the method)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import (
    adaptive_avg_pool2d,
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse_loss,
)

from heatnet.segmentation.classes import IGNORE
from heatnet.segmentation.distributed import full, summed

DAY, NIGHT = 1.0, 0.0


def pixel_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Cross entropy of each pixel: logits (B, 13, H, W), label (B, H, W) int64; 0 where the label is 13."""
    return cross_entropy(full(logits), label, ignore_index=IGNORE, reduction="none")


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Sum of weighted values by the sum of weights, 0 where there is no weight; any equal shapes.

    Of several processes each divides by the weights of all: its share of the mean of the whole batch.
    """
    return (values * weights).sum() / summed(weights.sum()).clamp_min(1e-6)


def pixel_weights(label: Tensor, class_weights: Tensor | None = None, counted: Tensor | None = None) -> Tensor:
    """Weight of each pixel (B, H, W): that of its class (13,), 0 where the label is 13 or `counted` is False."""
    known = label != IGNORE
    if counted is not None:
        known = known & counted
    if class_weights is None:
        return known.float()
    return torch.where(known, class_weights[label.clamp_max(len(class_weights) - 1)], 0.0)


def supervised_loss(logits: Tensor, label: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of the cross entropy over the pixels of a batch."""
    return weighted_mean(pixel_cross_entropy(logits, label), weights)


def class_weights_from(share: Tensor, exponent: float) -> Tensor:
    """Weights (13,) = share ** -exponent of classes by their share of the labelled pixels, of mean 1 over the pixels.

    Classes that do not occur weigh nothing; `exponent` 0 weighs all others alike.
    """
    present = share > 0
    raw = torch.where(present, share.clamp_min(1e-6) ** -exponent, torch.zeros_like(share))
    return raw / (raw * share).sum().clamp_min(1e-6)


def domain_loss(score: Tensor, target: float, kind: str, weights: Tensor | None = None) -> Tensor:
    """How far a critic's scores (B, 1, h, w) are from `target`: mse, or bce with logits.

    `weights` (B, H, W) of the image's pixels are averaged over the area that each score stands for.
    """
    loss = mse_loss if kind == "mse" else binary_cross_entropy_with_logits
    score = full(score)
    values = loss(score, torch.full_like(score, target), reduction="none")
    if weights is None:
        return weighted_mean(values, torch.ones_like(values))
    return weighted_mean(values, adaptive_avg_pool2d(weights[:, None], (score.shape[2], score.shape[3])))


def critic_loss(day: Sequence[Tensor], night: Sequence[Tensor], kind: str) -> Tensor:
    """What the critics are to learn: sum over maps of l(day, 1) + l(night, 0)."""
    terms = [domain_loss(score, DAY, kind) for score in day] + [domain_loss(score, NIGHT, kind) for score in night]
    return torch.stack(terms).sum()


def confusion_loss(
    day: Sequence[Tensor],
    night: Sequence[Tensor],
    kind: str,
    two_way: bool,
    night_weights: Tensor | None = None,
    map_weights: Sequence[float] | None = None,
) -> Tensor:
    """What the student is to reach: night features that pass for day, and with `two_way` day ones that pass for night.

    Sum over maps of w_m [l(night, 1) + l(day, t)], t = 0 with `two_way`, else 1; w_m are the `map_weights` (1 without);
    `night_weights` (B, H, W) of night pixels.
    """
    target = NIGHT if two_way else DAY
    terms = [
        domain_loss(by_night, DAY, kind, night_weights) + domain_loss(by_day, target, kind)
        for by_day, by_night in zip(day, night, strict=True)
    ]
    weights = torch.tensor((map_weights or [1.0] * len(terms))[: len(terms)], device=terms[0].device)
    return (torch.stack(terms) * weights).sum()


def certainty_loss(error: Tensor, logits: Tensor, label: Tensor, weights: Tensor) -> Tensor:
    """Squared distance of the expected `error` (B, H, W) from 1 - p(true class); the logits learn nothing from it."""
    probability = torch.softmax(full(logits.detach()), dim=1)
    known = label.clamp_max(logits.shape[1] - 1)
    true = probability.gather(1, known[:, None])[:, 0]
    return weighted_mean((full(error) - (1 - true)) ** 2, weights)
