"""Looking at a frame more than once, and the light network: what they promise."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from segmentation_toys import tiny

from heatnet.dataset_tools.shards import Dataset
from heatnet.segmentation.build import build_network
from heatnet.segmentation.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.evaluate import evaluate
from heatnet.segmentation.fpn import FPN
from heatnet.segmentation.frames import Frame
from heatnet.segmentation.inference import MIRRORED, ONE, SIX, Views, answer, probabilities
from heatnet.segmentation.network import Network, NetworkConfig, standardised_rgb
from heatnet.segmentation.predict import PredictConfig, predict
from heatnet.segmentation.report import title
from heatnet.segmentation.sources import label_frames
from heatnet.segmentation.warm_start import warm_start


def frame(height: int = 48, width: int = 64) -> Frame:
    rng = np.random.default_rng(0)
    return Frame(
        rgb=rng.integers(0, 255, (height, width, 3), np.uint8),
        thermal=rng.uniform(-1, 1, (height, width)).astype(np.float32),
        valid=np.ones((height, width), bool),
        label=np.zeros((height, width), np.uint8),
        confidence=np.ones((height, width), np.float32),
    )


def light(**changes: Any) -> Network:
    torch.manual_seed(0)
    return build_network(NetworkConfig("fpn", width=0.1, **changes)).eval()


def test_views_are_the_mean_over_sizes_and_mirror_images() -> None:
    network, seen = light(), frame()
    sizes = [probabilities(network, seen, 1.0, Views((size,), True)) for size in SIX.sizes]
    assert np.allclose(probabilities(network, seen, 1.0, SIX), np.mean(sizes, axis=0), atol=1e-6)
    plain = probabilities(network, seen, 1.0, ONE)
    turned = replace(seen, rgb=seen.rgb[:, ::-1].copy(), thermal=seen.thermal[:, ::-1].copy())
    mirrored = probabilities(network, turned, 1.0, ONE)[..., ::-1]
    assert np.allclose(probabilities(network, seen, 1.0, MIRRORED), (plain + mirrored) / 2, atol=1e-5)
    assert not np.allclose(sizes[0], sizes[2], atol=1e-4)
    known, confidence = answer(network, seen, 1.0, SIX)
    assert known.shape == (13, 48, 64) and np.allclose(known.sum(axis=0), 1, atol=1e-5)
    assert np.array_equal(confidence, known.max(axis=0))


def test_a_blind_look_is_one_without_rgb_and_counts_half_where_there_is_thermal() -> None:
    network, seen = light(), frame()
    seen.valid[:, :16], seen.thermal[:, :16] = False, 0
    dark = replace(seen, rgb=np.zeros_like(seen.rgb))
    plain, blind = probabilities(network, seen, 1.0), probabilities(network, dark, 1.0)
    both = probabilities(network, seen, 1.0, Views(blind=True))
    assert np.allclose(both[..., 16:], (plain + blind)[..., 16:] / 2, atol=1e-5)
    assert np.allclose(both[..., :16], plain[..., :16], atol=1e-6) and not np.allclose(both, plain, atol=1e-4)


def test_nights_are_labelled_blind_only_by_a_teacher_that_has_something_else(
    toy_run: Path, toy_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Views] = []
    monkeypatch.setattr("heatnet.segmentation.sources.answer", lambda *given: looked.append(given[3]) or answer(*given))
    data = Dataset.open(toy_dataset)
    for stage, blind in (("heatnet", True), ("thermal_teacher", True), ("rgb_teacher", False)):
        folder = tmp_path / stage
        for asked in (SIX, replace(SIX, blind=True), replace(SIX, blind=True)):
            label_frames(data, data.refs(domain="night")[:1], toy_run / stage / "best.pt", folder, asked)
        assert looked == [SIX, replace(SIX, blind=blind)]  # the third time nothing is new
        looked.clear()


@pytest.mark.parametrize(("asked", "usual", "used"), [(None, True, SIX), (None, False, ONE), (ONE, True, ONE)])
def test_a_run_says_how_often_its_frames_are_looked_at_unless_one_asks(
    toy_run: Path, toy_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Views | None,
    usual: bool, used: Views,
) -> None:  # fmt: skip
    looked: list[Views] = []
    for module in ("evaluate", "predict"):
        monkeypatch.setattr(
            f"heatnet.segmentation.{module}.answer", lambda *given: looked.append(given[3]) or answer(*given)
        )
    point = load_checkpoint(toy_run / "heatnet" / "best.pt")
    save_checkpoint(tmp_path / "best.pt", replace(point, config=replace(point.config, views=usual)))
    evaluate(tmp_path / "best.pt", toy_dataset, "val", views=asked)
    predict(tmp_path / "best.pt", toy_dataset, tmp_path / "out", PredictConfig("val", False, asked))
    assert looked == [used] * 16


@pytest.mark.parametrize("size", [(64, 96), (72, 104)])
@pytest.mark.parametrize("fusion", ["early", "late"])
def test_the_light_network_takes_any_multiple_of_eight_and_its_maps_halve(size: tuple[int, int], fusion: str) -> None:
    network = light(fusion=fusion, certainty=True)
    assert isinstance(network, FPN)
    maps = network(torch.zeros(2, 3, *size), torch.zeros(2, 1, *size))
    assert maps.logits.shape == (2, 13, *size) and maps.error is not None and maps.error.shape == (2, *size)
    heights = [map_.shape[2] for map_ in (maps.stem, maps.layer1, maps.layer2, maps.layer3, maps.layer4)]
    assert heights == [size[0] // 4, size[0] // 4, size[0] // 8, -(-size[0] // 16), -(-size[0] // 32)]


def test_nights_look_like_days_to_a_network_that_standardises_rgb() -> None:
    """A quarter of the light and a cast is the same image; black beyond the frame counts for nothing."""
    torch.manual_seed(0)
    day = torch.rand(1, 3, 16, 16) * 0.8 + 0.2
    night = day * torch.tensor([0.25, 0.2, 0.1])[None, :, None, None]
    assert torch.allclose(standardised_rgb(night * 2 - 1), standardised_rgb(day * 2 - 1), atol=0.01)
    wide = torch.full((1, 3, 16, 32), -1.0)
    wide[..., :16] = day * 2 - 1
    assert torch.allclose(standardised_rgb(wide)[..., :16], standardised_rgb(day * 2 - 1), atol=1e-5)
    assert not standardised_rgb(torch.full((1, 3, 8, 8), -1.0)).any()
    one = light(standardise_rgb=True)
    thermal = torch.rand(1, 1, 16, 16)
    assert torch.allclose(one(night * 2 - 1, thermal).logits, one(day * 2 - 1, thermal).logits, atol=0.05)


def test_a_student_takes_over_all_of_a_night_teacher_that_sees_what_it_sees() -> None:
    config = TrainConfig(teacher_modalities=("thermal", "rgb"), width=0.1)
    assert config.network("thermal-teacher").modalities == ("rgb", "thermal")
    assert config.augmentation("thermal-teacher").drop_rgb > 0
    student, teacher = (build_network(config.network(stage)) for stage in ("heatnet", "thermal-teacher"))
    warm_start(student, {"thermal": teacher})
    assert all(torch.equal(value, teacher.state_dict()[name]) for name, value in student.state_dict().items())


def test_the_report_names_a_teacher_by_what_it_sees() -> None:
    def named(modalities: tuple[str, ...]) -> str:
        network = light(modalities=modalities)
        return title("thermal_teacher", Checkpoint("t", 1, network.config, {}, tiny(), {}, {}))

    assert named(("thermal",)) == "Thermal teacher"
    assert named(("rgb", "thermal")) == "Night teacher (RGB-T)"
    assert named(("rgb",)) == "Night teacher (RGB)"
