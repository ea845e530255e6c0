"""What every network of this project has in common: its configuration, and what it makes of a batch."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from heatnet.errors import TrainingError
from heatnet.segmentation.classes import CLASS_COUNT

CHANNELS = {"rgb": 3, "thermal": 1}
STRIDE = 8
BACKBONES = ("fpn", "efficientnet_lite0", "resnet18", "resnet50", "resnet101", "resnext")


@dataclass(frozen=True)
class NetworkConfig:
    """All that is needed to build a network.

    `backbone` "fpn" is a light network (see fpn.py), "efficientnet_lite0" the same on another trunk, "resnext" the
    paper's second one, the others are PSPNets. `width` multiplies every channel count, `head_width` those of the head
    once more; `fusion` says where RGB and thermal meet: "early" at the input, "late" behind two trunks (of no meaning
    with one modality). `steps` is how many of the three doublings to the input's size a PSPNet learns; the logits take
    the others bilinearly, which saves most of the time on a CPU. `dropout` is the rate before the first doubling, half
    of it before the others. With `standardise` the network looks at thermal relative to the frame's mean and spread,
    which change with the hour, and with `standardise_rgb` so at each colour, in square roots, so that nights are as
    bright and coloured as days. `project` puts a 1x1 convolution on the shortcut where two trunks meet, as one trunk
    has it there. With `certainty` a branch says how wrong each pixel may be.
    """

    backbone: str = "resnet18"
    fusion: str = "late"
    modalities: tuple[str, ...] = ("rgb", "thermal")
    width: float = 1.0
    head_width: float = 1.0
    steps: int = 3
    dropout: float = 0.3
    standardise: bool = False
    standardise_rgb: bool = False
    project: bool = False
    certainty: bool = False

    def __post_init__(self) -> None:
        known = [name for name in CHANNELS if name in self.modalities]
        if self.backbone not in BACKBONES:
            raise TrainingError(f"backbone {self.backbone!r}: unknown; choose from {', '.join(BACKBONES)}")
        if self.fusion not in ("early", "late"):
            raise TrainingError(f"fusion {self.fusion!r}: unknown; choose early or late")
        if not known or sorted(known) != sorted(self.modalities):
            raise TrainingError(f"modalities {','.join(self.modalities)!r}: choose rgb, thermal or rgb,thermal")
        object.__setattr__(self, "modalities", tuple(known))  # in whatever order they are given: the same network
        if not (0.05 <= self.width <= 4 and 0.05 <= self.head_width <= 4):
            raise TrainingError(f"width {self.width} and {self.head_width} of the head: must be between 0.05 and 4")
        if self.steps not in (1, 2, 3):
            raise TrainingError(f"steps {self.steps}: the head doubles 1, 2 or 3 times")
        if not 0 <= self.dropout < 1:
            raise TrainingError(f"dropout {self.dropout}: must be from 0 to below 1")

    @property
    def trunks(self) -> tuple[tuple[str, ...], ...]:
        """Which modalities enter each trunk."""
        if self.fusion == "late":
            return tuple((name,) for name in self.modalities)
        return (tuple(self.modalities),)


class Maps(NamedTuple):
    """What the network makes of a batch: logits at the input's size and the feature maps a critic may look at.

    Those of `fpn` and `efficientnet_lite0` are smaller: H/16 of layer3, H/32 of layer4.
    """

    logits: Tensor  # (B, 13, H, W)
    layer4: Tensor  # (B, ., H/8, W/8)
    layer3: Tensor  # (B, ., H/8, W/8)
    layer2: Tensor  # (B, ., H/8, W/8)
    layer1: Tensor  # (B, ., H/4, W/4)
    stem: Tensor  # (B, ., H/4, W/4)
    error: Tensor | None = None  # (B, H, W) in (0, 1): 1 - p(true class) as the certainty branch expects it


class Network(nn.Module):
    """A network that makes Maps of RGB and thermal images.

    What it says of each class once it is trained is less by `prior` than what it learnt to say: where rare classes
    weigh more in the loss it says them too often, which the logarithm of their weight takes back (Menon et al. 2021).
    """

    prior: Tensor  # (13,)

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("prior", torch.zeros(CLASS_COUNT))

    def images(self, rgb: Tensor, thermal: Tensor) -> list[Tensor]:
        """What enters each trunk: (B, 3, H, W) and (B, 1, H, W), both in [-1, 1], as one tensor a trunk."""
        images = {
            "rgb": standardised_rgb(rgb) if self.config.standardise_rgb else rgb,
            "thermal": standardised(thermal) if self.config.standardise else thermal,
        }
        return [torch.cat([images[name] for name in names], dim=1) for names in self.config.trunks]

    def forward(self, rgb: Tensor, thermal: Tensor) -> Maps:
        """Maps of a batch: `rgb` (B, 3, H, W) and `thermal` (B, 1, H, W), both in [-1, 1]; H and W multiples of 8."""
        maps = self.maps(rgb, thermal)
        return maps if self.training else maps._replace(logits=maps.logits - self.prior[:, None, None])

    def maps(self, rgb: Tensor, thermal: Tensor) -> Maps:
        """As `forward`, before `prior`."""
        raise NotImplementedError


def standardised(thermal: Tensor) -> Tensor:
    """Thermal (B, 1, H, W) less the mean of its frame, by its standard deviation; pixels that are 0 are not covered."""
    covered = (thermal != 0).to(thermal.dtype)
    return _standardised(thermal, covered) * covered


def standardised_rgb(rgb: Tensor) -> Tensor:
    """RGB (B, 3, H, W) in [-1, 1] as square roots, less the mean of its frame and colour, by its standard deviation.

    Pixels black in all colours count for neither (they may be beyond the frame); a frame all black becomes 0.
    """
    rooted = ((rgb + 1) / 2).clamp_min(0).sqrt()
    seen = (rooted > 0).any(dim=1, keepdim=True).to(rgb.dtype)
    return _standardised(rooted, seen).clamp(-4, 4) * seen.amax(dim=(2, 3), keepdim=True)


def _standardised(images: Tensor, counted: Tensor) -> Tensor:
    """(B, C, H, W) less the mean of the pixels `counted` (B, 1, H, W) of 0 or 1, by their standard deviation."""
    count = counted.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    centred = images - (images * counted).sum(dim=(2, 3), keepdim=True) / count
    variance = (centred**2 * counted).sum(dim=(2, 3), keepdim=True) / count
    return centred / (variance + 1e-6).sqrt()


def scaled(channels: int, width: float) -> int:
    """A channel count times `width`, as a multiple of 4."""
    return max(4, round(channels * width / 4) * 4)


def parameter_count(network: nn.Module) -> int:
    """How many numbers training moves."""
    return sum(parameter.numel() for parameter in network.parameters())


def initialise(network: nn.Module) -> None:
    """He initialisation of every convolution, as torchvision's ResNets have it (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
