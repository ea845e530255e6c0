"""Optimizers, their schedule, the guarded step, and the running average of weights."""

import copy
import math
from collections.abc import Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer, RMSprop

from heatnet.errors import TrainingError
from heatnet.segmentation.config import TrainConfig

Network = TypeVar("Network", bound=nn.Module)


def make_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig, learning_rate: float) -> Optimizer:
    """A new optimizer: every network has its own."""
    if config.optimizer == "rmsprop":
        return RMSprop(parameters, lr=learning_rate)
    return AdamW(parameters, lr=learning_rate, weight_decay=config.weight_decay)


def learning_rate_factor(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then polynomial decay of power 0.9 (Chen et al. 2017) to 0 at `steps`."""
    warming = min(1.0, (step + 1) / (warmup + 1))
    return warming * max(0.0, 1 - step / steps) ** 0.9


def set_learning_rate(optimizer: Optimizer, learning_rate: float) -> None:
    """Set the rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def update(optimizer: Optimizer, loss: Tensor, clip_norm: float) -> float:
    """One step down the gradient of `loss`, clipped to `clip_norm`; returns the norm before clipping.

    Raises TrainingError where loss or gradient is not finite, with the weights as they were.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    norm = float(nn.utils.clip_grad_norm_(parameters, clip_norm))
    if not (math.isfinite(norm) and bool(torch.isfinite(loss))):
        raise TrainingError(f"the loss is {loss.item():g} and its gradient {norm:g}; both must be finite")
    optimizer.step()
    return norm


class Average(Generic[Network]):
    """The exponential average of a network's weights and statistics: steadier than the last step's."""

    def __init__(self, network: Network, decay: float) -> None:
        self.network: Network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: Network, step: int) -> None:
        """Move towards `network`, faster in the first steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for own, other in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if own.dtype.is_floating_point:
                own.lerp_(other, 1 - decay)
            else:
                own.copy_(other)
