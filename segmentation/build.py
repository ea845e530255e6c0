"""From a configuration to its network."""

from heatnet.segmentation.network import Network, NetworkConfig
from heatnet.segmentation.pspnet import PSPNet
from heatnet.segmentation.resnext import ResNeXt


def build_network(config: NetworkConfig) -> Network:
    """A new network with random weights."""
    return ResNeXt(config) if config.backbone == "resnext" else PSPNet(config)
