"""EfficientNet-Lite0's trunk (Tan and Le 2019; Lite: no squeeze-and-excitation, ReLU6), to a 32nd of the input.

Its weights of ImageNet come as a Python package (extra `pretrained`), so that no network is needed to begin with them.
"""

from torch import Tensor, nn

from heatnet.segmentation.network import scaled

# kernel, stride, expansion, channels and count of each stage's blocks
_STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
           (3, 1, 6, 320, 1))  # fmt: skip
STEM_CHANNELS = 32
PARTS = {"stems": (0, 2), "layer1": (2, 3), "layer2": (3, 5), "layer3": (5, 11), "layer4": (11, 16)}
"""The first and the last block (not included) of each part: at 1/4, 1/4, 1/8, 1/16 and 1/32."""


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Inverted residual: 1x1 up, depthwise, 1x1 down; (B, in, H, W) to (B, out, H/stride, W/stride)."""

    def __init__(self, in_channels: int, inner: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.expand_conv, self.bn0 = None, None
        if inner != in_channels:
            self.expand_conv, self.bn0 = nn.Conv2d(in_channels, inner, 1, bias=False), _norm(inner)
        self.depthwise_conv = nn.Conv2d(inner, inner, kernel, stride, kernel // 2, groups=inner, bias=False)
        self.bn1 = _norm(inner)
        self.project_conv = nn.Conv2d(inner, out_channels, 1, bias=False)
        self.bn2 = _norm(out_channels)
        self.skips = stride == 1 and in_channels == out_channels

    def forward(self, features: Tensor) -> Tensor:
        """Features of the next block."""
        inner = features
        if self.expand_conv is not None and self.bn0 is not None:
            inner = nn.functional.relu6(self.bn0(self.expand_conv(inner)))
        inner = nn.functional.relu6(self.bn1(self.depthwise_conv(inner)))
        out: Tensor = self.bn2(self.project_conv(inner))
        return out + features if self.skips else out


class LiteStem(nn.Module):
    """A 3x3 convolution and the first two blocks: (B, in, H, W) to (B, out, H/4, W/4)."""

    def __init__(self, in_channels: int, width: float) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(in_channels, scaled(STEM_CHANNELS, width), 3, 2, 1, bias=False)
        self.bn0 = _norm(scaled(STEM_CHANNELS, width))
        self.blocks = blocks_of("stems", width)

    def forward(self, image: Tensor) -> Tensor:
        """Features of `image` at a quarter of its size."""
        out: Tensor = self.blocks(nn.functional.relu6(self.bn0(self.conv_stem(image))))
        return out


def blocks_of(part: str, width: float, trunks: int = 1) -> nn.Sequential:
    """The blocks of one of PARTS; the first takes what `trunks` make of it side by side."""
    first, last = PARTS[part]
    (in_channels, *rest), *others = _shapes(width)[first:last]
    return nn.Sequential(Block(in_channels * trunks, *rest), *(Block(*shape) for shape in others))


def channels_behind(part: str, width: float) -> int:
    """How many channels a part has at its end."""
    return _shapes(width)[PARTS[part][1] - 1][2]


def _shapes(width: float) -> list[tuple[int, int, int, int, int]]:
    """Channels in, between and out, kernel and stride of every block."""
    shapes = []
    before = scaled(STEM_CHANNELS, width)
    for kernel, stride, expansion, channels, count in _STAGES:
        for number in range(count):
            after = scaled(channels, width)
            shapes.append((before, before * expansion, after, kernel, stride if number == 0 else 1))
            before = after
    return shapes
