"""PSPNet over RGB, thermal or both (Zhao et al. 2017, with the head and the two fusions of HeatNet)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from heatnet.errors import TrainingError
from heatnet.segmentation.classes import CLASS_COUNT
from heatnet.segmentation.resnet import BLOCKS, Stem, initialise, residual_stage

CHANNELS = {"rgb": 3, "thermal": 1}
STRIDE = 8
_BINS = (1, 2, 3, 6)


@dataclass(frozen=True)
class NetworkConfig:
    """All that is needed to build a network.

    `width` multiplies every channel count, `head_width` those of the head once more; `fusion` says where RGB and
    thermal meet: "early" at the input, "late" after layer2 of two trunks (of no meaning with one modality). `steps` is
    how many of the three doublings to the input's size are learnt; the logits take the others bilinearly, which is most
    of the time on a CPU. `dropout` is the rate before the first doubling, half of it before the others. With
    `standardise` the network looks at thermal relative to the frame's mean and spread, which change with the hour.
    `project` puts a 1x1 convolution on the shortcut where two trunks meet, as one trunk has it there.
    """

    backbone: str = "resnet18"
    fusion: str = "late"
    modalities: tuple[str, ...] = ("rgb", "thermal")
    width: float = 1.0
    head_width: float = 1.0
    steps: int = 3
    dropout: float = 0.3
    standardise: bool = False
    project: bool = False

    def __post_init__(self) -> None:
        known = [name for name in CHANNELS if name in self.modalities]
        if self.backbone not in BLOCKS:
            raise TrainingError(f"backbone {self.backbone!r}: unknown; choose from {', '.join(BLOCKS)}")
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
    """What the network makes of a batch: logits at the input's size and the feature maps a critic may look at."""

    logits: Tensor  # (B, 13, H, W)
    layer4: Tensor  # (B, ., H/8, W/8)
    layer3: Tensor  # (B, ., H/8, W/8)
    layer2: Tensor  # (B, ., H/8, W/8)
    layer1: Tensor  # (B, ., H/4, W/4)
    stem: Tensor  # (B, ., H/4, W/4)


class PSPNet(nn.Module):
    """Residual trunk at an eighth, pooling pyramid, three upsampling steps to the input's size, 13 classes."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        block, counts = BLOCKS[config.backbone]
        planes = [scaled(count, config.width) for count in (64, 128, 256, 512)]
        outputs = [count * block.expansion for count in planes]
        trunks = config.trunks
        self.stems = nn.ModuleList(Stem(sum(CHANNELS[name] for name in names), planes[0]) for names in trunks)
        self.layer1 = nn.ModuleList(residual_stage(block, planes[0], planes[0], counts[0]) for _ in trunks)
        self.layer2 = nn.ModuleList(residual_stage(block, outputs[0], planes[1], counts[1], stride=2) for _ in trunks)
        self.layer3 = residual_stage(
            block, outputs[1] * len(trunks), planes[2], counts[2], dilation=2, project=config.project
        )
        self.layer4 = residual_stage(block, outputs[2], planes[3], counts[3], dilation=4)
        self.head = Head(outputs[3], config.width * config.head_width, config.steps, config.dropout)
        initialise(self)

    def forward(self, rgb: Tensor, thermal: Tensor) -> Maps:
        """Maps of a batch: `rgb` (B, 3, H, W) and `thermal` (B, 1, H, W), both in [-1, 1]; H and W multiples of 8."""
        images = {"rgb": rgb, "thermal": standardised(thermal) if self.config.standardise else thermal}
        inputs = [torch.cat([images[name] for name in names], dim=1) for names in self.config.trunks]
        stems = [stem(image) for stem, image in zip(self.stems, inputs, strict=True)]
        firsts = [layer(features) for layer, features in zip(self.layer1, stems, strict=True)]
        seconds = [layer(features) for layer, features in zip(self.layer2, firsts, strict=True)]
        second = torch.cat(seconds, dim=1)
        third = self.layer3(second)
        fourth = self.layer4(third)
        logits = self.head(fourth)
        return Maps(logits, fourth, third, second, torch.cat(firsts, dim=1), torch.cat(stems, dim=1))


def standardised(thermal: Tensor) -> Tensor:
    """Thermal (B, 1, H, W) less the mean of its frame, by its standard deviation; pixels that are 0 are not covered."""
    covered = (thermal != 0).to(thermal.dtype)
    count = covered.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1)
    centred = (thermal - thermal.sum(dim=(1, 2, 3), keepdim=True) / count) * covered
    variance = (centred**2).sum(dim=(1, 2, 3), keepdim=True) / count
    return centred / (variance + 1e-6).sqrt()


class Head(nn.Module):
    """Pyramid pooling over bins 1, 2, 3, 6, then three times twice the size: (B, C, h, w) to (B, 13, 8h, 8w)."""

    def __init__(self, channels: int, width: float, steps: int, dropout: float) -> None:
        super().__init__()
        wide, middle, narrow = (scaled(count, width) for count in (1024, 256, 64))
        self.bins = nn.ModuleList(nn.Conv2d(channels, channels, 1, bias=False) for _ in _BINS)
        self.bottleneck = nn.Conv2d(channels * (len(_BINS) + 1), wide, 1)
        sizes = (wide, middle, narrow, narrow)[: steps + 1]
        self.steps = nn.ModuleList(_up(coarse, fine) for coarse, fine in pairwise(sizes))
        self.dropouts = nn.ModuleList(nn.Dropout2d(dropout if step == 0 else dropout / 2) for step in range(steps))
        self.classify = nn.Conv2d(sizes[-1], CLASS_COUNT, 1)
        self.remaining = STRIDE // 2**steps

    def forward(self, features: Tensor) -> Tensor:
        """Logits of the trunk's last features."""
        size = features.shape[-2:]
        pooled = [conv(adaptive_avg_pool2d(features, bins)) for conv, bins in zip(self.bins, _BINS, strict=True)]
        grown = [interpolate(level, size, mode="bilinear", align_corners=False) for level in pooled]
        features = torch.relu(self.bottleneck(torch.cat([features, *grown], dim=1)))
        for dropout, step in zip(self.dropouts, self.steps, strict=True):
            features = interpolate(dropout(features), scale_factor=2, mode="bilinear", align_corners=False)
            features = step(features)
        logits = self.classify(features)
        if self.remaining == 1:
            return logits
        return interpolate(logits, scale_factor=self.remaining, mode="bilinear", align_corners=False)


def _up(in_channels: int, out_channels: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.PReLU())


def scaled(channels: int, width: float) -> int:
    """A channel count times `width`, as a multiple of 4."""
    return max(4, round(channels * width / 4) * 4)


def parameter_count(network: nn.Module) -> int:
    """How many numbers training moves."""
    return sum(parameter.numel() for parameter in network.parameters())
