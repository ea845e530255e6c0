"""Optimizers, their schedules, the guarded step, and the running average of weights."""

import contextlib
import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import AdamW, Optimizer, RMSprop

from heatnet.errors import TrainingError
from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.distributed import sum_gradients, summed

Model = TypeVar("Model", bound=nn.Module)
_SKIPS = 25  # steps in a row that fp16 may leave out while it looks for its scale
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def make_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig, learning_rate: float) -> Optimizer:
    """A new optimizer: every network has its own."""
    if config.optimizer == "rmsprop":
        return RMSprop(parameters, lr=learning_rate)
    fused = torch.cuda.is_available()  # a few launches instead of some a layer
    return AdamW(parameters, lr=learning_rate, weight_decay=config.weight_decay, fused=fused)


@dataclass(frozen=True)
class Schedule:
    """The learning rate of a network over the steps `first` to `last` (not included) in which it learns."""

    rate: float
    first: int
    last: int
    warmup: int
    halve_every: int | None = None  # None: polynomial decay

    def at(self, step: int) -> float:
        """The rate of a step."""
        done, steps = step - self.first, self.last - self.first
        if self.halve_every is not None:
            return self.rate * warming(done, self.warmup) * 0.5 ** (done // self.halve_every)
        return self.rate * learning_rate_factor(done, steps, self.warmup)


def make_schedule(config: TrainConfig, rate: float, first: int, last: int) -> Schedule:
    """The schedule of a network that learns from step `first` to `last`, as the configuration has it."""
    halve_every = config.halve_every if config.schedule == "halving" else None
    return Schedule(rate, first, last, config.warmup_steps, halve_every)


def learning_rate_factor(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then polynomial decay of power 0.9 (Chen et al. 2017) to 0 at `steps`."""
    return warming(step, warmup) * max(0.0, 1 - step / steps) ** 0.9


def warming(step: int, warmup: int) -> float:
    """From near 0 to 1 in `warmup` steps."""
    return min(1.0, max(0.0, (step + 1) / (warmup + 1)))


def autocast(config: TrainConfig, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Within it convolutions run in the precision of the configuration; losses take float32."""
    dtype = _half(config.precision, device)
    return contextlib.nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def _half(precision: str, device: torch.device) -> torch.dtype | None:
    """The short numbers of a precision, None for float32; "auto" has bf16 on a GPU that knows it."""
    if precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported():
        precision = "bf16"
    return _DTYPES.get(precision)


class Updater:
    """One network's way down its loss: its optimizer and schedule, parts, scaling, clipping and the guard."""

    def __init__(self, network: nn.Module, config: TrainConfig, schedule: Schedule) -> None:
        self.parameters = list(network.parameters())
        self.optimizer = make_optimizer(self.parameters, config, schedule.rate)
        self.schedule = schedule
        self._clip_norm, self._parts = config.clip_norm, config.accumulate
        device = self.parameters[0].device.type if self.parameters else "cpu"
        self._scaler = GradScaler(device, enabled=config.precision == "fp16")
        self._done = self._skipped = 0

    def set_step(self, step: int) -> float:
        """Set the rate of a step, and return it."""
        rate = self.schedule.at(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def descend(self, loss: Tensor) -> float | None:
        """Go down the gradient of `loss`, that of a part of the batch; with the last part the weights move.

        Returns the norm of the gradient before it was clipped, None before the last part. Raises TrainingError where
        the gradient or the loss is not finite, with the weights as they were.
        """
        if self._done == 0:
            self.optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss / self._parts).backward()
        self._done += 1
        if self._done < self._parts:
            return None
        self._done = 0
        return self._move(float(summed(loss)))

    def _move(self, loss: float) -> float:
        sum_gradients(self.parameters)
        self._scaler.unscale_(self.optimizer)
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self._clip_norm))
        finite = math.isfinite(norm) and math.isfinite(loss)
        self._skipped = 0 if finite else self._skipped + 1
        if not finite and not (self._scaler.is_enabled() and math.isfinite(loss) and self._skipped <= _SKIPS):
            raise TrainingError(f"the loss is {loss:g} and its gradient {norm:g}; both must be finite")
        self._scaler.step(self.optimizer)  # leaves the step out where fp16 overflowed
        self._scaler.update()
        return norm

    def state_dict(self) -> dict[str, Any]:
        """All that changes, between two steps."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self._scaler.state_dict(), "skipped": self._skipped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self._skipped = int(state["skipped"])


class Average(Generic[Model]):
    """The exponential average of a network's weights and statistics: steadier than the last step's."""

    def __init__(self, network: Model, decay: float) -> None:
        self.network: Model = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: Model, step: int) -> None:
        """Move towards `network`, faster in the first steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        own, others = zip(*(pair for pair in pairs if pair[0].dtype.is_floating_point), strict=True)
        torch._foreach_lerp_(own, others, 1 - decay)  # a few launches on a GPU instead of one a tensor
        for count, other in (pair for pair in pairs if not pair[0].dtype.is_floating_point):
            count.copy_(other)
