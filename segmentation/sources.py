"""Whose labels training sees: the dataset's by day, a teacher's for the rest."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from heatnet.dataset_tools.digests import file_sha256
from heatnet.dataset_tools.shards import Dataset, SampleRef
from heatnet.files import atomic_file
from heatnet.progress import track
from heatnet.segmentation.checkpoint import load_checkpoint
from heatnet.segmentation.classes import IGNORE
from heatnet.segmentation.data import Source, by_teacher
from heatnet.segmentation.distributed import device, rank, wait
from heatnet.segmentation.frames import read_frame
from heatnet.segmentation.inference import SIX, Views, answer
from heatnet.segmentation.provenance import fingerprint
from heatnet.segmentation.pseudo_labels import LabelStore

_log = logging.getLogger(__name__)


def day_source(data: Dataset, run: Path) -> Source:
    """Day frames with labels: the dataset's own where there are, else those of the run's RGB teacher."""
    refs = data.refs(split="train", domain="day")
    bare = [ref for ref in refs if ref.label_source is None]
    teacher = run / "rgb_teacher" / "best.pt"
    if bare and teacher.is_file():
        return Source(data, tuple(refs), label_frames(data, bare, teacher, run / "labels" / "day"))
    labelled = tuple(ref for ref in refs if ref.label_source is not None)
    if bare:
        _log.warning("%s: %d day frames without labels are left out (no RGB teacher in %s)", data.root, len(bare), run)
    return Source(data, labelled)


def night_source(data: Dataset, run: Path, teacher: Path | None, views: Views = SIX) -> Source:
    """Night frames with the labels of a teacher, in `views`; without any where it labels them later (None)."""
    refs = data.refs(split="train", domain="night")
    if teacher is None:
        return Source(data, tuple(refs))
    return Source(data, tuple(refs), label_frames(data, refs, teacher, run / "labels" / "night", views))


def agreeing(day: Source, teacher: Path, folder: Path) -> Source:
    """The day frames with those of their labels by a teacher on which the teacher `teacher` agrees (Han et al. 2018).

    Labels made by hand stay as they are.
    """
    refs = [ref for ref in day.refs if ref.label_source is None or by_teacher(ref)]
    return replace(day, second=label_frames(day.dataset, refs, teacher, folder)) if refs else day


def label_frames(
    data: Dataset, refs: Sequence[SampleRef], teacher: Path, folder: Path, views: Views = SIX
) -> LabelStore:
    """Let a teacher label the clean frames `refs`: most probable class and its probability, the mean over `views`.

    Where a thermal teacher has no thermal it was never trained: no label there, of confidence 0. What the same teacher
    said of the same dataset before is kept.
    """
    store, mark = LabelStore(folder), folder / "teacher.json"
    made_by = json.dumps(
        {"teacher": file_sha256(teacher), "dataset": fingerprint(data), "frames": len(refs), "views": asdict(views)}
    )
    if rank() == 0 and not (mark.is_file() and mark.read_text() == made_by):
        mark.unlink(missing_ok=True)
        _label(data, refs, teacher, store, views)
        with atomic_file(mark) as temporary:
            temporary.write_text(made_by)
    wait()
    return store


def _label(data: Dataset, refs: Sequence[SampleRef], teacher: Path, store: LabelStore, views: Views) -> None:
    checkpoint = load_checkpoint(teacher)
    network = checkpoint.build().to(device())
    views = replace(views, blind=views.blind and len(network.config.modalities) > 1)
    for ref in track(refs, f"labelling with {checkpoint.stage}"):
        frame = read_frame(data, ref, check=True)
        result, confidence = answer(network, frame, checkpoint.config.scale, views)
        label = result.argmax(axis=0).astype("uint8")
        if network.config.modalities == ("thermal",):
            label[~frame.valid], confidence[~frame.valid] = IGNORE, 0
        store.write(ref, label, confidence)


def hand_labelled(data: Dataset) -> list[SampleRef]:
    """The day frames of split "train" with labels that are not a teacher's."""
    refs = data.refs(split="train", domain="day", labelled=True)
    return [ref for ref in refs if not by_teacher(ref)]
