"""What one pass over labelled frames counts: confusions, how far confidence can be trusted, and each frame's score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.segmentation.classes import CLASS_COUNT, IGNORE
from heatnet.segmentation.metrics import Confusion, confusion, iou, nanmean

BINS = 15

Reliability = NDArray[np.float64]
"""(15, 3): pixels, sum of confidence and right answers by confidence, in equal steps from 0 to 1."""


@dataclass(frozen=True)
class FrameScore:
    """How well one frame was answered."""

    name: str
    place: int  # among the frames that were scored
    miou: float  # over the scored classes that its truth has; NaN without any


@dataclass(frozen=True)
class Tally:
    """Counts of one network on the frames of one domain."""

    confusion: Confusion
    reliability: Reliability
    frames: tuple[FrameScore, ...]


EMPTY = Tally(np.zeros((CLASS_COUNT, CLASS_COUNT), np.int64), np.zeros((BINS, 3)), ())


def count_frame(
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    confidence: NDArray[np.floating],
    classes: Sequence[int],
    name: str = "",
    place: int = 0,
) -> Tally:
    """The tally of one frame (all (H, W)) scored on `classes`; pixels whose truth is 13 are dropped."""
    counts = confusion(truth, predicted)
    score = nanmean(iou(counts, classes))
    return Tally(counts, reliability(truth, predicted, confidence, classes), (FrameScore(name, place, score),))


def added(one: Tally, other: Tally) -> Tally:
    """Both together."""
    return Tally(one.confusion + other.confusion, one.reliability + other.reliability, (*one.frames, *other.frames))


def reliability(
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    confidence: NDArray[np.floating],
    classes: Sequence[int],
) -> Reliability:
    """How often what was said with a confidence was right. All classes that are not scored count as one."""
    known = truth != IGNORE
    scored = np.isin(np.arange(CLASS_COUNT), classes)
    said, true = predicted[known], truth[known]
    right = (said == true) | ~(scored[said] | scored[true])
    values = confidence[known].astype(float)
    place = np.clip((values * BINS).astype(int), 0, BINS - 1)
    columns = (np.ones(len(values)), values, right.astype(float))
    return np.stack([np.bincount(place, column, BINS) for column in columns], axis=1)


def calibration_error(counts: Reliability) -> float:
    """Expected calibration error (Naeini et al. 2015): mean distance of confidence and share of right answers."""
    pixels, confidence, right = counts.T
    return float(np.abs(confidence - right).sum() / pixels.sum()) if pixels.sum() else float("nan")


def calibration(tallies: Mapping[str, Tally]) -> dict[str, Any]:
    """By domain: "ece" and, for each confidence that occurred, its mean, the share of right answers and of pixels."""
    return {domain: _calibration(tally.reliability) for domain, tally in tallies.items()}


def _calibration(counts: Reliability) -> dict[str, Any]:
    total = counts[:, 0].sum()
    bins = [
        {"confidence": round(c / n, 6), "right": round(r / n, 6), "share": round(n / total, 6)}
        for n, c, r in counts.tolist()
        if n
    ]
    return {"ece": round(calibration_error(counts), 6) if total else None, "bins": bins}


def extremes(tallies: Mapping[str, Tally], count: int = 3) -> dict[str, Any]:
    """By domain the names and scores of the best and worst frames."""
    found = {}
    for domain, tally in tallies.items():
        ranked = ranked_frames(tally)
        rows = [{"frame": frame.name, "miou": round(frame.miou, 6)} for frame in ranked]
        found[domain] = {"best": rows[:count], "worst": rows[::-1][:count]}
    return found


def ranked_frames(tally: Tally) -> list[FrameScore]:
    """The frames that have a score, the best first."""
    return sorted((frame for frame in tally.frames if not np.isnan(frame.miou)), key=lambda frame: -frame.miou)
