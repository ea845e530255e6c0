"""The networks: their published sizes, their shapes, where their weights come from, and what they refuse."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from heatnet.errors import TrainingError
from heatnet.segmentation.build import build_network
from heatnet.segmentation.critic import Critic, make_critics, scores
from heatnet.segmentation.network import NetworkConfig, parameter_count
from heatnet.segmentation.pspnet import PSPNet


@pytest.mark.parametrize(
    ("backbone", "fusion", "millions", "gmac"),
    [
        ("resnet50", "early", 53.3, 157),
        ("resnet50", "late", 54.4, 163),
        ("resnext", "late", 43.4, 196),
        ("resnet101", "late", 73.4, 223.5),  # not published: layer3 has 17 more blocks
    ],
)
def test_the_networks_have_the_published_parameters_and_operations(
    backbone: str, fusion: str, millions: float, gmac: float
) -> None:
    with torch.device("meta"):
        network = build_network(NetworkConfig(backbone, fusion)).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, 320, 640), torch.zeros(1, 1, 320, 640))
    assert parameter_count(network) / 1e6 == pytest.approx(millions, rel=0.02)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmac, rel=0.02)


@pytest.mark.parametrize(("fusion", "trunks"), [("early", 1), ("late", 2)])
def test_a_resnext_has_deep_maps_at_an_eighth_and_meets_at_a_quarter(fusion: str, trunks: int) -> None:
    network = build_network(NetworkConfig("resnext", fusion, width=0.1)).eval()
    maps = network(torch.zeros(2, 3, 64, 96), torch.zeros(2, 1, 64, 96))
    assert maps.logits.shape == (2, 13, 64, 96)
    assert {maps.layer2.shape[-2:], maps.layer3.shape[-2:], maps.layer4.shape[-2:]} == {(8, 12)}
    assert maps.layer1.shape[-2:] == maps.stem.shape[-2:] == (16, 24)
    assert maps.stem.shape[1] == 8 * trunks


@pytest.mark.parametrize("backbone", ["resnet18", "resnext"])
def test_the_certainty_branch_says_how_wrong_each_pixel_may_be(backbone: str) -> None:
    network = build_network(NetworkConfig(backbone, width=0.1, certainty=True)).eval()
    error = network(torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32)).error
    assert error is not None and error.shape == (2, 32, 32)
    assert 0 <= error.min().item() <= error.max().item() <= 1


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
    assert len(make_critics(maps, ["logits"], 0.1)) == 1
    with pytest.raises(TrainingError, match=r"layer4.*16 x 20.*256 pixels for a map at 1/8"):
        make_critics(maps, ["logits", "layer4"], 0.1)


def test_a_critic_may_look_at_any_of_the_six_maps() -> None:
    names = ["stem", "layer1", "layer2", "layer3", "layer4", "logits"]
    for backbone in ("resnet18", "resnext"):
        network = build_network(NetworkConfig(backbone, width=0.05)).eval()
        maps = network(torch.zeros(1, 3, 256, 256), torch.zeros(1, 1, 256, 256))
        critics = make_critics(maps, names, 0.1)
        assert list(critics) == names
        assert [tuple(score.shape[-2:]) for score in scores(critics, maps)] == [(2, 2)] * 2 + [(1, 1)] * 3 + [(8, 8)]
