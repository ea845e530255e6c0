"""What each stage trains, on which frames, with whose labels."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from heatnet.dataset_tools.shards import Dataset, SampleRef
from heatnet.errors import TrainingError
from heatnet.progress import track
from heatnet.segmentation.checkpoint import describe, load_checkpoint
from heatnet.segmentation.classes import CLASS_COUNT, IGNORE
from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.critic import make_critics
from heatnet.segmentation.data import Batch, Pairs, Source
from heatnet.segmentation.evaluate import spread
from heatnet.segmentation.frames import read_frame
from heatnet.segmentation.inference import inference, probabilities
from heatnet.segmentation.loop import Stage, Terms
from heatnet.segmentation.losses import class_weights_from
from heatnet.segmentation.optimizer import make_optimizer
from heatnet.segmentation.pseudo_labels import LabelStore
from heatnet.segmentation.pspnet import CHANNELS, Maps, PSPNet
from heatnet.segmentation.student import Student, student_step
from heatnet.segmentation.teacher import Teacher, teacher_step
from heatnet.segmentation.warm_start import warm_start

_log = logging.getLogger(__name__)


def rgb_teacher(data: Dataset, _: Path, config: TrainConfig) -> Stage:
    """The RGB teacher on day labels that were made by hand or simulation."""
    return _teacher_stage("rgb-teacher", Source(data, tuple(hand_labelled(data))), config)


def thermal_teacher(data: Dataset, run: Path, config: TrainConfig) -> Stage:
    """The thermal night teacher on day thermal with the day labels."""
    return _teacher_stage("thermal-teacher", day_source(data, run), config)


def _teacher_stage(name: str, source: Source, config: TrainConfig) -> Stage:
    network = PSPNet(config.network(name)).to(device=_device()).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(network.parameters(), config, config.learning_rate)
    teacher = Teacher(network, optimizer, _class_weights(source, config))

    def step(batch: Batch, _: int) -> Terms:
        return teacher_step(teacher, batch, config)

    return Stage(folder_of(name), network, optimizer, Pairs(source, None, config, name), config.steps(name), step)


def heatnet(data: Dataset, run: Path, config: TrainConfig) -> Stage:
    """The student: first day labels and the night teacher's labels, then with the confusion of the critics."""
    day, night = day_source(data, run), night_source(data, run)
    network = PSPNet(config.network("heatnet")).to(device=_device()).to(memory_format=torch.channels_last)
    if config.warm_start:
        warm_start(network, _teachers(run, network))
    optimizer = make_optimizer(network.parameters(), config, config.learning_rate)
    critics = make_critics(_example_maps(network, config), config.critics, config.width).to(_device())
    critic_optimizer = None
    if config.critics:
        critic_optimizer = make_optimizer(critics.parameters(), config, config.critic_learning_rate)
    student = Student(network, optimizer, critics, critic_optimizer, _class_weights(day, config))

    def step(batch: Batch, number: int) -> Terms:
        return student_step(student, batch, config, config.critics > 0 and number >= config.pretrain_steps)

    others: dict[str, torch.nn.Module | torch.optim.Optimizer] = {"critics": critics}
    if critic_optimizer is not None:
        others["critic_optimizer"] = critic_optimizer
    return Stage(
        "heatnet", network, optimizer, Pairs(day, night, config, "heatnet"), config.steps("heatnet"), step, others
    )


def _teachers(run: Path, student: PSPNet) -> dict[str, PSPNet]:
    """The run's teachers by modality, those that are built as the student is."""
    points = {name: run / f"{name}_teacher" / "best.pt" for name in CHANNELS}
    found = {name: load_checkpoint(path) for name, path in points.items() if path.is_file()}
    like = {name: replace(student.config, modalities=(name,)) for name in found}
    unlike = [name for name, point in found.items() if point.network != like[name]]
    if unlike:
        raise TrainingError(
            f"{points[unlike[0]]}: {describe(found[unlike[0]].network)}; a warm start of {describe(student.config)} "
            "needs teachers built alike (or warm_start false)"
        )
    return {name: point.build().to(device=_device()) for name, point in found.items()}


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


def night_source(data: Dataset, run: Path) -> Source:
    """Night frames with the labels of the run's thermal teacher."""
    refs = data.refs(split="train", domain="night")
    teacher = run / "thermal_teacher" / "best.pt"
    return Source(data, tuple(refs), label_frames(data, refs, teacher, run / "labels" / "night"))


def label_frames(data: Dataset, refs: Sequence[SampleRef], teacher: Path, folder: Path) -> LabelStore:
    """Let a teacher label the clean frames `refs`: most probable class and its probability, each with its mirror.

    Where a thermal teacher has no thermal it was never trained: no label there, of confidence 0.
    """
    checkpoint = load_checkpoint(teacher)
    network = checkpoint.build().to(_device())
    store = LabelStore(folder)
    for ref in track(refs, f"labelling with {checkpoint.stage}"):
        frame = read_frame(data, ref)
        result = probabilities(network, frame, checkpoint.config.scale, flip=True)
        label, confidence = result.argmax(axis=0).astype("uint8"), result.max(axis=0)
        if network.config.modalities == ("thermal",):
            label[~frame.valid], confidence[~frame.valid] = IGNORE, 0
        store.write(ref, label, confidence)
    return store


def hand_labelled(data: Dataset) -> list[SampleRef]:
    """The day frames of split "train" with labels that are not a teacher's."""
    refs = data.refs(split="train", domain="day", labelled=True)
    return [ref for ref in refs if not str(ref.label_source).startswith("teacher")]


def _class_weights(source: Source, config: TrainConfig) -> torch.Tensor:
    """Weights (13,) of the classes by their share of the labels in (at most 200 of) the frames of a source."""
    counts = torch.zeros(CLASS_COUNT)
    for ref in spread(source.refs, 200):
        label = torch.from_numpy(source.read(source.refs.index(ref)).label.ravel().astype("int64"))
        counts += torch.bincount(label, minlength=CLASS_COUNT + 1)[:CLASS_COUNT]
    return class_weights_from(counts / counts.sum().clamp_min(1), config.class_balance).to(_device())


def _example_maps(network: PSPNet, config: TrainConfig) -> Maps:
    height, width = config.crop
    with inference(network):
        return network(
            torch.zeros(1, 3, height, width, device=_device()), torch.zeros(1, 1, height, width, device=_device())
        )


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def folder_of(stage: str) -> str:
    """The folder of a stage within a run."""
    return stage.replace("-", "_")


BUILDERS = {"rgb-teacher": rgb_teacher, "thermal-teacher": thermal_teacher, "heatnet": heatnet}
