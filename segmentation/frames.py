"""One aligned pair as the network sees it: where counts become numbers from -1 to 1."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.shards import Dataset, SampleRef
from heatnet.errors import DatasetError, TrainingError
from heatnet.segmentation.classes import IGNORE


@dataclass(frozen=True)
class Frame:
    """An aligned pair of images of one size with what is known of their classes."""

    rgb: NDArray[np.uint8]  # (H, W, 3)
    thermal: NDArray[np.float32]  # (H, W) in [-1, 1], 0 where not valid
    valid: NDArray[np.bool_]  # (H, W) thermal covers the pixel
    label: NDArray[np.uint8]  # (H, W) class ids, 13 = ignore
    confidence: NDArray[np.float32]  # (H, W) in [0, 1], of the label


def normalise_thermal(
    counts: NDArray[np.number], valid: NDArray[np.generic], thermal_range: tuple[float, float]
) -> NDArray[np.float32]:
    """Counts clipped to `thermal_range` and scaled to [-1, 1]; 0 where `valid` is 0. The one place that does it."""
    low, high = thermal_range
    if counts.dtype in (np.uint8, np.uint16):
        scaled = np.take(_table(low, high), counts, mode="clip")  # type: ignore[call-overload]
    else:
        scaled = np.nan_to_num(_scaled(counts.astype(np.float32), low, high), copy=False, nan=0.0)
    scaled *= valid.astype(bool, copy=False)
    return scaled


def check_range(thermal_range: tuple[float, float]) -> None:
    """Raise TrainingError unless the counts at the ends of a scale are finite and the lower one comes first."""
    low, high = thermal_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise TrainingError(f"thermal range {low:g} {high:g}: two finite counts are needed, the lower one first")


def _scaled(counts: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    return np.clip((counts - np.float32((low + high) / 2)) * np.float32(2 / max(high - low, 1e-6)), -1, 1)


@lru_cache(maxsize=8)
def _table(low: float, high: float) -> NDArray[np.float32]:
    """What becomes of every count of 16 bits: looking it up takes half the time."""
    return _scaled(np.arange(1 << 16, dtype=np.float32), low, high)


def normalise_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Values 0 to 255 scaled to [-1, 1]."""
    return rgb.astype(np.float32) * np.float32(2 / 255) - 1


def read_frame(dataset: Dataset, ref: SampleRef, check: bool = False) -> Frame:
    """Read a sample with the labels it has in the dataset (all 13 where it has none).

    With `check` it is compared with its CRC32, which takes half as long again: scores and predictions want it, while
    training reads a frame hundreds of times. Raises DatasetError where the sample cannot be read or was altered, or its
    label holds an id above 13.
    """
    sample = dataset.read(ref, check)
    valid = sample.valid.astype(bool)
    thermal = normalise_thermal(sample.thermal, valid, dataset.thermal_range(ref))
    label = np.full(valid.shape, IGNORE, np.uint8) if sample.label is None else sample.label
    if label.max() > IGNORE:
        where = dataset.path(dataset.manifest.shards[ref.shard])
        raise DatasetError(f"{where}: label id {label.max()} in sample {ref.row}; 0 to {IGNORE} are known")
    confidence = np.ones(valid.shape, np.float32)
    if sample.confidence is not None:  # of a teacher that labelled the dataset
        confidence = sample.confidence.astype(np.float32) / np.float32(255)
    return Frame(sample.rgb, thermal, valid, label, confidence)
