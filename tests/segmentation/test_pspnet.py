"""The network: its published size, its shapes, and what it refuses."""

import pytest
import torch

from heatnet.errors import TrainingError
from heatnet.segmentation.critic import Critic, make_critics
from heatnet.segmentation.pspnet import NetworkConfig, PSPNet, parameter_count


@pytest.mark.parametrize(("fusion", "millions"), [("early", 53.3), ("late", 54.4)])
def test_pspnet_50_has_the_published_number_of_parameters(fusion: str, millions: float) -> None:
    with torch.device("meta"):
        network = PSPNet(NetworkConfig("resnet50", fusion))
    assert parameter_count(network) / 1e6 == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.parametrize("steps", [1, 3])
def test_deep_maps_stay_at_an_eighth_and_logits_have_the_size_of_the_input(backbone: str, steps: int) -> None:
    maps = PSPNet(NetworkConfig(backbone, "late", width=0.1, steps=steps)).eval()(
        torch.zeros(1, 3, 64, 96), torch.zeros(1, 1, 64, 96)
    )
    assert maps.logits.shape == (1, 13, 64, 96)
    for deep in (maps.layer2, maps.layer3, maps.layer4):
        assert deep.shape[-2:] == (8, 12)
    assert maps.layer1.shape[-2:] == maps.stem.shape[-2:] == (16, 24)


@pytest.mark.parametrize(
    ("modalities", "fusion", "moved_by_rgb", "moved_by_thermal"),
    [
        (("rgb",), "late", True, False),
        (("thermal",), "early", False, True),
        (("rgb", "thermal"), "early", True, True),
        (("rgb", "thermal"), "late", True, True),
    ],
)
def test_a_network_sees_its_modalities_and_no_other(
    modalities: tuple[str, ...], fusion: str, moved_by_rgb: bool, moved_by_thermal: bool
) -> None:
    torch.manual_seed(0)
    network = PSPNet(NetworkConfig("resnet18", fusion, modalities, 0.1)).eval()
    rgb, thermal = torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    base = network(rgb, thermal).logits
    assert (not torch.equal(network(-rgb, thermal).logits, base)) == moved_by_rgb
    assert (not torch.equal(network(rgb, -thermal).logits, base)) == moved_by_thermal


@pytest.mark.parametrize(
    "wrong",
    [{"backbone": "resnet19"}, {"fusion": "middle"}, {"modalities": ("radar",)}, {"modalities": ()}, {"width": 0.0}],
)
def test_a_network_that_does_not_exist_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(TrainingError):
        NetworkConfig(**wrong)  # type: ignore[arg-type]


def test_the_critic_has_five_convolutions_of_stride_two() -> None:
    assert Critic(13)(torch.zeros(2, 13, 64, 96)).shape == (2, 1, 2, 3)
    channels = [layer.out_channels for layer in Critic(13) if isinstance(layer, torch.nn.Conv2d)]
    assert channels == [64, 128, 256, 512, 1]


def test_a_critic_on_a_map_that_is_too_small_says_how_large_it_must_be() -> None:
    network = PSPNet(NetworkConfig("resnet18", "late", width=0.1)).eval()
    maps = network(torch.zeros(1, 3, 128, 160), torch.zeros(1, 1, 128, 160))
    assert len(make_critics(maps, 1, 0.1)) == 1
    with pytest.raises(TrainingError, match=r"layer4.*16 x 20.*32"):
        make_critics(maps, 2, 0.1)
