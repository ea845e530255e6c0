"""Labels by a teacher for the day frames of a dataset that nobody has labelled by hand.

A shard with labels is written beside the one without, then the manifest names it instead, then the old one goes: killed
at any moment the dataset is whole, and run again it goes on. Frames by night are never touched.
"""

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.codecs import Compression
from heatnet.dataset_tools.importers.images import check_ids
from heatnet.dataset_tools.manifest import ShardRecord, labelled_name
from heatnet.dataset_tools.shards import Dataset, Sample, ShardInfo, write_shard
from heatnet.dataset_tools.writer import DatasetWriter, content_key, reopen_writer
from heatnet.errors import DatasetError
from heatnet.progress import track

BY_TEACHER = "teacher:"  # how the label source of such labels begins
_LOG = logging.getLogger(__name__)


class Labeller(Protocol):
    """A teacher."""

    @property
    def source(self) -> str:
        """Who it is, down to the weights."""

    def __call__(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Class ids (H, W), 13 = none, and the confidence (H, W) in [0, 1] of an image (H, W, 3)."""


def relabel(root: Path, teacher: Labeller) -> dict[str, Any]:
    """Let `teacher` label the day frames of the dataset `root`; returns how many frames got labels and why others not.

    Labels of another teacher are replaced, those by hand or of a simulation kept. Raises DatasetError where the dataset
    is altered, HeatNetError where the disk refuses; shards that are done stay.
    """
    frames: Counter[str] = Counter()
    source = BY_TEACHER + teacher.source
    with reopen_writer(root) as writer:
        dataset = Dataset.open(root)
        wanted = [i for i, r in enumerate(dataset.manifest.shards) if _fate(r, source) == "labelled"]
        for record in dataset.manifest.shards:
            frames[_fate(record, source)] += record.samples
        for index in track(wanted, "label"):
            _relabel_shard(writer, dataset, index, teacher)
    if not frames["labelled"] + frames["labelled before"]:
        _LOG.warning("%s: no day frame without labels by hand", root)
    return {"teacher": source, "frames": dict(sorted(frames.items()))}


def _fate(record: ShardRecord, source: str) -> str:
    if record.domain != "day":
        return "night, never touched"
    if record.label_source is None:
        return "labelled"
    if record.label_source == source:
        return "labelled before"
    return "labelled" if record.label_source.startswith(BY_TEACHER) else "kept, with labels not of a teacher"


def _relabel_shard(writer: DatasetWriter, dataset: Dataset, index: int, teacher: Labeller) -> None:
    old = dataset.manifest.shards[index]
    if not writer.intact(old):
        raise DatasetError(f"{dataset.path(old)}: was altered (its SHA-256 is not the one in the manifest)")
    refs = track(dataset.shard_refs(index), old.name)
    samples = [_labelled(dataset.read(ref, check=True), teacher) for ref in refs]
    source = BY_TEACHER + teacher.source
    info = ShardInfo(old.split, old.domain, old.sequence, source, old.thermal_unit, old.thermal_range, old.key)
    name = labelled_name(old.name, content_key(source))
    writer.supersede(old, write_shard(writer.root, name, samples, info, _compression(writer)))


def _labelled(sample: Sample, teacher: Labeller) -> Sample:
    label, confidence = teacher(sample.rgb)
    if not label.shape == confidence.shape == sample.valid.shape:
        raise DatasetError(f"{teacher.source}: labels of {label.shape} for an image of {sample.valid.shape}")
    levels = np.clip(np.rint(confidence * 255), 0, 255).astype(np.uint8)
    return replace(sample, label=check_ids(label, teacher.source), confidence=levels)


def _compression(writer: DatasetWriter) -> Compression:
    chosen: Compression = writer.manifest.config.get("compression", "none")
    return chosen
