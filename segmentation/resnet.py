"""The trunk of the network: residual stages of torchvision's blocks, kept at an eighth of the input by dilation."""

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

Block = type[BasicBlock] | type[Bottleneck]

BLOCKS: dict[str, tuple[Block, tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}


class Stem(nn.Module):
    """7x7 convolution to a half and pooling to a quarter of the input: (B, in, H, W) to (B, out, H/4, W/4)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Features of `image` at a quarter of its size."""
        return self.pool(nn.functional.relu(self.norm(self.conv(image)), inplace=True))


def residual_stage(
    block: Block, in_channels: int, planes: int, count: int, stride: int = 1, dilation: int = 1, project: bool = False
) -> nn.Sequential:
    """`count` residual blocks of `planes` (times the block's expansion) channels; the first one has the stride.

    The first one's shortcut has a 1x1 convolution where the size changes, and everywhere with `project`.
    torchvision's BasicBlock refuses a dilation, so the 3x3 convolutions get theirs after construction, in both kinds.
    """
    out_channels = planes * block.expansion
    shortcut = None
    if project or stride != 1 or in_channels != out_channels:
        shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
        )
    # Bottleneck computes its width as planes * (base_width / 64): 64 keeps the width at `planes`.
    blocks = [block(in_channels, planes, stride, shortcut)]
    blocks += [block(out_channels, planes) for _ in range(count - 1)]
    stage = nn.Sequential(*blocks)
    if dilation > 1:
        _dilate(stage, dilation)
    return stage


def _dilate(stage: nn.Module, dilation: int) -> None:
    for module in stage.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            module.dilation = (dilation, dilation)
            module.padding = (dilation, dilation)
