"""From a dataset to a run: the RGB teacher, the night teacher, and the student with its critics."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from heatnet.dataset_tools.digests import file_sha256
from heatnet.dataset_tools.shards import Dataset
from heatnet.errors import DatasetError, TrainingError
from heatnet.files import atomic_file
from heatnet.segmentation.checkpoint import initialise_from
from heatnet.segmentation.config import STAGES, TrainConfig, as_plain
from heatnet.segmentation.data import part_size
from heatnet.segmentation.distributed import processes, rank, wait
from heatnet.segmentation.evaluate import validator
from heatnet.segmentation.loop import Trainer, load_resumable
from heatnet.segmentation.provenance import describe_dataset
from heatnet.segmentation.report import write_report
from heatnet.segmentation.run_lock import alone_in
from heatnet.segmentation.run_log import read_metrics
from heatnet.segmentation.sources import hand_labelled
from heatnet.segmentation.stages import BUILDERS, Material, folder_of

PROVENANCE = "provenance.json"
_log = logging.getLogger(__name__)


def train(
    dataset: Path,
    run: Path,
    config: TrainConfig,
    resume: bool = False,
    init_from: Path | None = None,
    teacher: Path | None = None,
) -> dict[str, Any]:
    """Train the stages of `config` on split "train" of a dataset into the folder `run`; returns what each reached.
    Where there is a labelled split "val", RUN/report.html tells what came of it.

    Labels by night never train, whoever made them. `resume` goes on where the run was broken off; `init_from` takes
    the weights of a checkpoint for a single stage; the checkpoint `teacher` labels the nights instead of the run's
    night teacher (a HeatNet, for an RGB-only student distilled from it). Started by torchrun, the processes share
    each batch. Raises DatasetError where the dataset lacks what a stage needs, TrainingError where run, checkpoint or
    configuration do not allow it, or where another training is at work in `run`.
    """
    material = Material(Dataset.open(dataset), run, config, teacher)
    stages = _plan(material)
    _check_data(material, stages)
    with processes(), alone_in(run):
        _check_run(material, stages, resume, init_from)
        part_size(config)
        if rank() == 0:
            _write_config(material, stages)
        wait()
        reached = {name: _run_stage(material, name, resume, init_from) for name in stages}
        if rank() == 0 and material.data.refs(split="val", labelled=True):
            write_report(run, dataset, "val", run / "report.html")
    return {"run": str(run), "stages": reached}


def _plan(material: Material) -> list[str]:
    """The stages to run. A dataset whose day labels are all a teacher's goes without an RGB teacher of its own.

    Nor is there a night teacher where another checkpoint labels the nights.
    """
    data, config = material.data, material.config
    if config.stage != "all":
        return [config.stage]
    if material.teacher is not None:
        raise TrainingError(f"{material.teacher}: a --teacher labels the nights of --stage heatnet; name that stage")
    if hand_labelled(data) or not data.refs(split="train", domain="day", labelled=True):
        return list(STAGES)
    _log.warning("%s: no day labels but a teacher's; no RGB teacher is trained", data.root)
    return list(STAGES[1:])


def _check_data(material: Material, stages: Sequence[str]) -> None:
    """Find before hours of training what a later stage would lack."""
    data, run, config = material.data, material.run, material.config
    if not data.refs(split="train"):
        there = sorted({ref.split for ref in data.refs()})
        raise DatasetError(f"{data.root}: no frames in split 'train' (there are: {', '.join(there) or 'none'})")
    if "rgb-teacher" in stages and not hand_labelled(data):
        raise DatasetError(f"{data.root}: no day frames in split 'train' with labels that are not a teacher's")
    if not data.refs(split="train", domain="day", labelled=True) and not (run / "rgb_teacher" / "best.pt").is_file():
        raise DatasetError(f"{data.root}: no labelled day frames in split 'train', and no RGB teacher in {run}")
    if "heatnet" in stages and not data.refs(split="train", domain="night"):
        raise DatasetError(f"{data.root}: no night frames in split 'train'; stage heatnet needs them")
    if config.patience and not data.refs(split="val", labelled=True):
        raise DatasetError(f"{data.root}: no labelled frames in split 'val'; patience {config.patience} needs them")
    teacher = material.night_teacher
    if "heatnet" in stages and "thermal-teacher" not in stages and not teacher.is_file():
        raise TrainingError(f"{teacher}: missing; stage heatnet needs it (train --stage thermal-teacher first)")
    if config.alternate and not config.critics:
        raise TrainingError("alternate: there are no critics to take turns with (critics is 0)")


def _check_run(material: Material, stages: Sequence[str], resume: bool, init_from: Path | None) -> None:
    """Refuse what cannot be run while the run is still as it was found."""
    run = material.run
    if init_from is not None and (resume or len(stages) != 1):
        raise TrainingError("--init-from goes with one --stage and without --resume: it starts that stage anew")
    begun = [name for name in stages if (run / folder_of(name) / "last.pt").is_file()]
    if resume and "heatnet" in begun:
        _check_teacher(material)
    if begun and not resume:
        raise TrainingError(f"{run / folder_of(begun[0])}: already trained; --resume goes on, another run starts anew")
    for folder in map(folder_of, begun):
        load_resumable(run / folder / "last.pt", folder, material.config, describe_dataset(material.data))
    read_metrics(run)
    if resume and not (run / "config.json").is_file():
        _log.warning("%s: nothing to resume there, so the run begins", run)


def _check_teacher(material: Material) -> None:
    """Nights that one teacher labelled are not gone on with under the labels of another."""
    before, now = _night_teacher(material.run), _describe_teacher(material.teacher)
    if (before or {}).get("sha256") != (now or {}).get("sha256"):
        raise TrainingError(
            f"{material.run / 'heatnet'}: its nights were labelled by {_named(before)}, now by {_named(now)}; --resume "
            "goes on with the same --teacher alone, --init-from takes the weights"
        )


def _night_teacher(run: Path) -> dict[str, str] | None:
    """The --teacher a run was begun with, as its provenance has it; None: the run's own, also where nothing is said.

    Raises TrainingError where the provenance is not as `_write_config` leaves it.
    """
    path = run / PROVENANCE
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        told = None
    found = told.get("night_teacher") if isinstance(told, dict) else told
    if isinstance(told, dict) and (found is None or _is_teacher(found)):
        return found
    raise TrainingError(
        f"{path}: not as training writes it; put it back, or remove it where the run's own night teacher labels its "
        "nights"
    )


def _is_teacher(told: object) -> bool:
    return isinstance(told, dict) and all(isinstance(told.get(name), str) for name in ("name", "sha256"))


def _describe_teacher(teacher: Path | None) -> dict[str, str] | None:
    return None if teacher is None else {"name": teacher.name, "sha256": file_sha256(teacher)}


def _named(teacher: dict[str, str] | None) -> str:
    return "the run's own night teacher" if teacher is None else f"{teacher['name']} ({teacher['sha256'][:12]})"


def _write_config(material: Material, stages: Sequence[str]) -> None:
    provenance: dict[str, Any] = {"dataset": describe_dataset(material.data)}
    teacher = _describe_teacher(material.teacher) if "heatnet" in stages else _night_teacher(material.run)
    if teacher is not None:
        provenance["night_teacher"] = teacher
    for name, content in (("config.json", as_plain(material.config)), (PROVENANCE, provenance)):
        with atomic_file(material.run / name) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n")


def _run_stage(material: Material, name: str, resume: bool, init_from: Path | None) -> dict[str, Any]:
    config = material.config
    resumed = resume and (material.run / folder_of(name) / "last.pt").is_file()
    torch.manual_seed(config.seed)  # the same first weights in every process
    stage = BUILDERS[name](replace(material, begins=not resumed and init_from is None))
    if init_from is not None:
        initialise_from(stage.network, init_from)
        stage.average.network.load_state_dict(stage.network.state_dict())
    trainer = Trainer(stage, material.run, config, describe_dataset(material.data))
    if resumed:
        trainer.resume()
    return trainer.fit(validator(material.data, config.validation_frames, config.scale))
