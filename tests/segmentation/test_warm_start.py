"""A student that starts from its teachers begins as the thermal one and can learn to use RGB."""

from dataclasses import replace

import pytest
import torch

from heatnet.errors import TrainingError
from heatnet.segmentation.build import build_network
from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.network import NetworkConfig
from heatnet.segmentation.pspnet import PSPNet
from heatnet.segmentation.warm_start import warm_start

CONFIG = NetworkConfig(width=0.1, steps=1, standardise=True, project=True)


def teacher(modality: str, seed: int) -> PSPNet:
    torch.manual_seed(seed)
    network = PSPNet(replace(CONFIG, modalities=(modality,))).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return network


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_the_student_begins_as_the_thermal_teacher_and_gradients_reach_rgb(fusion: str) -> None:
    student = PSPNet(replace(CONFIG, fusion=fusion)).eval()
    thermal = teacher("thermal", 0)
    warm_start(student, {"thermal": thermal, "rgb": teacher("rgb", 1)} if fusion == "late" else {"thermal": thermal})
    images = torch.rand(1, 3, 32, 64), torch.rand(1, 1, 32, 64)
    logits = student(*images).logits
    assert torch.allclose(logits, thermal(*images).logits, atol=1e-5)
    logits.square().mean().backward()
    weight = student.stems[0].conv.weight if fusion == "early" else student.layer3[0].conv1.weight
    assert weight.grad is not None
    assert float(weight.grad[:, : 3 if fusion == "early" else weight.shape[1] // 2].abs().sum()) > 0


def test_each_trunk_comes_from_its_own_teacher() -> None:
    student = PSPNet(CONFIG)
    rgb, thermal = teacher("rgb", 0), teacher("thermal", 1)
    warm_start(student, {"thermal": thermal, "rgb": rgb})
    assert torch.equal(student.stems[0].conv.weight, rgb.stems[0].conv.weight)
    assert torch.equal(student.layer2[0][1].conv2.weight, rgb.layer2[0][1].conv2.weight)
    assert torch.equal(student.layer2[1][1].conv2.weight, thermal.layer2[0][1].conv2.weight)


@pytest.mark.parametrize("backbone", ["fpn", "efficientnet_lite0", "resnet18", "resnext"])
def test_a_trunk_without_a_teacher_keeps_its_own_weights(backbone: str) -> None:
    config = replace(CONFIG, backbone=backbone)
    student, thermal = build_network(config), build_network(replace(config, modalities=("thermal",)))
    before = {name: value.clone() for name, value in student.state_dict().items()}
    warm_start(student, {"thermal": thermal})
    after, given = student.state_dict(), thermal.state_dict()
    parts = [name for name in before if name.startswith(("stems.0.", "layer1.0."))]
    assert parts and all(torch.equal(after[name], before[name]) for name in parts)
    assert all(torch.equal(after[name.replace(".0.", ".1.", 1)], given[name]) for name in parts)


@pytest.mark.parametrize("sees", [("thermal",), ("rgb", "thermal")])
def test_the_skip_of_a_resnext_with_two_trunks_fits_no_other(sees: tuple[str, ...]) -> None:
    """From a teacher of thermal alone to a student of both, and the other way round."""
    config = replace(CONFIG, backbone="resnext")
    other = ("thermal",) if len(sees) > 1 else ("rgb", "thermal")
    student, night = (build_network(replace(config, modalities=modalities)) for modalities in (other, sees))
    for value in night.state_dict().values():
        value.fill_(1)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    warm_start(student, {"thermal": night})
    skip = [name for name in before if name.startswith("fuse.")]
    assert skip and all(torch.equal(student.state_dict()[name], before[name]) for name in skip)
    assert (student.state_dict()["coarse.0.weight"] == 1).all()


def test_a_student_of_rgb_alone_starts_from_the_rgb_teacher_or_afresh() -> None:
    student = PSPNet(replace(CONFIG, modalities=("rgb",)))
    before = student.head.bottleneck.weight.clone()
    warm_start(student, {"thermal": teacher("thermal", 1)})
    assert torch.equal(student.head.bottleneck.weight, before)
    rgb = teacher("rgb", 0)
    warm_start(student, {"rgb": rgb, "thermal": teacher("thermal", 1)})
    assert torch.equal(student.head.bottleneck.weight, rgb.head.bottleneck.weight)


@pytest.mark.parametrize("backbone", ["fpn", "resnet18"])
@pytest.mark.parametrize("fusion", ["early", "late"])
def test_a_student_of_thermal_alone_takes_its_part_of_a_teacher_of_both(fusion: str, backbone: str) -> None:
    both = build_network(replace(CONFIG, fusion=fusion, backbone=backbone)).eval()
    student = build_network(replace(CONFIG, modalities=("thermal",), backbone=backbone)).eval()
    warm_start(student, {"thermal": both, "rgb": teacher("rgb", 0)})
    thermal = torch.rand(1, 1, 64, 64)
    if fusion == "early":
        expected = both.stems[0].conv.weight[:, 3:]
        assert torch.equal(student.stems[0].conv.weight, expected)
    else:
        seen, known = (network(torch.rand(1, 3, 64, 64), thermal).layer2 for network in (student, both))
        assert torch.allclose(seen, known[:, -seen.shape[1] :], atol=1e-6)
    weight, wide = student.layer3[0].conv1.weight, both.layer3[0].conv1.weight
    assert torch.equal(weight, wide[:, -weight.shape[1] :])


def test_modalities_in_any_order_are_the_same_network() -> None:
    assert replace(CONFIG, modalities=("thermal", "rgb")) == CONFIG
    assert TrainConfig(modalities=("thermal", "rgb")) == TrainConfig(modalities=("rgb", "thermal"))
    assert TrainConfig(modalities=("thermal", "rgb")).modalities == ("rgb", "thermal")
    with pytest.raises(TrainingError, match="rgb,rgb"):
        TrainConfig(modalities=("rgb", "rgb"))
