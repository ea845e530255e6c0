"""Checkpoints rebuild the network alone, and anything else is refused with a message."""

import logging
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from heatnet.errors import TrainingError
from heatnet.segmentation.checkpoint import Checkpoint, initialise_from, load_checkpoint, save_checkpoint
from heatnet.segmentation.config import TrainConfig, as_plain, from_plain, laptop, read_config, with_settings
from heatnet.segmentation.network import NetworkConfig
from heatnet.segmentation.pspnet import PSPNet

SMALL = NetworkConfig("resnet18", "late", width=0.1, steps=1)


def checkpoint_of(network: PSPNet) -> Checkpoint:
    return Checkpoint("heatnet", 7, network.config, network.state_dict(), laptop(), {"day": 0.5}, {})


def test_a_checkpoint_rebuilds_the_network_with_weights_only(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = PSPNet(SMALL).eval()
    save_checkpoint(tmp_path / "a.pt", checkpoint_of(network))
    torch.load(tmp_path / "a.pt", weights_only=True)
    loaded = load_checkpoint(tmp_path / "a.pt")
    rebuilt = loaded.build()
    image = torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    assert torch.equal(rebuilt(*image).logits, network(*image).logits)
    assert not rebuilt.training
    assert loaded.config == laptop() and loaded.step == 7 and loaded.metrics == {"day": 0.5}


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("run",))


def test_what_is_no_checkpoint_is_refused_and_never_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "text.pt").write_text("no checkpoint")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    save_checkpoint(tmp_path / "whole.pt", checkpoint_of(PSPNet(SMALL)))
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:-2000])
    for name in ("text", "empty", "evil", "other", "list", "cut", "missing"):
        with pytest.raises(TrainingError, match=f"{name}.pt"):
            load_checkpoint(tmp_path / f"{name}.pt")
    assert "run" not in capsys.readouterr().out
    assert not recwarn.list  # the message alone is what the user sees


def flipped(content: bytes, place: int, path: Path) -> Path:
    """A file that differs from `content` in one bit."""
    altered = bytearray(content)
    altered[place] ^= 4
    path.write_bytes(altered)
    return path


