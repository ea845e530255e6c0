"""PSPNet over RGB, thermal or both (Zhao et al. 2017, with the head and the two fusions of HeatNet)."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from heatnet.segmentation.classes import CLASS_COUNT
from heatnet.segmentation.network import CHANNELS, STRIDE, Maps, Network, NetworkConfig, initialise, scaled
from heatnet.segmentation.resnet import BLOCKS, Stem, residual_stage

_BINS = (1, 2, 3, 6)


class PSPNet(Network):
    """Residual trunk at an eighth, pooling pyramid, three upsampling steps to the input's size, 13 classes."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
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
        self.head = Head(outputs[3], config)
        initialise(self)

    def maps(self, rgb: Tensor, thermal: Tensor) -> Maps:
        """See Network."""
        stems = [stem(image) for stem, image in zip(self.stems, self.images(rgb, thermal), strict=True)]
        firsts = [layer(features) for layer, features in zip(self.layer1, stems, strict=True)]
        seconds = [layer(features) for layer, features in zip(self.layer2, firsts, strict=True)]
        second = torch.cat(seconds, dim=1)
        third = self.layer3(second)
        fourth = self.layer4(third)
        logits, error = self.head(fourth)
        return Maps(logits, fourth, third, second, torch.cat(firsts, dim=1), torch.cat(stems, dim=1), error)


class Head(nn.Module):
    """Pyramid pooling over bins 1, 2, 3, 6, then three times twice the size: (B, C, h, w) to (B, 13, 8h, 8w)."""

    def __init__(self, channels: int, config: NetworkConfig) -> None:
        super().__init__()
        wide, middle, narrow = (scaled(count, config.width * config.head_width) for count in (1024, 256, 64))
        count, dropout = config.steps, config.dropout
        self.bins = nn.ModuleList(nn.Conv2d(channels, channels, 1, bias=False) for _ in _BINS)
        self.bottleneck = nn.Conv2d(channels * (len(_BINS) + 1), wide, 1)
        sizes = (wide, middle, narrow, narrow)[: count + 1]
        self.steps = nn.ModuleList(_up(coarse, fine) for coarse, fine in pairwise(sizes))
        self.dropouts = nn.ModuleList(nn.Dropout2d(dropout if step == 0 else dropout / 2) for step in range(count))
        self.classify = nn.Conv2d(sizes[-1], CLASS_COUNT, 1)
        self.doubt = nn.Conv2d(sizes[-1], 1, 1) if config.certainty else None
        self.remaining = STRIDE // 2**count

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits of the trunk's last features and, with the certainty branch, the error (B, 8h, 8w) to expect."""
        features = self._decoded(features)
        logits = self._grown(self.classify(features))
        if self.doubt is None:
            return logits, None
        return logits, torch.sigmoid(self._grown(self.doubt(features)))[:, 0]

    def _decoded(self, features: Tensor) -> Tensor:
        size = features.shape[-2:]
        pooled = [conv(adaptive_avg_pool2d(features, bins)) for conv, bins in zip(self.bins, _BINS, strict=True)]
        grown = [interpolate(level, size, mode="bilinear", align_corners=False) for level in pooled]
        features = torch.relu(self.bottleneck(torch.cat([features, *grown], dim=1)))
        for dropout, step in zip(self.dropouts, self.steps, strict=True):
            features = interpolate(dropout(features), scale_factor=2, mode="bilinear", align_corners=False)
            features = step(features)
        return features

    def _grown(self, image: Tensor) -> Tensor:
        if self.remaining == 1:
            return image
        return interpolate(image, scale_factor=self.remaining, mode="bilinear", align_corners=False)


def _up(in_channels: int, out_channels: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.PReLU())
