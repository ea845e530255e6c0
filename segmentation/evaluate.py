"""Scores of checkpoints on a split: by day, by night, combined and pooled, per class."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from heatnet.dataset_tools.shards import Dataset, SampleRef
from heatnet.errors import DatasetError, TrainingError
from heatnet.progress import track
from heatnet.segmentation.checkpoint import Checkpoint, load_checkpoint
from heatnet.segmentation.classes import class_ids
from heatnet.segmentation.distributed import device
from heatnet.segmentation.frames import read_frame
from heatnet.segmentation.inference import ONE, SIX, Views, answer
from heatnet.segmentation.metrics import summarise
from heatnet.segmentation.network import Network
from heatnet.segmentation.tally import EMPTY, Tally, added, calibration, count_frame, extremes

_LOG = logging.getLogger(__name__)

MODELS = ("rgb_teacher", "thermal_teacher", "heatnet")
"""The folders of a run, by stage; the last one there is, is what the run is for."""


def evaluate(
    source: Path, dataset: Path, split: str, classes: Sequence[str] | None = None, views: Views | None = None
) -> dict[str, Any]:
    """Score a run or a checkpoint on the labelled frames of `split`; see the interface for the shape of the answer.

    Of a run, all its models are scored side by side under "models", and the top level is the student's, or the last
    stage's there is; so are "confusion" (13 x 13 pixels, true by predicted), "calibration" of its confidence and its
    best and worst "frames", by domain. Raises TrainingError or DatasetError where there is nothing to score or to
    score with.
    """
    ids = class_ids(classes)
    data = Dataset.open(dataset)
    refs = labelled_refs(data, split)
    return summarise_models(count_models(find_checkpoints(source), data, refs, ids, views), ids, split)


def count_models(
    checkpoints: Mapping[str, Checkpoint],
    data: Dataset,
    refs: Sequence[SampleRef],
    classes: Sequence[int],
    views: Views | None = None,
) -> dict[str, dict[str, Tally]]:
    """Tallies by model and domain; `views` None: as the run's settings have it."""
    return {
        name: count_pixels(
            point.build().to(device()), data, refs, point.config.scale, name, classes, views or usual_views(point)
        )
        for name, point in checkpoints.items()
    }


def usual_views(point: Checkpoint) -> Views:
    """How often a network looks at a frame where nobody says: as the settings of its run have it."""
    return SIX if point.config.views else ONE


def summarise_models(tallies: Mapping[str, Mapping[str, Tally]], classes: Sequence[int], split: str) -> dict[str, Any]:
    """The answer of `evaluate` from tallies by model and domain."""
    models = {name: summarise(_confusions(by_domain), classes) for name, by_domain in tallies.items()}
    main = list(tallies.values())[-1]
    details = {
        "confusion": {domain: tally.confusion.tolist() for domain, tally in main.items()},
        "calibration": calibration(main),
        "frames": extremes(main),
    }
    return {**list(models.values())[-1], "split": split, "models": models, **details}


def _confusions(tallies: Mapping[str, Tally]) -> dict[str, Any]:
    return {domain: tally.confusion for domain, tally in tallies.items()}


def find_checkpoints(source: Path) -> dict[str, Checkpoint]:
    """The best checkpoint of each stage of a run in the order of the stages, or the one checkpoint that `source` is."""
    if source.is_file():
        checkpoint = load_checkpoint(source)
        return {checkpoint.stage: checkpoint}
    if not source.is_dir():
        raise TrainingError(f"{source}: no such run or checkpoint")
    paths = {name: source / name / "best.pt" for name in MODELS}
    found = {name: load_checkpoint(path) for name, path in paths.items() if path.is_file()}
    if not found:
        raise TrainingError(f"{source}: not a run (needs {', '.join(MODELS[:-1])} or {MODELS[-1]} with best.pt in it)")
    return found


def labelled_refs(dataset: Dataset, split: str) -> list[SampleRef]:
    """The labelled frames of a split. Raises DatasetError where there are none, saying what there is."""
    refs = dataset.refs(split=split, labelled=True)
    if not refs:
        there = sorted({ref.split for ref in dataset.refs(labelled=True)})
        raise DatasetError(
            f"{dataset.root}: no labelled frames in split {split!r}; labelled splits: {', '.join(there) or 'none'}"
        )
    if teachers := sorted({str(ref.label_source) for ref in refs if str(ref.label_source).startswith("teacher:")}):
        _LOG.warning("%s: split %r is scored against labels of %s", dataset.root, split, ", ".join(teachers))
    return refs


def count_pixels(
    network: Network,
    dataset: Dataset,
    refs: Sequence[SampleRef],
    scale: float,
    name: str,
    classes: Sequence[int],
    views: Views = ONE,
) -> dict[str, Tally]:
    """Tallies by domain of a network that sees frames at `scale`, in `views`; `name` is for the progress bar."""
    tallies: dict[str, Tally] = {}
    for place, ref in enumerate(track(refs, f"scoring {name}")):
        frame = read_frame(dataset, ref, check=True)
        known, confidence = answer(network, frame, scale, views)
        seen = count_frame(frame.label, known.argmax(axis=0), confidence, classes, frame_name(ref), place)
        tallies[ref.domain] = added(tallies.get(ref.domain, EMPTY), seen)
    return tallies


def frame_name(ref: SampleRef) -> str:
    """A frame as people find it again."""
    return f"{ref.sequence}, frame {ref.row} of shard {ref.shard}"


def spread(refs: Sequence[SampleRef], most: int) -> list[SampleRef]:
    """At most `most` frames of each domain, evenly over all of them."""
    chosen: list[SampleRef] = []
    for domain in ("day", "night"):
        there = [ref for ref in refs if ref.domain == domain]
        count = min(most, len(there))
        places = {round(place * (len(there) - 1) / max(count - 1, 1)) for place in range(count)}
        chosen += [there[place] for place in sorted(places)]
    return chosen


def validator(dataset: Dataset, most: int, scale: float) -> Callable[[Network], dict[str, Any] | None]:
    """A function that scores a network on the validation split; it returns None where there is none to score on."""
    refs, classes = spread(dataset.refs(split="val", labelled=True), most), class_ids(None)

    def score(network: Network) -> dict[str, Any] | None:
        if not refs:
            return None
        return summarise(_confusions(count_pixels(network, dataset, refs, scale, "validation", classes)), classes)

    return score
