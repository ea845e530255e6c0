"""A toy street for the segmentation tests: by night RGB is black, thermal looks the same."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from heatnet.dataset_tools.shards import Dataset, Sample, ShardInfo, ShardRecord, write_shard
from heatnet.segmentation.config import AugmentConfig, TrainConfig, laptop
from heatnet.segmentation.loop import Trainer
from heatnet.segmentation.provenance import describe_dataset
from heatnet.segmentation.stages import Material, thermal_teacher

PLAIN = AugmentConfig(
    colour=0,
    night_like=0,
    drop_rgb=0,
    drop_thermal=0,
    rectangle=0,
    thermal_gain=0,
    thermal_offset=0,
    thermal_gamma=0,
    thermal_noise=0,
)

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


def tiny(**changes: Any) -> TrainConfig:
    """A configuration for a few steps of a very small network."""
    base: dict[str, Any] = {"width": 0.1, "scale": 1.0, "crop": (64, 64), "batch": 2, "workers": 0, "validations": 2}
    steps = {"rgb_teacher_steps": 2, "thermal_teacher_steps": 2, "pretrain_steps": 2, "confusion_steps": 2}
    return laptop(**{**base, **steps, **changes})


def toy_trainer(dataset: Path, run: Path, config: TrainConfig) -> Trainer:
    """The stage of the thermal teacher, ready to run."""
    data = Dataset.open(dataset)
    return Trainer(thermal_teacher(Material(data, run, config)), run, config, describe_dataset(data))
