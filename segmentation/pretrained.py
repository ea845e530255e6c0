"""Weights of torchvision's ResNets, trained on ImageNet, for the trunks of a PSPNet."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from heatnet.errors import TrainingError
from heatnet.segmentation.network import CHANNELS, Network

_STEM = {"conv1.": "conv.", "bn1.": "norm."}


def load_pretrained(network: Network) -> int:
    """Give `network` torchvision's weights, downloaded once; returns how many of its tensors they filled.

    Raises TrainingError where there are none for such a network, and where they cannot be had.
    """
    config = network.config
    if config.backbone == "resnext" or config.width != 1:
        raise TrainingError(
            f"pretrained: torchvision has no weights for {config.backbone} of width {config.width:g}; a resnet of "
            "width 1 is needed"
        )
    return fill_trunks(network, _download("resnet18" if config.backbone == "fpn" else config.backbone))


def _download(backbone: str) -> Mapping[str, Tensor]:
    weights = get_model_weights(backbone).DEFAULT
    kept = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise TrainingError(
            f"{weights.url}: cannot be had ({error}); connect to the network, put the file to {kept}, "
            "or train without pretrained weights"
        ) from error


def fill_trunks(network: Network, given: Mapping[str, Tensor]) -> int:
    """Copy a torchvision ResNet's weights into stems and layers 1 to 4; returns how many tensors were filled.

    Inputs that RGB has not get the mean over colours; where trunks meet, each gets an equal share.
    """
    own = network.state_dict()
    filled = 0
    for name, value in given.items():
        for target in _places(name, len(network.config.trunks)):
            if target in own:
                own[target].copy_(_fitted(value, own[target], _inputs(network, target)))
                filled += 1
    network.load_state_dict(own)
    return filled


def _places(name: str, trunks: int) -> list[str]:
    """Where a tensor of torchvision's goes."""
    for theirs, ours in _STEM.items():
        if name.startswith(theirs):
            return [f"stems.{trunk}.{ours}{name.removeprefix(theirs)}" for trunk in range(trunks)]
    layer, _, rest = name.partition(".")
    if layer in ("layer1", "layer2"):
        return [f"{layer}.{trunk}.{rest}" for trunk in range(trunks)]
    return [name] if layer in ("layer3", "layer4") else []


def _inputs(network: Network, target: str) -> tuple[str, ...]:
    """The modalities that a stem's convolution sees; none for all else."""
    part, _, rest = target.partition(".")
    trunk, _, rest = rest.partition(".")
    return network.config.trunks[int(trunk)] if part == "stems" and rest == "conv.weight" else ()


def _fitted(value: Tensor, own: Tensor, modalities: tuple[str, ...]) -> Tensor:
    if modalities:
        colours = {"rgb": value, "thermal": value.mean(dim=1, keepdim=True)}
        assert all(colours[name].shape[1] == CHANNELS[name] for name in modalities)
        return torch.cat([colours[name] for name in modalities], dim=1)
    if value.dim() == 4 and own.shape[1] != value.shape[1]:  # layer3 behind two trunks
        shares = own.shape[1] // value.shape[1]
        return value.repeat(1, shares, 1, 1) / shares
    return value
