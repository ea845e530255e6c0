"""Pairs of a day frame and a night frame drawn at random, the same for the same number and seed on any worker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from heatnet.dataset_tools.shards import Dataset, SampleRef
from heatnet.segmentation.augment import augment
from heatnet.segmentation.classes import IGNORE
from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.frames import Frame, normalise_rgb, read_frame
from heatnet.segmentation.pseudo_labels import LabelStore


@dataclass(frozen=True)
class Frames:
    """A batch of frames of one domain."""

    rgb: Tensor  # (B, 3, H, W) float32 in [-1, 1]
    thermal: Tensor  # (B, 1, H, W) float32 in [-1, 1], 0 where not valid
    valid: Tensor  # (B, H, W) bool
    label: Tensor  # (B, H, W) int64, 13 = ignore
    confidence: Tensor  # (B, H, W) float32 in [0, 1]

    def to(self, device: torch.device) -> "Frames":
        """The same frames on another device."""
        return Frames(**{name: value.to(device, non_blocking=True) for name, value in vars(self).items()})


@dataclass(frozen=True)
class Batch:
    """Day frames, and as many night frames where the stage has them."""

    day: Frames
    night: Frames | None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(self.day.to(device), self.night.to(device) if self.night is not None else None)


@dataclass(frozen=True)
class Source:
    """Frames of one domain with the labels that training may see."""

    dataset: Dataset
    refs: tuple[SampleRef, ...]
    store: LabelStore | None = None

    def read(self, index: int) -> Frame:
        """One frame with its label for training: by day its own, else the teacher's; by night never its own."""
        ref = self.refs[index]
        frame = read_frame(self.dataset, ref)
        if ref.domain == "day" and ref.label_source is not None:
            return frame
        if self.store is None:
            return replace(frame, label=np.full_like(frame.label, IGNORE))
        label, confidence = self.store.read(ref)
        return replace(frame, label=label, confidence=confidence)


class Pairs(TorchDataset[Batch]):
    """Item n is the n-th day frame of an endless shuffled sequence with a random night frame, both augmented.

    Everything random in item n follows from the seed and n, so a resumed run sees what an unbroken one would.
    """

    def __init__(self, day: Source, night: Source | None, config: TrainConfig, stage: str) -> None:
        self.day, self.night, self.config = day, night, config
        self._augment = config.augmentation(stage)

    def __getitem__(self, number: int) -> Batch:
        """The batch of one pair (tensors without the batch axis) of that number."""
        rng = np.random.default_rng((self.config.seed, 1, number))
        count = len(self.day.refs)
        index = int(_order(self.config.seed, number // count, count)[number % count])
        day = self._augmented(self.day, index, rng)
        night = None
        if self.night is not None:
            night = self._augmented(self.night, int(rng.integers(len(self.night.refs))), rng)
        return Batch(day, night)

    def _augmented(self, source: Source, index: int, rng: np.random.Generator) -> Frames:
        config = self.config
        by_day = source.refs[index].domain == "day"
        return to_tensors(augment(source.read(index), config.crop, config.scale, self._augment, rng, darken=by_day))


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, 2, epoch)).permutation(count)


def to_tensors(frame: Frame) -> Frames:
    """A frame as the network wants it, without the batch axis."""
    return Frames(
        rgb=torch.from_numpy(normalise_rgb(frame.rgb)).permute(2, 0, 1),
        thermal=torch.from_numpy(frame.thermal)[None],
        valid=torch.from_numpy(frame.valid),
        label=torch.from_numpy(frame.label.astype(np.int64)),
        confidence=torch.from_numpy(frame.confidence),
    )


def stack(frames: Sequence[Frames]) -> Frames:
    """Frames without a batch axis as one batch."""
    names = vars(frames[0])
    return Frames(**{name: torch.stack([getattr(frame, name) for frame in frames]) for name in names})


def _collate(items: list[Batch]) -> Batch:
    nights = [item.night for item in items if item.night is not None]
    return Batch(stack([item.day for item in items]), stack(nights) if nights else None)


def batches(pairs: Pairs, first_step: int, last_step: int) -> Iterator[Batch]:
    """The batches of steps `first_step` to `last_step` (not included), prepared by the configured workers."""
    config = pairs.config
    numbers = range(first_step * config.batch, last_step * config.batch)
    loader = DataLoader(
        pairs,
        batch_size=config.batch,
        sampler=numbers,
        num_workers=config.workers if len(numbers) else 0,
        collate_fn=_collate,
        worker_init_fn=_one_thread,
        generator=torch.Generator(),  # else the loader draws from the generator that dropout uses
    )
    yield from loader


def _one_thread(_: int) -> None:
    cv2.setNumThreads(0)
