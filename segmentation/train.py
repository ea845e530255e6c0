"""From a dataset to a run: the RGB teacher, the thermal night teacher, and the student with its critics."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from heatnet.dataset_tools.shards import Dataset
from heatnet.errors import DatasetError, TrainingError
from heatnet.files import atomic_file
from heatnet.segmentation.checkpoint import initialise_from
from heatnet.segmentation.config import STAGES, TrainConfig, as_plain
from heatnet.segmentation.evaluate import validator
from heatnet.segmentation.loop import Trainer, load_resumable
from heatnet.segmentation.report import write_report
from heatnet.segmentation.stages import BUILDERS, folder_of, hand_labelled

_log = logging.getLogger(__name__)


def train(
    dataset: Path, run: Path, config: TrainConfig, resume: bool = False, init_from: Path | None = None
) -> dict[str, Any]:
    """Train the stages of `config` on split "train" of a dataset into the folder `run`; returns what each reached.
    Where there is a labelled split "val", RUN/report.html tells what came of it.

    Labels by night never train, whoever made them. `resume` goes on where the run was broken off; `init_from` takes
    the weights of a checkpoint for a single stage. Raises DatasetError where the dataset lacks what a stage needs,
    TrainingError where run, checkpoint or configuration do not allow it.
    """
    data = Dataset.open(dataset)
    stages = _plan(data, config)
    _check_data(data, run, stages)
    _check_run(run, stages, config, resume, init_from)
    _write_config(run, config)
    reached = {name: _run_stage(data, run, config, name, resume, init_from) for name in stages}
    if data.refs(split="val", labelled=True):
        write_report(run, dataset, "val", run / "report.html")
    return {"run": str(run), "stages": reached}


def _plan(data: Dataset, config: TrainConfig) -> list[str]:
    """The stages to run. A dataset whose day labels are all a teacher's goes without an RGB teacher of its own."""
    if config.stage != "all":
        return [config.stage]
    if hand_labelled(data) or not data.refs(split="train", domain="day", labelled=True):
        return list(STAGES)
    _log.warning("%s: no day labels but a teacher's; no RGB teacher is trained", data.root)
    return list(STAGES[1:])


def _check_data(data: Dataset, run: Path, stages: Sequence[str]) -> None:
    """Find before hours of training what a later stage would lack."""
    if not data.refs(split="train"):
        there = sorted({ref.split for ref in data.refs()})
        raise DatasetError(f"{data.root}: no frames in split 'train' (there are: {', '.join(there) or 'none'})")
    if "rgb-teacher" in stages and not hand_labelled(data):
        raise DatasetError(f"{data.root}: no day frames in split 'train' with labels that are not a teacher's")
    if not data.refs(split="train", domain="day", labelled=True) and not (run / "rgb_teacher" / "best.pt").is_file():
        raise DatasetError(f"{data.root}: no labelled day frames in split 'train', and no RGB teacher in {run}")
    if "heatnet" in stages and not data.refs(split="train", domain="night"):
        raise DatasetError(f"{data.root}: no night frames in split 'train'; stage heatnet needs them")
    teacher = run / "thermal_teacher" / "best.pt"
    if "heatnet" in stages and "thermal-teacher" not in stages and not teacher.is_file():
        raise TrainingError(f"{teacher}: missing; stage heatnet needs it (train --stage thermal-teacher first)")


def _check_run(run: Path, stages: Sequence[str], config: TrainConfig, resume: bool, init_from: Path | None) -> None:
    """Refuse what cannot be run while the run is still as it was found."""
    if init_from is not None and (resume or len(stages) != 1):
        raise TrainingError("--init-from goes with one --stage and without --resume: it starts that stage anew")
    begun = [name for name in stages if (run / folder_of(name) / "last.pt").is_file()]
    if begun and not resume:
        raise TrainingError(f"{run / folder_of(begun[0])}: already trained; --resume goes on, another run starts anew")
    for folder in map(folder_of, begun):
        load_resumable(run / folder / "last.pt", folder, config)
    if resume and not (run / "config.json").is_file():
        _log.warning("%s: nothing to resume there, so the run begins", run)


def _write_config(run: Path, config: TrainConfig) -> None:
    with atomic_file(run / "config.json") as temporary:
        temporary.write_text(json.dumps(as_plain(config), indent=2) + "\n")


def _run_stage(
    data: Dataset, run: Path, config: TrainConfig, name: str, resume: bool, init_from: Path | None
) -> dict[str, Any]:
    torch.manual_seed(config.seed)
    stage = BUILDERS[name](data, run, config)
    if init_from is not None:
        initialise_from(stage.network, init_from)
    trainer = Trainer(stage, run, config)
    if resume and (trainer.folder / "last.pt").is_file():
        trainer.resume()
    return trainer.fit(validator(data, config.validation_frames, config.scale))
