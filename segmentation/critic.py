"""The domain critic: tells day features from night features."""

from collections.abc import Sequence

from torch import Tensor, nn

from heatnet.errors import TrainingError
from heatnet.segmentation.config import MAPS
from heatnet.segmentation.network import Maps, scaled

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


def make_critics(maps: Maps, names: Sequence[str], width: float) -> nn.ModuleDict:
    """One critic for each of the maps in `names`. Raises TrainingError where a map is too small for a critic."""
    critics = nn.ModuleDict()
    for name in names:
        _, channels, *size = getattr(maps, name).shape
        if min(size) < _SMALLEST:
            stride = round(maps.logits.shape[2] / size[0])
            raise TrainingError(
                f"critic on {name}: the map has {size[0]} x {size[1]} pixels; at least {_SMALLEST} x {_SMALLEST} are "
                f"needed (use fewer critics or a larger crop: {_SMALLEST * stride} pixels for a map at 1/{stride})"
            )
        critics[name] = Critic(channels, width)
    return critics


def scores(critics: nn.ModuleDict, maps: Maps) -> list[Tensor]:
    """The critics' scores (B, 1, h, w) of the maps of a batch: high means day."""
    return [critic(getattr(maps, name)) for name, critic in critics.items()]


def part(maps: Maps, rows: slice) -> Maps:
    """The maps of some frames of a batch."""
    error = None if maps.error is None else maps.error[rows]
    return maps._replace(error=error, **{name: getattr(maps, name)[rows] for name in MAPS})


def detached(maps: Maps) -> Maps:
    """The same maps, through which nothing flows back."""
    return maps._replace(error=None, **{name: getattr(maps, name).detach() for name in MAPS})