def test_an_altered_checkpoint_is_refused_wherever_the_bit_flipped(tmp_path: Path) -> None:
    """One bit in the tensors, and one in each of many places of the pickle before and the directory behind them."""
    save_checkpoint(tmp_path / "whole.pt", checkpoint_of(PSPNet(SMALL)))
    whole = (tmp_path / "whole.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "whole.pt") as archive:
        parts = {info.filename: info for info in archive.infolist()}
        tensor = max(parts.values(), key=lambda info: info.file_size)
        directory = archive.start_dir
    pickled = next(info for name, info in parts.items() if name.endswith("data.pkl"))
    tensors = [tensor.header_offset + 200, tensor.header_offset + tensor.file_size // 2]
    places = [*tensors, *range(200, pickled.file_size, 401), *range(directory, len(whole), 401)]
    for place in places:
        try:
            loaded = load_checkpoint(flipped(whole, place, tmp_path / "altered.pt"))
        except TrainingError as error:
            assert "altered.pt" in str(error)
        else:  # a time, an attribute, or another field that nobody reads
            assert place >= directory
            expected = load_checkpoint(tmp_path / "whole.pt").weights
            assert all(torch.equal(value, expected[name]) for name, value in loaded.weights.items())
    for place in tensors:
        with pytest.raises(TrainingError, match=r"altered\.pt: was altered: the CRC-32 of '.*data/\d+'"):
            load_checkpoint(flipped(whole, place, tmp_path / "altered.pt"))


def test_a_checkpoint_of_another_version_or_with_weights_of_another_network_is_refused(tmp_path: Path) -> None:
    point = checkpoint_of(PSPNet(SMALL))
    save_checkpoint(tmp_path / "a.pt", replace(point, network=replace(SMALL, width=0.2)))
    with pytest.raises(TrainingError, match="do not fit"):
        load_checkpoint(tmp_path / "a.pt")
    save_checkpoint(tmp_path / "b.pt", point)
    content = torch.load(tmp_path / "b.pt", weights_only=True)
    torch.save({**content, "version": 99}, tmp_path / "b.pt")
    with pytest.raises(TrainingError, match="99"):
        load_checkpoint(tmp_path / "b.pt")


def test_init_from_reports_what_the_checkpoint_lacked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    donor = PSPNet(SMALL)
    save_checkpoint(tmp_path / "a.pt", checkpoint_of(donor))
    target = PSPNet(replace(SMALL, steps=1))
    target.register_buffer("extra", torch.zeros(3))
    with caplog.at_level(logging.WARNING):
        assert initialise_from(target, tmp_path / "a.pt") == ["extra"]
    assert "extra" in caplog.text
    assert torch.equal(target.head.bottleneck.weight, donor.head.bottleneck.weight)


def test_init_from_another_network_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", checkpoint_of(PSPNet(SMALL)))
    target = PSPNet(replace(SMALL, width=0.2))
    before = target.head.bottleneck.weight.clone()
    with pytest.raises(TrainingError, match=r"another network.*width 0.1.*width 0.2"):
        initialise_from(target, tmp_path / "a.pt")
    assert torch.equal(target.head.bottleneck.weight, before)


def test_a_configuration_survives_plain_values_and_wrong_ones_are_named(tmp_path: Path) -> None:
    config = TrainConfig(modalities=("thermal",), crop=(64, 96), confusion_weight=0.1)
    assert from_plain(as_plain(config)) == config
    assert (
        with_settings(config, ["dropout=0", "adapt.threshold=1", "dropout=0.5", "adapt.threshold=0.5"]).dropout == 0.5
    )
    with pytest.raises(TrainingError, match="speed"):
        from_plain({"speed": 3})
    with pytest.raises(TrainingError, match="crop"):
        TrainConfig(crop=(60, 90))
    with pytest.raises(TrainingError, match=r"crop.*one frame a part"):
        TrainConfig(crop=(32, 32), batch=2, accumulate=2)
    with pytest.raises(TrainingError, match="optimizer"):
        TrainConfig(optimizer="sgd")
    with pytest.raises(TrainingError, match="learning_rate"):
        TrainConfig(learning_rate=0.0)
    (tmp_path / "c.json").write_text("[]")
    with pytest.raises(TrainingError, match=r"c\.json"):
        read_config(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"learning_rate": "abc"}', "learning_rate"),
        ('{"learning_rate": NaN}', "learning_rate"),
        ('{"learning_rate": -1}', "learning_rate"),
        ('{"rgb_teacher_steps": 2.5}', "rgb_teacher_steps"),
        ('{"batch": true}', "batch"),
        ('{"seed": 1' + 30 * "0" + "}", "seed"),
        ('{"two_way": 1}', "two_way"),
        ('{"optimizer": null}', "optimizer"),
        ('{"crop": [64]}', "crop"),
        ('{"crop": [64, 64.5]}', "crop"),
        ('{"modalities": "rgb"}', "modalities"),
        ('{"augment": [1]}', "augment"),
        ('{"augment": {"scale": [-1, 2]}}', "augment.scale"),
        ('{"augment": {"scale": [2, 1]}}', "augment.scale"),
        ('{"augment": {"flip": 1.5}}', "augment.flip"),
        ('{"augment": {"speed": 1}}', "augment.speed"),
        ('{"speed": 1}', "speed"),
    ],
)
def test_a_wrong_value_in_a_configuration_file_is_named_with_file_and_key(tmp_path: Path, text: str, key: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(TrainingError, match=rf"c\.json: key '{key}' is .*; .* needed$"):
        read_config(tmp_path / "c.json")


def test_whole_numbers_do_where_any_number_does(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"learning_rate": 1, "modalities": ["thermal"], "augment": {"scale": [1, 2]}}')
    config = read_config(tmp_path / "c.json")
    assert config.learning_rate == 1 and config.modalities == ("thermal",) and config.augment.scale == (1, 2)
