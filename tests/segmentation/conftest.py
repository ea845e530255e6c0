"""A toy street for the segmentation tests: by night RGB is black, thermal looks the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator

from heatnet.dataset_tools.shards import Manifest, Sample, ShardInfo, ShardRecord, write_manifest, write_shard

HEIGHT, WIDTH = 64, 96
_COLOUR = {0: (90, 90, 90), 8: (120, 170, 230), 9: (200, 60, 60), 10: (40, 60, 160)}
_COUNTS = {0: 22800, 8: 21900, 9: 24600, 10: 23700}


def toy_sample(rng: Generator, night: bool, labelled: bool = True, covered: bool = True) -> Sample:
    """Sky above a road with some cars and people; thermal 16-bit counts, a border that thermal does not cover."""
    label = np.full((HEIGHT, WIDTH), 8, np.uint8)
    label[28:] = 0
    for kind, count in ((10, 3), (9, 3)):
        for _ in range(count):
            top, left = rng.integers(16, 44), rng.integers(0, WIDTH - 16)
            tall, wide = (16, 8) if kind == 9 else (12, 20)
            label[top : top + tall, left : left + wide] = kind
    rgb = np.zeros((HEIGHT, WIDTH, 3))
    thermal = np.zeros((HEIGHT, WIDTH))
    for kind in _COLOUR:
        rgb[label == kind] = _COLOUR[kind]
        thermal[label == kind] = _COUNTS[kind]
    rgb = rgb * (0.03 if night else 1) + rng.normal(0, 6, rgb.shape)
    thermal = thermal - (150 if night else 0) + rng.normal(0, 40, thermal.shape)
    valid = np.ones((HEIGHT, WIDTH), np.uint8)
    valid[:, :8] = 0 if covered else 1
    return Sample(
        rgb=np.clip(rgb, 0, 255).astype(np.uint8),
        thermal=np.where(valid, thermal, 0).astype(np.uint16),
        valid=valid,
        label=label if labelled else None,
        rgb_stamp_ns=0,
        thermal_stamp_ns=0,
        sun_elevation_deg=-20.0 if night else 30.0,
    )


def toy_shard(root: Path, split: str, domain: str, count: int, source: str | None, seed: int = 0) -> ShardRecord:
    """One shard of toy samples; `source` is the label source, None for no labels."""
    rng = np.random.default_rng((seed, split == "val", domain == "night"))
    samples = [toy_sample(rng, domain == "night", source is not None) for _ in range(count)]
    return write_shard(root, f"{split}_{domain}_{seed}.h5", samples, ShardInfo(split, domain, "toy", source))


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
