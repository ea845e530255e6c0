"""Weights of ImageNet: where they come from, where they go, and what is refused; EfficientNet-Lite0 as published."""

import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, relu6
from torchvision.models import resnet18, resnet50

from heatnet.cli import main
from heatnet.errors import TrainingError
from heatnet.segmentation.build import build_network
from heatnet.segmentation.network import NetworkConfig, parameter_count
from heatnet.segmentation.pretrained import PACKAGE, fill_trunks, load_pretrained

Weights = dict[str, Tensor]
# of each block: kernel, stride, channels in, between and out, as the paper's table has them for the Lite variant
BLOCKS = (
    (3, 1, 32, 32, 16),
    (3, 2, 16, 96, 24), (3, 1, 24, 144, 24),
    (5, 2, 24, 144, 40), (5, 1, 40, 240, 40),
    (3, 2, 40, 240, 80), (3, 1, 80, 480, 80), (3, 1, 80, 480, 80),
    (5, 1, 80, 480, 112), (5, 1, 112, 672, 112), (5, 1, 112, 672, 112),
    (5, 2, 112, 672, 192), (5, 1, 192, 1152, 192), (5, 1, 192, 1152, 192), (5, 1, 192, 1152, 192),
    (3, 1, 192, 1152, 320),
)  # fmt: skip


