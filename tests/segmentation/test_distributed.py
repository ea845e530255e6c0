"""Several processes train as one does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import distributed_worker
import pytest
import torch

from heatnet.errors import TrainingError
from heatnet.segmentation.config import laptop
from heatnet.segmentation.data import _numbers, part_size
from heatnet.segmentation.distributed import SyncBatchNorm2d, synchronise

WORKER = Path(__file__).parent / "distributed_worker.py"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(count: int, arguments: list[str]) -> list[subprocess.Popen[bytes]]:
    """What torchrun does."""
    port = str(free_port())
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **place, "WORLD_SIZE": str(count), "RANK": str(n), "LOCAL_RANK": str(n)},
        )
        for n in range(count)
    ]


def test_two_processes_have_the_gradients_of_one_with_the_same_batch(toy_dataset: Path, tmp_path: Path) -> None:
    processes = start(2, [str(WORKER), str(toy_dataset), str(tmp_path / "2.pt")])
    distributed_worker.main(toy_dataset, tmp_path / "1.pt")
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    one, two = (torch.load(tmp_path / f"{count}.pt", weights_only=True) for count in (1, 2))
    largest = max(value.abs().max().item() for value in one["gradients"].values())
    assert largest > 1e-2
    for name, value in one["gradients"].items():
        assert (two["gradients"][name] - value).abs().max().item() <= 1e-5 * max(1.0, largest), name
    for name, value in one["statistics"].items():
        assert torch.allclose(two["statistics"][name], value, rtol=1e-5, atol=1e-6), name
    assert one["terms"]["gradient_norm"] == pytest.approx(two["terms"]["gradient_norm"], rel=1e-4)


@pytest.mark.slow
def test_a_whole_run_of_two_processes_leaves_what_one_leaves(toy_dataset: Path, tmp_path: Path) -> None:
    settings = ("width=0.1", "scale=1.0", "crop=[64,64]", "batch=4", "workers=0", "validations=1", "dropout=0.0")
    steps = ("rgb_teacher_steps=2", "thermal_teacher_steps=2", "pretrain_steps=2", "confusion_steps=2")
    options = [word for setting in (*settings, *steps) for word in ("--set", setting)]
    for count in (1, 2):
        run = str(tmp_path / str(count))
        arguments = ["-m", "heatnet.cli", "train", str(toy_dataset), "-o", run, "--preset", "laptop", *options]
        assert [process.wait(timeout=400) for process in start(count, arguments)] == [0] * count
    for name in ("metrics.jsonl", "heatnet/best.pt", "heatnet/last.pt", "report.html", "provenance.json"):
        assert (tmp_path / "2" / name).is_file()
    one, two = (
        torch.load(tmp_path / str(count) / "heatnet" / "last.pt", weights_only=True)["weights"] for count in (1, 2)
    )
    for name, value in one.items():
        assert torch.allclose(two[name].float(), value.float(), atol=2e-2), name


def test_the_shares_of_the_processes_are_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    config = laptop(batch=8, accumulate=2)
    monkeypatch.setattr("heatnet.segmentation.data.world_size", lambda: 2)
    assert part_size(config) == 2
    numbers = []
    for own in (0, 1):
        monkeypatch.setattr("heatnet.segmentation.data.rank", lambda own=own: own)
        numbers.append(_numbers(config, 3, 5, 2))
    assert numbers[0][:4] == [24, 25, 28, 29] and sorted(numbers[0] + numbers[1]) == list(range(24, 40))
    monkeypatch.setattr("heatnet.segmentation.data.world_size", lambda: 3)
    with pytest.raises(TrainingError, match="batch 8: cannot be shared by 3 processes in 2 parts"):
        part_size(config)


def test_batch_normalisation_keeps_its_weights_when_it_is_shared() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.Sequential(torch.nn.BatchNorm2d(4)))
    torch.nn.init.constant_(network[1][0].running_mean, 0.7)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    plain = network(torch.ones(2, 3, 4, 4))
    network.load_state_dict(before)
    synchronise(network)
    assert type(network[1][0]) is SyncBatchNorm2d
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(network(torch.ones(2, 3, 4, 4)), plain)  # one process: as ever
