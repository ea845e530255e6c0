"""A light network for few frames and no GPU: ResNet trunks down to 1/32, feature pyramid back to a quarter.

Lateral connections as Lin et al. 2017; the levels are added up at a quarter, as in Panoptic FPN (Kirillov et al. 2019).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.resnet import BasicBlock

from heatnet.segmentation.classes import CLASS_COUNT
from heatnet.segmentation.efficientnet import LiteStem, blocks_of, channels_behind
from heatnet.segmentation.network import CHANNELS, Maps, Network, NetworkConfig, initialise, scaled
from heatnet.segmentation.resnet import BLOCKS, Stem, residual_stage


class FPN(Network):
    """ResNet-18 or EfficientNet-Lite0 trunks that meet behind layer2, layers 3 and 4 at 1/16 and 1/32, a pyramid."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        channels = self._lite(config) if config.backbone == "efficientnet_lite0" else self._residual(config)
        first, second, third, fourth = channels
        levels = (first * len(config.trunks), second * len(config.trunks), third, fourth)
        self.head = Pyramid(levels, scaled(128, config.width * config.head_width * 2), config)
        initialise(self)

    def _residual(self, config: NetworkConfig) -> tuple[int, int, int, int]:
        first, second, third, fourth = (scaled(count, config.width) for count in (64, 128, 256, 512))
        counts, trunks = BLOCKS["resnet18"][1], config.trunks
        self.stems = nn.ModuleList(Stem(sum(CHANNELS[name] for name in names), first) for names in trunks)
        self.layer1 = nn.ModuleList(residual_stage(BasicBlock, first, first, counts[0]) for _ in trunks)
        self.layer2 = nn.ModuleList(residual_stage(BasicBlock, first, second, counts[1], stride=2) for _ in trunks)
        self.layer3 = residual_stage(BasicBlock, second * len(trunks), third, counts[2], stride=2)
        self.layer4 = residual_stage(BasicBlock, third, fourth, counts[3], stride=2)
        return first, second, third, fourth

    def _lite(self, config: NetworkConfig) -> tuple[int, ...]:
        width, trunks = config.width, config.trunks
        self.stems = nn.ModuleList(LiteStem(sum(CHANNELS[name] for name in names), width) for names in trunks)
        self.layer1 = nn.ModuleList(blocks_of("layer1", width) for _ in trunks)
        self.layer2 = nn.ModuleList(blocks_of("layer2", width) for _ in trunks)
        self.layer3 = blocks_of("layer3", width, len(trunks))
        self.layer4 = blocks_of("layer4", width)
        return tuple(channels_behind(part, width) for part in ("layer1", "layer2", "layer3", "layer4"))

    def maps(self, rgb: Tensor, thermal: Tensor) -> Maps:
        """See Network; layers 3 and 4 are at a sixteenth and a thirty-second."""
        stems = [stem(image) for stem, image in zip(self.stems, self.images(rgb, thermal), strict=True)]
        firsts = [layer(features) for layer, features in zip(self.layer1, stems, strict=True)]
        first = torch.cat(firsts, dim=1)
        second = torch.cat([layer(features) for layer, features in zip(self.layer2, firsts, strict=True)], dim=1)
        third = self.layer3(second)
        fourth = self.layer4(third)
        logits, error = self.head([first, second, third, fourth], (rgb.shape[2], rgb.shape[3]))
        return Maps(logits, fourth, third, second, first, torch.cat(stems, dim=1), error)


class Pyramid(nn.Module):
    """From coarse to fine each level adds what it knows; the finest, at a quarter, says the classes."""

    def __init__(self, levels: tuple[int, ...], channels: int, config: NetworkConfig) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in levels)
        self.around = nn.Conv2d(levels[-1], channels, 1)  # the mean of the frame: what kind of place this is
        self.smooth = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )
        self.dropout = nn.Dropout2d(config.dropout)
        self.classify = nn.Conv2d(channels, CLASS_COUNT, 1)
        self.doubt = nn.Conv2d(channels, 1, 1) if config.certainty else None

    def forward(self, levels: list[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor | None]:
        """Logits (B, 13, H, W) of features from fine to coarse and, with the certainty branch, the error to expect."""
        merged = self.around(levels[-1].mean(dim=(2, 3), keepdim=True)) + self.laterals[-1](levels[-1])
        for lateral, level in zip(list(self.laterals)[-2::-1], levels[-2::-1], strict=True):
            merged = lateral(level) + interpolate(merged, level.shape[-2:], mode="bilinear", align_corners=False)
        features = self.dropout(self.smooth(torch.relu(merged)))
        logits = interpolate(self.classify(features), size, mode="bilinear", align_corners=False)
        if self.doubt is None:
            return logits, None
        error = interpolate(self.doubt(features), size, mode="bilinear", align_corners=False)
        return logits, torch.sigmoid(error)[:, 0]
