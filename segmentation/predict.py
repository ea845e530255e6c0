"""Label maps, and pictures of them, for the frames of a dataset or a folder of images."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from heatnet.dataset_tools.classes import coloured
from heatnet.dataset_tools.digests import recording_digest
from heatnet.dataset_tools.shards import Dataset
from heatnet.dataset_tools.writer import plain_name
from heatnet.errors import DatasetError, HeatNetError
from heatnet.files import atomic_file
from heatnet.progress import track
from heatnet.segmentation.checkpoint import Checkpoint, load_checkpoint
from heatnet.segmentation.classes import CLASS_COUNT, CLASSES
from heatnet.segmentation.distributed import device
from heatnet.segmentation.evaluate import usual_views
from heatnet.segmentation.frames import Frame, check_range, read_frame
from heatnet.segmentation.image_folder import ImageFolder, open_folder
from heatnet.segmentation.inference import Views, answer

_OVERLAY = 0.55  # of the label's colour


@dataclass(frozen=True)
class PredictConfig:
    """What is predicted and written."""

    split: str | None = None  # of a dataset: this one alone
    overlays: bool = True
    views: Views | None = None  # how often each frame is looked at; None: as the run's settings have it
    thermal_range: tuple[float, float] | None = None  # of a folder: counts at the ends of the scale, of all its images
    prefix: str = ""  # of a dataset: what names of its frames begin with


def predict(checkpoint: Path, source: Path, out: Path, config: PredictConfig | None = None) -> dict[str, Any]:
    """Write OUT/labels/NAME.png (class ids at the frame's size) and OUT/overlays/NAME.jpg for each frame of `source`.

    `source` is a dataset, or a folder with the images rgb/NAME.* and thermal/NAME.* (aligned, of one size; those of the
    network's modalities are needed). Returns counts, milliseconds a frame and shares of the classes. Raises
    TrainingError, DatasetError or HeatNetError naming what cannot be read or written.
    """
    config = config or PredictConfig()
    point = load_checkpoint(checkpoint)
    frames = _frames(source, point, config)
    network, views = point.build().to(device()), config.views or usual_views(point)
    seconds = {"reading": 0.0, "network": 0.0, "writing": 0.0}
    counts, count = np.zeros(CLASS_COUNT, np.int64), 0
    feed = frames.read()
    for _ in track(range(frames.count), "predicting"):
        began = time.perf_counter()
        name, frame = next(feed)
        read = time.perf_counter()
        label = answer(network, frame, point.config.scale, views)[0].argmax(axis=0).astype(np.uint8)
        answered = time.perf_counter()
        _write(out, name, frame, label, config)
        written = time.perf_counter()
        for part, spent in zip(seconds, (read - began, answered - read, written - answered), strict=True):
            seconds[part] += spent
        counts, count = counts + np.bincount(label.ravel(), minlength=CLASS_COUNT), count + 1
    return {"frames": count, "out": str(out), **_summary(seconds, counts, count)}


def predict_recording(
    checkpoint: Path,
    recording: Path,
    calibration: Path,
    out: Path,
    domain: Literal["day", "night"] | None = None,
    config: PredictConfig | None = None,
) -> dict[str, Any]:
    """As `predict`, for a recording alone, whatever else was predicted into `out` before.

    It becomes a dataset first, OUT/datasets/NAME-HASH with the name and the hash of the recording, which the names of
    its frames begin with, too. Raises also what `build_dataset` raises.
    """
    from heatnet.dataset_tools.build import BuildConfig, build_dataset

    config = config or PredictConfig()
    if config.thermal_range is not None:
        check_range(config.thermal_range)
    load_checkpoint(checkpoint)  # a broken one is told before the recording is built
    name = f"{plain_name(recording.stem)}-{recording_digest(recording)[:8]}"
    dataset = out / "datasets" / name
    build = BuildConfig(split="test", domain=domain, thermal_range=config.thermal_range)
    build_dataset([recording], calibration, dataset, build)
    return predict(checkpoint, dataset, out, replace(config, thermal_range=None, prefix=f"{name}_"))


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
class DatasetFrames:
    """Frames of a dataset."""

    data: Dataset
    split: str | None
    prefix: str

    @property
    def count(self) -> int:
        """How many frames there are."""
        return len(self.data.refs(split=self.split))

    def read(self) -> Iterator[tuple[str, Frame]]:
        """Name and frame, one after the other."""
        for ref in self.data.refs(split=self.split):
            name = f"{self.prefix}{ref.split}_{ref.domain}_{ref.shard:05d}_{ref.row:05d}"
            yield name, read_frame(self.data, ref, check=True)


def _frames(source: Path, point: Checkpoint, config: PredictConfig) -> ImageFolder | DatasetFrames:
    """The frames of a dataset or folder. Raises DatasetError where there are none, or options are of the other kind."""
    modalities = point.network.modalities
    frames: ImageFolder | DatasetFrames
    is_dataset = (source / "manifest.json").is_file()
    if is_dataset and config.thermal_range is not None:
        raise DatasetError(f"{source}: a dataset, which knows its thermal range; --thermal-range is of a folder")
    if not is_dataset and source.is_dir() and config.split is not None:
        raise DatasetError(f"{source}: a folder, which has no split {config.split!r}; --split is of a dataset")
    if is_dataset:
        frames = DatasetFrames(Dataset.open(source), config.split, config.prefix)
    else:
        frames = open_folder(source, modalities, config.thermal_range, point.dataset.get("thermal_range"))
    if not frames.count:
        split = f" in split {config.split!r}" if config.split else ""
        raise DatasetError(
            f"{source}: no frames{split}; a dataset, or a folder with images of the same names in "
            f"{' and '.join(f'{name}/' for name in modalities)} is needed (a recording needs --calibration)"
        )
    return frames


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
