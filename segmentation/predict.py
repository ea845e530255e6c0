"""Label maps, and pictures of them, for the frames of a dataset or a folder of images."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from heatnet.dataset_tools.classes import coloured
from heatnet.dataset_tools.counts import known_range
from heatnet.dataset_tools.importers.images import decode_counts, decode_rgb, read_bytes
from heatnet.dataset_tools.importers.pairs import IMAGES
from heatnet.dataset_tools.shards import Dataset
from heatnet.errors import DatasetError, HeatNetError, TrainingError
from heatnet.files import atomic_file
from heatnet.progress import track
from heatnet.segmentation.checkpoint import Checkpoint, load_checkpoint
from heatnet.segmentation.classes import CLASS_COUNT, CLASSES, IGNORE
from heatnet.segmentation.distributed import device
from heatnet.segmentation.frames import Frame, normalise_thermal, read_frame
from heatnet.segmentation.inference import answer

_OVERLAY = 0.55  # of the label's colour


@dataclass(frozen=True)
class PredictConfig:
    """What is predicted and written."""

    split: str | None = None  # of a dataset: this one alone
    overlays: bool = True
    flip: bool = False  # mean over frame and mirror image
    thermal_range: tuple[float, float] | None = None  # of a folder: counts at the ends of the scale


def predict(checkpoint: Path, source: Path, out: Path, config: PredictConfig | None = None) -> dict[str, Any]:
    """Write OUT/labels/NAME.png (class ids at the frame's size) and OUT/overlays/NAME.jpg for each frame of `source`.

    `source` is a dataset, or a folder with the images rgb/NAME.* and thermal/NAME.* (aligned, of one size; those of the
    network's modalities are needed). Returns counts, milliseconds a frame and shares of the classes. Raises
    TrainingError, DatasetError or HeatNetError naming what cannot be read or written.
    """
    config = config or PredictConfig()
    point = load_checkpoint(checkpoint)
    frames = _frames(source, point, config)
    network = point.build().to(device())
    seconds = {"reading": 0.0, "network": 0.0, "writing": 0.0}
    counts, count = np.zeros(CLASS_COUNT, np.int64), 0
    feed = frames.read()
    for _ in track(range(frames.count), "predicting"):
        began = time.perf_counter()
        name, frame = next(feed)
        read = time.perf_counter()
        label = answer(network, frame, point.config.scale, config.flip)[0].argmax(axis=0).astype(np.uint8)
        answered = time.perf_counter()
        _write(out, name, frame, label, config)
        written = time.perf_counter()
        for part, spent in zip(seconds, (read - began, answered - read, written - answered), strict=True):
            seconds[part] += spent
        counts, count = counts + np.bincount(label.ravel(), minlength=CLASS_COUNT), count + 1
    return {"frames": count, "out": str(out), **_summary(seconds, counts, count)}


def _summary(seconds: dict[str, float], counts: NDArray[np.int64], frames: int) -> dict[str, Any]:
    share = counts / max(int(counts.sum()), 1)
    return {
        "ms_per_frame": {name: round(1e3 * spent / frames, 2) for name, spent in seconds.items()},
        "frames_per_second": round(frames / sum(seconds.values()), 2),
        "device": str(device()),
        "threads": torch.get_num_threads(),
        "classes": {name: round(float(part), 6) for name, part in zip(CLASSES, share, strict=True)},
    }


@dataclass(frozen=True)
class ImageFolder:
    """Frames of a folder with rgb/NAME.* and thermal/NAME.*, of which a network needs `modalities`."""

    root: Path
    names: Sequence[str]
    paths: dict[str, dict[str, Path]]  # by modality and name
    modalities: tuple[str, ...]
    thermal_range: tuple[float, float] | None

    @property
    def count(self) -> int:
        """How many frames there are."""
        return len(self.names)

    def read(self) -> Iterator[tuple[str, Frame]]:
        """Name and frame, one after the other. Raises DatasetError naming the file that does not fit."""
        for name in self.names:
            yield name, self._frame({kind: self.paths[kind][name] for kind in self.modalities})

    def _frame(self, paths: dict[str, Path]) -> Frame:
        rgb = decode_rgb(read_bytes(paths["rgb"]), paths["rgb"]) if "rgb" in paths else None
        counts = decode_counts(read_bytes(paths["thermal"]), paths["thermal"]) if "thermal" in paths else None
        size = rgb.shape[:2] if rgb is not None else counts.shape if counts is not None else (0, 0)
        if rgb is not None and counts is not None and counts.shape != size:
            raise DatasetError(
                f"{paths['thermal']}: {counts.shape[1]}x{counts.shape[0]} pixels; {size[1]}x{size[0]} as its RGB image "
                "has are needed (aligned to it)"
            )
        blank = Frame(
            rgb=np.zeros((*size, 3), np.uint8),
            thermal=np.zeros(size, np.float32),
            valid=np.zeros(size, bool),
            label=np.full(size, IGNORE, np.uint8),
            confidence=np.zeros(size, np.float32),
        )
        frame = blank if rgb is None else replace(blank, rgb=rgb)
        return frame if counts is None else self._with_thermal(frame, counts, paths["thermal"])

    def _with_thermal(self, frame: Frame, counts: NDArray[Any], path: Path) -> Frame:
        """16-bit counts of 0 are where no thermal was warped to."""
        scale = self.thermal_range or known_range([counts])
        if scale is None:
            raise DatasetError(
                f"{path}: counts from {counts.min()} to {counts.max()} of an unknown camera; --thermal-range is needed"
            )
        valid = np.ones(counts.shape, bool) if counts.dtype == np.uint8 else counts > 0
        return replace(frame, thermal=normalise_thermal(counts, valid, scale), valid=valid)


@dataclass(frozen=True)
class DatasetFrames:
    """Frames of a dataset."""

    data: Dataset
    split: str | None

    @property
    def count(self) -> int:
        """How many frames there are."""
        return len(self.data.refs(split=self.split))

    def read(self) -> Iterator[tuple[str, Frame]]:
        """Name and frame, one after the other."""
        for ref in self.data.refs(split=self.split):
            yield f"{ref.split}_{ref.domain}_{ref.shard:05d}_{ref.row:05d}", read_frame(self.data, ref)


def _frames(source: Path, point: Checkpoint, config: PredictConfig) -> ImageFolder | DatasetFrames:
    """The frames of a dataset or folder. Raises DatasetError where there are none."""
    modalities = point.network.modalities
    frames: ImageFolder | DatasetFrames
    if (source / "manifest.json").is_file():
        frames = DatasetFrames(Dataset.open(source), config.split)
    else:
        frames = _image_folder(source, modalities, config)
    if not frames.count:
        split = f" in split {config.split!r}" if config.split else ""
        raise DatasetError(
            f"{source}: no frames{split}; a dataset, or a folder with images of the same names in "
            f"{' and '.join(f'{name}/' for name in modalities)} is needed"
        )
    return frames


def _image_folder(source: Path, modalities: tuple[str, ...], config: PredictConfig) -> ImageFolder:
    if not source.is_dir():
        raise TrainingError(f"{source}: no such dataset or folder")
    paths = {
        kind: {path.stem: path for path in sorted((source / kind).glob("*")) if path.suffix.lower() in IMAGES}
        for kind in modalities
    }
    names = sorted(set.intersection(*(set(found) for found in paths.values())))
    return ImageFolder(source, names, paths, modalities, config.thermal_range)


def _write(out: Path, name: str, frame: Frame, label: NDArray[np.uint8], config: PredictConfig) -> None:
    _write_image(out / "labels" / f"{name}.png", label)
    if config.overlays:
        _write_image(out / "overlays" / f"{name}.jpg", cv2.cvtColor(overlay(frame, label), cv2.COLOR_RGB2BGR))


def overlay(frame: Frame, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The classes' colours over RGB, over thermal where RGB is black altogether: (H, W, 3)."""
    below = frame.rgb
    if not below.any():
        grey = ((frame.thermal + 1) * 127.5 * frame.valid).astype(np.uint8)
        below = np.repeat(grey[..., None], 3, axis=2)
    return cv2.addWeighted(coloured(label), _OVERLAY, below, 1 - _OVERLAY, 0).astype(np.uint8, copy=False)


def _write_image(path: Path, image: NDArray[Any]) -> None:
    done, content = cv2.imencode(path.suffix, image)
    if not done:
        raise HeatNetError(f"{path}: cannot be encoded")
    with atomic_file(path) as temporary:
        temporary.write_bytes(content.tobytes())
