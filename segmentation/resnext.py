"""The second network: a pre-activation ResNeXt with atrous pyramid and a skip from a quarter (HeatNet's own).

Grouped bottlenecks as Xie et al. 2017, identity mappings as He et al. 2016, the pyramid as Chen et al. 2017.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from heatnet.segmentation.classes import CLASS_COUNT
from heatnet.segmentation.network import CHANNELS, Maps, Network, NetworkConfig, initialise, scaled

_COUNTS = (3, 4, 6, 3)
_RATES = (12, 24, 36)
_GROUPS = 64


class ResNeXt(Network):
    """Two trunks up to a quarter (late fusion) or one, then three stages to an eighth, pyramid, skip, 13 classes."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        trunks = config.trunks
        stem, inner, pyramid = (scaled(count, config.width) for count in (64, 128, 256))
        inner = max(8, inner // 8 * 8)  # the groups must divide it
        outer = 2 * inner
        self.stems = nn.ModuleList(_stem(sum(CHANNELS[name] for name in names), stem) for names in trunks)
        self.layer1 = nn.ModuleList(_stage(stem, inner, outer, _COUNTS[0]) for _ in trunks)
        skip = outer * len(trunks)
        self.layer2 = _stage(skip, 2 * inner, 2 * outer, _COUNTS[1], stride=2)
        self.layer3 = _stage(2 * outer, 4 * inner, 4 * outer, _COUNTS[2], dilation=2)
        self.layer4 = _stage(4 * outer, 8 * inner, 8 * outer, _COUNTS[3], dilation=4)
        self.norm = _norm(8 * outer)
        self.pyramid = Pyramid(8 * outer, pyramid)
        self.dropout = nn.Dropout2d(config.dropout)
        self.coarse = _conv(pyramid, CLASS_COUNT, 1)
        self.up = nn.ConvTranspose2d(CLASS_COUNT, CLASS_COUNT, 4, 2, 1, bias=False)
        self.fuse = _fuse(skip + CLASS_COUNT, CLASS_COUNT)
        self.doubt = nn.Conv2d(pyramid, 1, 1) if config.certainty else None
        initialise(self)

    def maps(self, rgb: Tensor, thermal: Tensor) -> Maps:
        """See Network; layer4 is what the pyramid and the skip hand over: (B, ., H/8, W/8)."""
        stems = [stem(image) for stem, image in zip(self.stems, self.images(rgb, thermal), strict=True)]
        first = torch.cat([layer(features) for layer, features in zip(self.layer1, stems, strict=True)], dim=1)
        second = self.layer2(first)
        third = self.layer3(second)
        fused = self.pyramid(self.norm(self.layer4(third)))
        coarse = self.up(self.coarse(self.dropout(fused)))
        logits = self.fuse(torch.cat([coarse, first], dim=1))
        fourth = torch.cat([fused, adaptive_avg_pool2d(first, (fused.shape[2], fused.shape[3]))], dim=1)
        return Maps(logits, fourth, third, second, first, torch.cat(stems, dim=1), self._error(fused, logits))

    def _error(self, fused: Tensor, logits: Tensor) -> Tensor | None:
        if self.doubt is None:
            return None
        return torch.sigmoid(interpolate(self.doubt(fused), logits.shape[-2:], mode="bilinear"))[:, 0]


class Bottleneck(nn.Module):
    """Normalise and activate first; 1x1, grouped 3x3, 1x1; the shortcut is projected where the size changes."""

    def __init__(self, in_channels: int, inner: int, outer: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.norm = _norm(in_channels)
        self.path = nn.Sequential(
            nn.Conv2d(in_channels, inner, 1, stride, bias=False),
            _norm(inner),
            nn.Conv2d(inner, inner, 3, 1, dilation, dilation, groups=min(_GROUPS, inner // 2), bias=False),
            _norm(inner),
            nn.Conv2d(inner, outer, 1, bias=False),
        )
        changes = stride != 1 or in_channels != outer
        self.project = nn.Conv2d(in_channels, outer, 1, stride, bias=False) if changes else None

    def forward(self, features: Tensor) -> Tensor:
        """(B, in, h, w) to (B, outer, h / stride, w / stride)."""
        active = self.norm(features)
        return self.path(active) + (features if self.project is None else self.project(active))


class Pyramid(nn.Module):
    """Atrous pyramid: a 1x1, three dilated 3x3 and the mean of the image, fused: (B, in, h, w) to (B, out, h, w)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        dilated = [_conv(in_channels, channels, 3, rate) for rate in _RATES]
        self.levels = nn.ModuleList([_conv(in_channels, channels, 1), *dilated])
        # One pixel a frame: no batch statistics, which a part of one frame would not have.
        self.mean = nn.Sequential(nn.Conv2d(in_channels, channels, 1), nn.ReLU(inplace=True))
        self.fuse = _conv((len(_RATES) + 2) * channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Features that see near and far."""
        mean = self.mean(features.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *features.shape[-2:])
        return self.fuse(torch.cat([*(level(features) for level in self.levels), mean], dim=1))


def _norm(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _conv(in_channels: int, out_channels: int, size: int, dilation: int = 1, stride: int = 1) -> nn.Sequential:
    padding = dilation * (size // 2)
    conv = nn.Conv2d(in_channels, out_channels, size, stride, padding, dilation, bias=False)
    return nn.Sequential(conv, *_norm(out_channels))


def _stem(in_channels: int, channels: int) -> nn.Sequential:
    """Three 3x3 convolutions, halved twice: (B, in, H, W) to (B, channels, H/4, W/4)."""
    return nn.Sequential(
        *_conv(in_channels, channels, 3, stride=2),
        *_conv(channels, channels, 3),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def _stage(in_channels: int, inner: int, outer: int, count: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    blocks = [Bottleneck(in_channels, inner, outer, stride, dilation)]
    blocks += [Bottleneck(outer, inner, outer, 1, dilation) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


def _fuse(in_channels: int, out_channels: int) -> nn.Sequential:
    """Three 3x3 convolutions over skip and coarse classes, then four times the size by a learnt interpolation."""
    return nn.Sequential(
        *_conv(in_channels, in_channels, 3),
        *_conv(in_channels, in_channels, 3),
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.ConvTranspose2d(out_channels, out_channels, 8, 4, 2, bias=False),
    )
