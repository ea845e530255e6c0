"""Predictions of a network, with its mode as it was before."""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from heatnet.segmentation.augment import resize_affine, warp
from heatnet.segmentation.data import to_tensors
from heatnet.segmentation.frames import Frame
from heatnet.segmentation.pspnet import STRIDE, PSPNet


@contextlib.contextmanager
def inference(network: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; afterwards every part is in the mode it had."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def probabilities(network: PSPNet, frame: Frame, scale: float, flip: bool = False) -> NDArray[np.float32]:
    """Class probabilities (13, H, W) of a frame at its own size; the network sees it at `scale`.

    With `flip` they are the mean over the frame and its mirror image.
    """
    height, width = frame.label.shape
    size = (max(STRIDE, round(height * scale)), max(STRIDE, round(width * scale)))
    small = to_tensors(warp(frame, resize_affine(scale), size))
    device = next(network.parameters()).device
    rgb, thermal = small.rgb[None].to(device), small.thermal[None].to(device)
    with inference(network):
        result = _softmax(network, rgb, thermal)
        if flip:
            result = (result + _softmax(network, rgb.flip(3), thermal.flip(3)).flip(3)) / 2
        # Logits at the network's pixels stand for areas of the frame: the inverse of resize_affine.
        grown = interpolate(result, (height, width), mode="bilinear", align_corners=False)[0]
    return grown.cpu().numpy()


def _softmax(network: PSPNet, rgb: Tensor, thermal: Tensor) -> Tensor:
    height, width = rgb.shape[-2:]
    border = (0, -width % STRIDE, 0, -height % STRIDE)
    black = -1.0  # beyond the frame, as `warp` leaves it in training
    logits = network(pad(rgb, border, value=black), pad(thermal, border)).logits[..., :height, :width]
    return torch.softmax(logits.float(), dim=1)
