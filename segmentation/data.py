"""Pairs of a day frame and a night frame drawn at random, the same for the same number and seed on any worker."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from heatnet.dataset_tools.shards import Dataset, SampleRef
from heatnet.errors import HeatNetError, TrainingError
from heatnet.segmentation.augment import augment
from heatnet.segmentation.classes import IGNORE
from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.distributed import rank, world_size
from heatnet.segmentation.frames import Frame, normalise_rgb, read_frame
from heatnet.segmentation.pseudo_labels import LabelStore
from heatnet.segmentation.sampling import RareFirst, Shuffled


@dataclass(frozen=True)
class Frames:
    """A batch of frames of one domain."""

    rgb: Tensor  # (B, 3, H, W) float32 in [-1, 1]
    thermal: Tensor  # (B, 1, H, W) float32 in [-1, 1], 0 where not valid
    valid: Tensor  # (B, H, W) bool
    label: Tensor  # (B, H, W) int64, 13 = ignore
    confidence: Tensor  # (B, H, W) float32 in [0, 1]

    def to(self, device: torch.device, layout: torch.memory_format = torch.contiguous_format) -> "Frames":
        """The same frames on another device, images in `layout`."""
        moved = {name: value.to(device, non_blocking=True) for name, value in vars(self).items()}
        images = {name: moved[name].contiguous(memory_format=layout) for name in ("rgb", "thermal")}
        return Frames(**{**moved, **images})


@dataclass(frozen=True)
class Batch:
    """Day frames, and as many night frames where the stage has them."""

    day: Frames
    night: Frames | None

    def to(self, device: torch.device, layout: torch.memory_format = torch.contiguous_format) -> "Batch":
        """The same batch on another device, images in `layout`."""
        return Batch(self.day.to(device, layout), self.night.to(device, layout) if self.night is not None else None)


@dataclass(frozen=True)
class Source:
    """Frames of one domain with the labels that training may see.

    `store` has a teacher's labels for frames without their own. Where there is a `second`, labels of a teacher stay
    only where it says the same.
    """

    dataset: Dataset
    refs: tuple[SampleRef, ...]
    store: LabelStore | None = None
    second: LabelStore | None = None

    def read(self, index: int) -> Frame:
        """One frame with its label for training: by day its own, else the teacher's; by night never its own."""
        ref = self.refs[index]
        frame = read_frame(self.dataset, ref)
        if ref.domain == "day" and ref.label_source is not None:
            return self._agreed(frame, ref) if by_teacher(ref) else frame
        if self.store is None:
            return replace(frame, label=np.full_like(frame.label, IGNORE))
        label, confidence = self.store.read(ref)
        return self._agreed(replace(frame, label=label, confidence=confidence), ref)

    def _agreed(self, frame: Frame, ref: SampleRef) -> Frame:
        if self.second is None:
            return frame
        other, _ = self.second.read(ref)
        return replace(frame, label=np.where(other == frame.label, frame.label, np.uint8(IGNORE)))


def by_teacher(ref: SampleRef) -> bool:
    """Whether the labels that a frame has in the dataset are a teacher's."""
    return str(ref.label_source).startswith("teacher")


class Pairs(TorchDataset[Batch]):
    """Item n is the n-th day frame of an endless sequence with a random night frame, both augmented.

    Everything random in item n follows from the seed and n, so a resumed run sees what an unbroken one would. `styles`
    are frames whose look day frames may borrow; `order` says which day frame comes n-th.
    """

    def __init__(
        self,
        day: Source,
        night: Source | None,
        config: TrainConfig,
        stage: str,
        styles: Source | None = None,
        order: Shuffled | RareFirst | None = None,
    ) -> None:
        self.day, self.night, self.styles, self.config = day, night, styles, config
        self._order = order or Shuffled(len(day.refs))
        self._augment = config.augmentation(stage)

    def __getitem__(self, number: int) -> Batch:
        """The batch of one pair (tensors without the batch axis) of that number."""
        rng = np.random.default_rng((self.config.seed, 1, number))
        day = self._augmented(self.day, self._order.index(self.config.seed, number), rng)
        night = None
        if self.night is not None:
            night = self._augmented(self.night, int(rng.integers(len(self.night.refs))), rng)
        return Batch(day, night)

    def _augmented(self, source: Source, index: int, rng: np.random.Generator) -> Frames:
        config, frame = self.config, source.read(index)
        by_day = source.refs[index].domain == "day"
        style = self._style(rng) if by_day else None
        return to_tensors(augment(frame, config.crop, config.scale, self._augment, rng, by_day, style))

    def _style(self, rng: np.random.Generator) -> Frame | None:
        if self.styles is None or not self._augment.night_style or not self.styles.refs:
            return None
        return read_frame(self.styles.dataset, self.styles.refs[int(rng.integers(len(self.styles.refs)))])


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
    """This process's share of the batches of steps `first_step` to `last_step` (not included), part by part."""
    config = pairs.config
    size = part_size(config)
    numbers = _numbers(config, first_step, last_step, size)
    loader = DataLoader(
        pairs,
        batch_size=size,
        sampler=numbers,
        num_workers=loading_processes(config) if numbers else 0,
        collate_fn=_collate,
        worker_init_fn=_one_thread,
        generator=torch.Generator(),  # else the loader draws from the generator that dropout uses
        pin_memory=torch.cuda.is_available(),
        persistent_workers=False,
    )
    try:
        yield from loader
    except HeatNetError as error:  # out of a worker it comes with the worker's traceback, its own words last
        raise type(error)(str(error).strip().splitlines()[-1].split(f".{type(error).__name__}: ")[-1]) from error


def loading_processes(config: TrainConfig) -> int:
    """How many processes load: a step on a GPU takes less time than one of them needs for its batch."""
    if config.workers >= 0:
        return config.workers
    cores = (os.cpu_count() or 2) // world_size() - 1
    return max(1, min(8, cores)) if torch.cuda.is_available() else 1


def part_size(config: TrainConfig) -> int:
    """How many pairs a process computes at once. Raises TrainingError where the batch cannot be shared out."""
    size, rest = divmod(config.batch, config.accumulate * world_size())
    if rest or size < 1:
        raise TrainingError(
            f"batch {config.batch}: cannot be shared by {world_size()} processes in {config.accumulate} parts each"
        )
    return size


def _numbers(config: TrainConfig, first_step: int, last_step: int, size: int) -> list[int]:
    """The pairs of this process: of each part of each step, the share that is its own."""
    parts = range(first_step * config.accumulate, last_step * config.accumulate)
    begin = [(part * world_size() + rank()) * size for part in parts]
    return [number for first in begin for number in range(first, first + size)]


def _one_thread(_: int) -> None:
    cv2.setNumThreads(0)
