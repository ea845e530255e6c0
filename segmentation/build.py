"""From a configuration to its network."""

from heatnet.segmentation.fpn import FPN
from heatnet.segmentation.network import Network, NetworkConfig
from heatnet.segmentation.pspnet import PSPNet
from heatnet.segmentation.resnext import ResNeXt


def build_network(config: NetworkConfig) -> Network:
    """A new network with random weights."""
    kinds: dict[str, type[Network]] = {"fpn": FPN, "efficientnet_lite0": FPN, "resnext": ResNeXt}
    return kinds.get(config.backbone, PSPNet)(config)
