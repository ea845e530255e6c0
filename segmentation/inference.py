"""Predictions of a network, with its mode as it was before."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from heatnet.segmentation.augment import resize_affine, warp
from heatnet.segmentation.classes import CLASS_COUNT
from heatnet.segmentation.data import to_tensors
from heatnet.segmentation.frames import Frame
from heatnet.segmentation.network import STRIDE, Network


@dataclass(frozen=True)
class Views:
    """How often a network looks at a frame: at each of `sizes` (times its scale), and with `flip` at the mirror image.

    With `blind` it does so once more without RGB, where there is thermal. The probabilities are the mean over all.
    """

    sizes: tuple[float, ...] = (1.0,)
    flip: bool = False
    blind: bool = False


_BLACK = -1.0  # of RGB: beyond the frame, as `warp` leaves it in training, and where it is taken away
ONE, MIRRORED, SIX = Views(), Views(flip=True), Views((0.8, 1.0, 1.25), True)


@contextlib.contextmanager
def at_rest(network: nn.Module) -> Iterator[None]:
    """Eval mode without gradients: weights, statistics and dropout stand still; afterwards all is as it was."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextlib.contextmanager
def inference(network: nn.Module) -> Iterator[None]:
    """As `at_rest`, for answers that no other network learns from."""
    with at_rest(network), torch.inference_mode():
        yield


def probabilities(network: Network, frame: Frame, scale: float, views: Views = ONE) -> NDArray[np.float32]:
    """Class probabilities (13, H, W) of a frame at its own size; the network sees it at `scale`, in these `views`."""
    return answer(network, frame, scale, views)[0]


def answer(
    network: Network, frame: Frame, scale: float, views: Views = ONE
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """As `probabilities`, and the confidence (H, W): the highest of them, or what a certainty branch says."""
    seen = [_seen(network, frame, scale * size, views) for size in views.sizes]
    mean = torch.stack(seen).mean(dim=0).cpu().numpy()
    known = mean[:CLASS_COUNT]
    return known, (1 - mean[CLASS_COUNT] if len(mean) > CLASS_COUNT else known.max(axis=0))


def _seen(network: Network, frame: Frame, scale: float, views: Views) -> Tensor:
    """Probabilities (13 or 14, H, W) of a frame at its own size that the network sees at one `scale`."""
    height, width = frame.label.shape
    size = (max(STRIDE, round(height * scale)), max(STRIDE, round(width * scale)))
    small = to_tensors(warp(frame, resize_affine(scale), size))
    device = next(network.parameters()).device
    rgb, thermal = small.rgb[None].to(device), small.thermal[None].to(device)
    with inference(network):
        result = _mirrored(network, rgb, thermal, views.flip)
        if views.blind:
            blind = _mirrored(network, torch.full_like(rgb, _BLACK), thermal, views.flip)
            result = torch.where(small.valid.to(device), (result + blind) / 2, result)
        # Logits at the network's pixels stand for areas of the frame: the inverse of resize_affine.
        return interpolate(result, (height, width), mode="bilinear", align_corners=False)[0]


def _mirrored(network: Network, rgb: Tensor, thermal: Tensor, flip: bool) -> Tensor:
    result = _softmax(network, rgb, thermal)
    return (result + _softmax(network, rgb.flip(3), thermal.flip(3)).flip(3)) / 2 if flip else result


def _softmax(network: Network, rgb: Tensor, thermal: Tensor) -> Tensor:
    """Probabilities (1, 13, h, w); with a certainty branch the error to expect is a fourteenth channel."""
    height, width = rgb.shape[-2:]
    border = (0, -width % STRIDE, 0, -height % STRIDE)
    maps = network(pad(rgb, border, value=_BLACK), pad(thermal, border))
    known = torch.softmax(maps.logits[..., :height, :width].float(), dim=1)
    return known if maps.error is None else torch.cat([known, maps.error[:, None, :height, :width]], dim=1)
