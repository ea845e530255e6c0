"""Where a network's features of day and night lie, and how well the two can be told apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from heatnet.dataset_tools.shards import Dataset, SampleRef
from heatnet.segmentation.checkpoint import Checkpoint
from heatnet.segmentation.data import to_tensors
from heatnet.segmentation.distributed import device
from heatnet.segmentation.frames import read_frame
from heatnet.segmentation.inference import inference
from heatnet.segmentation.network import STRIDE

_GRID = (2, 4)  # areas of a frame, a point each


@dataclass(frozen=True)
class Projection:
    """Features of day and night on the plane of their first two principal components."""

    day: NDArray[np.float64]  # (N, 2)
    night: NDArray[np.float64]  # (M, 2)
    explained: float  # share of the variance that lies in the plane
    told_apart: float  # share of frames whose domain the nearer mean tells, all dimensions, each frame left out in turn


def area_features(point: Checkpoint, data: Dataset, refs: Sequence[SampleRef]) -> NDArray[np.float64]:
    """Mean features of layer4 in 8 areas of each frame: (N, 8, C)."""
    network = point.build().to(device())
    rows = []
    for ref in refs:
        frame = to_tensors(read_frame(data, ref, check=True))
        height, width = frame.label.shape
        size = [max(STRIDE, round(length * point.config.scale) // STRIDE * STRIDE) for length in (height, width)]
        rgb, thermal = (
            interpolate(image[None], size, mode="area").to(device()) for image in (frame.rgb, frame.thermal)
        )
        with inference(network):
            pooled = adaptive_avg_pool2d(network(rgb, thermal).layer4.float(), _GRID)[0]
        rows.append(pooled.flatten(1).T.to(torch.float64).cpu().numpy())
    return np.stack(rows)


def project(day: NDArray[np.float64], night: NDArray[np.float64]) -> Projection:
    """The plane of features (N, A, C) by day and (M, A, C) by night, by principal components of both together."""
    both = np.concatenate([day.reshape(-1, day.shape[-1]), night.reshape(-1, night.shape[-1])])
    mean = both.mean(axis=0)
    _, strengths, axes = np.linalg.svd(both - mean, full_matrices=False)
    points = (both - mean) @ axes[:2].T
    first = day.shape[0] * day.shape[1]
    explained = float((strengths[:2] ** 2).sum() / max((strengths**2).sum(), 1e-12))
    return Projection(points[:first], points[first:], explained, told_apart(day.mean(axis=1), night.mean(axis=1)))


def told_apart(day: NDArray[np.float64], night: NDArray[np.float64]) -> float:
    """Share of frames (N, C) and (M, C) that lie nearer to the mean of the others of their domain; 0.5 is by chance."""
    right = [_nearer(one, np.delete(day, i, axis=0), night) for i, one in enumerate(day)]
    right += [_nearer(one, np.delete(night, i, axis=0), day) for i, one in enumerate(night)]
    return float(np.mean(right))


def _nearer(point: NDArray[np.float64], own: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    distances = [np.linalg.norm(point - group.mean(axis=0)) for group in (own, other)]
    return bool(distances[0] < distances[1])
