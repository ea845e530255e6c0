"""Intersection over union from confusion counts, by domain, combined and pooled."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.segmentation.classes import CLASS_COUNT, CLASSES, IGNORE

Confusion = NDArray[np.int64]
"""(13, 13) pixels by true class (row) and predicted class (column)."""


def confusion(truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> Confusion:
    """Count pixels by true and predicted class; pixels whose truth is 13 are dropped. Any equal shapes."""
    known = truth != IGNORE
    pairs = truth[known].astype(np.int64) * CLASS_COUNT + predicted[known]
    return np.bincount(pairs, minlength=CLASS_COUNT**2).reshape(CLASS_COUNT, CLASS_COUNT)


def iou(counts: Confusion, classes: Sequence[int]) -> NDArray[np.float64]:
    """Intersection over union of each of `classes`; NaN for a class that the truth has nowhere.

    All known pixels count: background (12) predicted for a class is a miss, a class predicted on background a false
    hit.
    """
    hits = np.diag(counts).astype(float)
    true, predicted = counts.sum(axis=1), counts.sum(axis=0)
    union = true + predicted - hits
    values = np.where(true > 0, hits / np.maximum(union, 1), np.nan)
    return values[list(classes)]


def nanmean(values: NDArray[np.float64]) -> float:
    """Mean of what is not NaN; NaN where nothing is left."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def summarise(counts: Mapping[str, Confusion], classes: Sequence[int]) -> dict[str, Any]:
    """IoU by domain ("day", "night", whichever there are), "combined" and "pooled", as plain values.

    "combined" is the class mean of (day + night) / 2, "pooled" that of the summed counts. A class without truth in a
    domain is left out there; None stands for what cannot be computed.
    """
    by_domain = {name: iou(counts[name], classes) for name in ("day", "night") if name in counts}
    total = sum(counts.values(), np.zeros((CLASS_COUNT, CLASS_COUNT), np.int64))
    both = np.array([nanmean(column) for column in np.array(list(by_domain.values())).T])
    results = {**by_domain, "combined": both, "pooled": iou(total, classes)}
    summary: dict[str, Any] = {
        name: _entry(results.get(name), classes) for name in ("day", "night", "combined", "pooled")
    }
    truth = total.sum(axis=1)
    return {**summary, "classes_scored": [CLASSES[index] for index in classes if truth[index] > 0]}


def _entry(values: NDArray[np.float64] | None, classes: Sequence[int]) -> dict[str, Any]:
    if values is None:
        values = np.full(len(classes), np.nan)
    names = [CLASSES[index] for index in classes]
    return {"miou": _plain(nanmean(values)), "iou": dict(zip(names, map(_plain, values), strict=True))}


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)
