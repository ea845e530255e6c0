"""Training in several processes (torchrun) as if it were one: sums over processes, and batch statistics over all.

Every loss is a sum of pixels over a sum of weights. Each process divides its own pixels by the weights of all, so that
the gradients of the whole batch are the sum of the processes' gradients, whatever the weights; averaging them, as
DistributedDataParallel does, would weigh a process with few labelled pixels too much.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn

_PATIENCE = timedelta(hours=4)  # the others wait while the first process validates or labels


def rank() -> int:
    """The number of this process; 0 where there is but one."""
    return torch.distributed.get_rank() if _active() else 0


def world_size() -> int:
    """How many processes train together."""
    return torch.distributed.get_world_size() if _active() else 1


def _active() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


@contextlib.contextmanager
def processes() -> Iterator[None]:
    """Join the processes that torchrun started, and leave them at the end; nothing where there is but one."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or _active():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def wait() -> None:
    """Go on when all processes are here."""
    if _active():
        torch.distributed.barrier()


def device() -> torch.device:
    """Where this process computes."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def summed(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes; no gradient flows through it."""
    value = value.detach()
    if _active():
        value = value.clone()
        torch.distributed.all_reduce(value)
    return value


class _Sum(torch.autograd.Function):
    """The sum over all processes; what flows back is the sum of what flows back in each."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return summed(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return summed(gradients[0])


def full(values: Tensor) -> Tensor:
    """Half-precision values in single precision, others as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Add up the gradients of all processes, in one message."""
    if not _active():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with the statistics of all processes' frames (as many in each); on any device."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) to the same, normalised over B, h, w and the processes while training."""
        if not (self.training and _active()):
            return super().forward(features)
        wide = full(features)
        count = features.numel() // features.shape[1] * world_size()
        mean = _Sum.apply(wide.sum(dim=(0, 2, 3))) / count
        centred = wide - mean[:, None, None]
        variance = _Sum.apply(centred.square().sum(dim=(0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(features.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.momentum is not None and self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


def synchronise(network: nn.Module) -> None:
    """Let every batch normalisation of `network` use the statistics of all processes; in place."""
    for name, part in network.named_children():
        if type(part) is nn.BatchNorm2d:
            sync = SyncBatchNorm2d(part.num_features, part.eps, part.momentum)
            sync.load_state_dict(part.state_dict())
            setattr(network, name, sync)
        else:
            synchronise(part)