def published_lite0() -> Weights:
    """Random weights of EfficientNet-Lite0 by their published names, the head with them."""
    generator = torch.Generator().manual_seed(1)
    weights: Weights = {}

    def add(conv: str, norm: str, shape: tuple[int, ...]) -> None:
        fan = shape[1] * shape[2] * shape[3]
        weights[f"{conv}.weight"] = torch.randn(shape, generator=generator) / fan**0.5
        for name in ("weight", "running_var"):
            weights[f"{norm}.{name}"] = 1e-3 + torch.rand(shape[0], generator=generator)
        for name in ("bias", "running_mean"):
            weights[f"{norm}.{name}"] = 0.3 * torch.randn(shape[0], generator=generator)
        weights[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    add("_conv_stem", "_bn0", (32, 3, 3, 3))
    for number, (kernel, _, before, inner, after) in enumerate(BLOCKS):
        if number:
            add(f"_blocks.{number}._expand_conv", f"_blocks.{number}._bn0", (inner, before, 1, 1))
        add(f"_blocks.{number}._depthwise_conv", f"_blocks.{number}._bn1", (inner, 1, kernel, kernel))
        add(f"_blocks.{number}._project_conv", f"_blocks.{number}._bn2", (after, inner, 1, 1))
    add("_conv_head", "_bn1", (1280, 320, 1, 1))
    return {**weights, "_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}


def published_forward(weights: Weights, image: Tensor) -> Tensor:
    """The last block's features (B, 320, H/32, W/32) by plain operations."""

    def normed(x: Tensor, name: str) -> Tensor:
        mean, var, scale, shift = (weights[f"{name}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return batch_norm(x, mean, var, scale, shift, eps=1e-3)

    x = relu6(normed(conv2d(image, weights["_conv_stem.weight"], stride=2, padding=1), "_bn0"))
    for number, (kernel, stride, before, inner, after) in enumerate(BLOCKS):
        name, y = f"_blocks.{number}", x
        if number:
            y = relu6(normed(conv2d(y, weights[f"{name}._expand_conv.weight"]), f"{name}._bn0"))
        y = conv2d(y, weights[f"{name}._depthwise_conv.weight"], None, stride, kernel // 2, 1, inner)
        y = normed(conv2d(relu6(normed(y, f"{name}._bn1")), weights[f"{name}._project_conv.weight"]), f"{name}._bn2")
        x = x + y if stride == 1 and before == after else y
    return x


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of weights in an installed package, empty."""
    folder = tmp_path / "site" / PACKAGE / "models"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('a package of weights need not be run')")
    monkeypatch.syspath_prepend(tmp_path / "site")  # type: ignore[no-untyped-call]
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    return folder


def test_pretrained_efficientnet_lite0_is_the_published_one(package: Path) -> None:
    given = published_lite0()
    torch.save(given, package / "lite0.pth")
    network = build_network(NetworkConfig("efficientnet_lite0", modalities=("rgb",))).eval()
    load_pretrained(network)
    image = 2 * torch.rand(2, 3, 64, 96) - 1
    with torch.no_grad():
        maps = network(image, torch.zeros(2, 1, 64, 96))
        expected = published_forward(given, image)
    assert expected.std() > 0.1
    assert torch.allclose(maps.layer4, expected, atol=1e-4)
    sizes = [tuple(m.shape[1:]) for m in (maps.stem, maps.layer1, maps.layer2, maps.layer3, maps.layer4)]
    assert sizes == [(24, 16, 24), (24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)]
    trunk = parameter_count(network) - parameter_count(network.head)  # type: ignore[arg-type]
    assert trunk + 320 * 1280 + 2 * 1280 + 1000 * 1281 == 4_652_008


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_two_modalities_with_the_same_image_see_what_one_sees(package: Path, fusion: str) -> None:
    given = published_lite0()
    torch.save(given, package / "lite0.pth")
    network = build_network(NetworkConfig("efficientnet_lite0", fusion)).eval()
    load_pretrained(network)
    grey = 2 * torch.rand(1, 1, 64, 96) - 1
    thermal = grey if fusion == "early" else 3 * grey  # alone its weights are the mean of three colours'
    rgb = grey.expand(-1, 3, -1, -1)
    with torch.no_grad():
        maps = network(rgb, thermal)
        expected = published_forward(given, rgb if fusion == "late" else rgb * 4 / 3)
    assert torch.allclose(maps.layer4, expected, atol=1e-4)


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize("kind", ["nothing", "truncated", "empty", "foreign", "a list", "another shape", "evil"])
def test_weights_that_are_others_or_damaged_are_refused(
    package: Path, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    path, given = package / "lite0.pth", published_lite0()
    contents: dict[str, Any] = {
        "foreign": {
            "a": torch.zeros(3),
            "_blocks.16._bn0.weight": torch.zeros(3),
            f"_blocks.{'9' * 6000}.x": torch.zeros(3),
        },
        "a list": [torch.zeros(3)],
        "another shape": {**given, "_blocks.3._bn2.bias": torch.zeros(3)},
        "evil": {**given, "_fc.bias": Evil()},
    }
    if kind != "nothing":
        torch.save(contents.get(kind, given), path)
    if kind in ("truncated", "empty"):
        path.write_bytes(path.read_bytes()[: 1000 if kind == "truncated" else 0])
    network = build_network(NetworkConfig("efficientnet_lite0"))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    said = r"pip install 'heatnet\[pretrained\]'" if kind == "nothing" else r"lite0\.pth: (was|not)"
    with pytest.raises(TrainingError, match=said):
        load_pretrained(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not (tmp_path / "ran").exists()


def test_the_preset_needs_its_package_and_goes_on_without(
    package: Path, monkeypatch: pytest.MonkeyPatch, toy_dataset: Path, tmp_path: Path
) -> None:
    few = [f"{name}=1" for name in ("thermal_teacher_steps", "validations", "validation_frames")]
    settings = [part for text in (*few, "crop=[64,64]", "batch=2", "workers=0") for part in ("--set", text)]
    command = ["train", str(toy_dataset), "-o", str(tmp_path / "run"), "--preset", "pretrained", *settings]
    command += ["--stage", "thermal-teacher"]
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 1 and "heatnet[pretrained]" in refused.output
    torch.save(published_lite0(), package / "lite0.pth")
    assert CliRunner().invoke(main, command).exit_code == 0
    monkeypatch.setitem(sys.modules, PACKAGE, None)  # what is trained needs it no more
    assert CliRunner().invoke(main, [*command, "--resume"]).exit_code == 0
    other = [text.replace(str(tmp_path / "run"), str(tmp_path / "other")) for text in command]
    done = CliRunner().invoke(main, [*other, "--init-from", str(tmp_path / "run" / "thermal_teacher" / "best.pt")])
    assert done.exit_code == 0


def test_pretrained_efficientnet_without_its_package_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(TrainingError, match=r"pip install 'heatnet\[pretrained\]'"):
        load_pretrained(build_network(NetworkConfig("efficientnet_lite0")))
    with pytest.raises(TrainingError, match="width 1"):
        load_pretrained(build_network(NetworkConfig("efficientnet_lite0", width=0.5)))


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_pretrained_trunks_see_rgb_as_torchvision_does_and_thermal_by_the_mean_of_its_colours(fusion: str) -> None:
    torch.manual_seed(0)
    donor = resnet50()
    network = build_network(NetworkConfig("resnet50", fusion))
    fill_trunks(network, donor.state_dict(), "torchvision")
    weight = network.stems[0].conv.weight  # type: ignore[union-attr, index]
    assert torch.equal(weight[:, :3], donor.conv1.weight)
    thermal = weight[:, 3:] if fusion == "early" else network.stems[1].conv.weight  # type: ignore[union-attr, index]
    assert torch.allclose(thermal[:, 0], donor.conv1.weight.mean(dim=1))
    if fusion == "late":  # the same features in both trunks give what one trunk gives
        both = network.layer3[0].conv1.weight  # type: ignore[union-attr, index]
        assert torch.allclose(both[:, :512] + both[:, 512:], donor.layer3[0].conv1.weight)


@pytest.mark.parametrize("backbone", ["fpn", "resnet18"])
def test_torchvisions_weights_fill_every_trunk_and_others_are_refused(backbone: str) -> None:
    network = build_network(NetworkConfig(backbone, project=True))
    fill_trunks(network, resnet18().state_dict(), "torchvision")
    with pytest.raises(TrainingError, match="torchvision: not the weights"):
        fill_trunks(network, resnet50().state_dict(), "torchvision")


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
