"""Several runs as one table: mean and spread over their seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from heatnet.errors import TrainingError
from heatnet.segmentation.evaluate import evaluate
from heatnet.segmentation.inference import Views

PARTS = ("day", "night", "combined", "pooled")


def evaluate_runs(
    sources: Sequence[Path], dataset: Path, split: str, classes: Sequence[str] | None = None, views: Views | None = None
) -> dict[str, Any]:
    """Score each run as `evaluate` does; returns {"runs": its answers, "summary": mean and spread by model and part}.

    Raises what `evaluate` raises, and TrainingError where two of the sources are the same.
    """
    names = [str(source) for source in sources]
    if len(set(names)) < len(names):
        raise TrainingError(f"{', '.join(names)}: a run is named twice; each counts once")
    runs = {name: evaluate(Path(name), dataset, split, classes, views) for name in names}
    return {"runs": runs, "summary": summarise_runs(runs), "split": split}


def summarise_runs(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """By model and part: "mean" and "spread" (standard deviation of a sample) of the mean IoU, and over how many runs.

    Models that only some of the runs have are summarised over those.
    """
    models = {name: None for run in runs.values() for name in run["models"]}
    return {name: {part: _spread(runs, name, part) for part in PARTS} for name in models}


def _spread(runs: Mapping[str, Mapping[str, Any]], model: str, part: str) -> dict[str, Any]:
    found = [run["models"][model][part]["miou"] for run in runs.values() if model in run["models"]]
    values = np.array([value for value in found if value is not None])
    if not len(values):
        return {"mean": None, "spread": None, "runs": 0}
    spread = round(float(values.std(ddof=1)), 6) if len(values) > 1 else None
    return {"mean": round(float(values.mean()), 6), "spread": spread, "runs": len(values)}
