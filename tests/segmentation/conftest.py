"""Datasets and a run that the segmentation tests share."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from segmentation_toys import tiny, toy_shard

from heatnet.dataset_tools.shards import Manifest, write_manifest
from heatnet.segmentation.train import train


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a dataset of toy shards given as (split, domain, count, label source)."""

    def make(*shards: tuple[str, str, int, str | None]) -> Path:
        root = tmp_path / "dataset"
        records = tuple(toy_shard(root, *shard, seed=number) for number, shard in enumerate(shards))
        write_manifest(root, Manifest(shards=records))
        return root

    return make


@pytest.fixture(scope="session")
def toy_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve labelled day frames, twelve night frames with labels that must not be used, and a validation split."""
    root = tmp_path_factory.mktemp("toy") / "dataset"
    shards = (("train", "day", 12), ("train", "night", 12), ("val", "day", 4), ("val", "night", 4))
    write_manifest(root, Manifest(shards=tuple(toy_shard(root, *shard, "simulation") for shard in shards)))
    return root


@pytest.fixture(scope="session")
def toy_run(toy_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of all stages on the toy dataset, a few steps each."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(toy_dataset, folder, tiny())
    return folder


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """The toys are too small to share among threads, which wait for each other where the machine is busy."""
    torch.set_num_threads(1)
