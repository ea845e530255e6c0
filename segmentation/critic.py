"""The domain critic: tells day features from night features."""

import torch
from torch import Tensor, nn

from heatnet.errors import TrainingError
from heatnet.segmentation.pspnet import Maps, scaled

MAPS = ("logits", "layer4", "layer3", "layer2", "layer1", "stem")
"""The maps a critic may look at, in the order in which they are taken."""
_CHANNELS = (64, 128, 256, 512)
_SMALLEST = 32


class Critic(nn.Sequential):
    """Five 4x4 convolutions of stride 2 with LeakyReLU 0.2: (B, C, h, w) to scores (B, 1, h/32, w/32).

    `width` multiplies the channels between, as it does those of the network.
    """

    def __init__(self, in_channels: int, width: float = 1.0) -> None:
        layers: list[nn.Module] = []
        for out_channels in (*(scaled(count, width) for count in _CHANNELS), 1):
            layers += [nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            in_channels = out_channels
        super().__init__(*layers[:-1])


def make_critics(maps: Maps, count: int, width: float) -> nn.ModuleList:
    """One critic for each of the first `count` maps. Raises TrainingError where a map is too small for a critic."""
    critics = nn.ModuleList()
    for name in MAPS[:count]:
        _, channels, *size = getattr(maps, name).shape
        if min(size) < _SMALLEST:
            raise TrainingError(
                f"critic on {name}: the map has {size[0]} x {size[1]} pixels; at least {_SMALLEST} x {_SMALLEST} are "
                "needed (use fewer critics or a larger crop: 256 pixels for maps at an eighth)"
            )
        critics.append(Critic(channels, width))
    return critics


def scores(critics: nn.ModuleList, maps: Maps) -> list[Tensor]:
    """The critics' scores (B, 1, h, w) of the maps of a batch: high means day."""
    return [critic(getattr(maps, name)) for critic, name in zip(critics, MAPS, strict=False)]


def part(maps: Maps, rows: slice) -> Maps:
    """The maps of some frames of a batch."""
    return Maps(*(features[rows] for features in maps))


def detached(maps: Maps) -> Maps:
    """The same maps, through which nothing flows back."""
    return Maps(*(torch.Tensor.detach(features) for features in maps))
