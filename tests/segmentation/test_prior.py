"""Weights that help to learn rare classes are taken back in answers, where a run says so."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from segmentation_toys import tiny

from heatnet.dataset_tools.shards import Dataset
from heatnet.errors import TrainingError
from heatnet.segmentation.build import build_network
from heatnet.segmentation.checkpoint import Checkpoint, initialise_from, load_checkpoint, save_checkpoint
from heatnet.segmentation.network import Network, NetworkConfig
from heatnet.segmentation.sources import day_source
from heatnet.segmentation.stages import Material, new_student, set_prior, thermal_teacher


def network_of(backbone: str) -> Network:
    torch.manual_seed(0)
    return build_network(NetworkConfig(backbone, width=0.1, dropout=0.0))


@pytest.mark.parametrize("backbone", ["fpn", "efficientnet_lite0", "resnet18", "resnext"])
def test_answers_are_less_by_the_prior_and_training_sees_them_whole(backbone: str) -> None:
    network = network_of(backbone)
    images = torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)
    learnt, said = network.train()(*images).logits, network.eval()(*images).logits
    network.prior[9] = 2.0
    expected = said.clone()
    expected[:, 9] -= 2
    assert torch.allclose(network(*images).logits, expected, atol=1e-5)
    again = network_of(backbone)
    again.prior[9] = 2.0
    assert torch.allclose(again.train()(*images).logits, learnt, atol=1e-4)


def test_a_rare_class_weighs_more_in_training_and_no_more_in_answers() -> None:
    weights = torch.ones(13)
    weights[9], weights[3] = 4.0, 0.0  # the last does not occur
    network = network_of("fpn")
    for share in (1.0, 0.5):
        set_prior(network, weights, tiny(unbalance=share))
        assert network.prior[9].item() == pytest.approx(share * 1.386294, rel=1e-5)
        assert network.prior.count_nonzero() == 1
    set_prior(network, weights, tiny())
    assert not network.prior.any()


def test_teacher_and_student_take_back_what_their_labels_weigh(toy_run: Path, toy_dataset: Path) -> None:
    config = tiny(unbalance=1.0, warm_start=False)
    material = Material(Dataset.open(toy_dataset), toy_run, config)
    stage = thermal_teacher(material)
    student = new_student(material, day_source(material.data, toy_run))
    weights = student.class_weights
    for network in (stage.network, stage.average.network, student.network):
        assert torch.allclose(network.prior[weights > 0], weights[weights > 0].log())
    assert network.prior.any()


def test_a_checkpoint_of_before_has_no_prior_and_init_from_takes_none(tmp_path: Path) -> None:
    network = network_of("fpn")
    network.prior[9] = 2.0
    weights = network.state_dict()
    point = Checkpoint("heatnet", 1, network.config, weights, tiny(), {}, {})
    save_checkpoint(tmp_path / "new.pt", point)
    old = {name: value for name, value in weights.items() if name != "prior"}
    save_checkpoint(tmp_path / "old.pt", replace(point, weights=old))
    assert load_checkpoint(tmp_path / "new.pt").build().prior[9] == 2
    assert not load_checkpoint(tmp_path / "old.pt").build().prior.any()
    other = network_of("fpn")
    assert initialise_from(other, tmp_path / "new.pt") == [] and not other.prior.any()


@pytest.mark.parametrize("said", [{"thermal_range": "wide"}, {"thermal_range": [3.0]}, {"thermal_range": [5.0, 5.0]}])
def test_a_range_in_a_strangers_checkpoint_is_checked(tmp_path: Path, said: dict[str, object]) -> None:
    network = network_of("fpn")
    point = Checkpoint("heatnet", 1, network.config, network.state_dict(), tiny(), {}, {}, said)
    save_checkpoint(tmp_path / "odd.pt", point)
    with pytest.raises(TrainingError, match=r"incomplete checkpoint .*thermal_range"):
        load_checkpoint(tmp_path / "odd.pt")
