"""What each stage trains, on which frames, with whose labels."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from heatnet.dataset_tools.shards import Dataset
from heatnet.errors import TrainingError
from heatnet.segmentation.build import build_network
from heatnet.segmentation.checkpoint import describe, load_checkpoint
from heatnet.segmentation.classes import CLASS_COUNT
from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.critic import make_critics
from heatnet.segmentation.data import Batch, Pairs, Source
from heatnet.segmentation.distributed import device, synchronise, world_size
from heatnet.segmentation.evaluate import spread
from heatnet.segmentation.inference import SIX, inference
from heatnet.segmentation.loop import Stage, Terms
from heatnet.segmentation.losses import class_weights_from
from heatnet.segmentation.network import CHANNELS, Maps, Network, NetworkConfig
from heatnet.segmentation.optimizer import Average, Updater, make_schedule
from heatnet.segmentation.pretrained import load_pretrained
from heatnet.segmentation.sampling import RareFirst, rare_first
from heatnet.segmentation.sources import agreeing, day_source, hand_labelled, night_source
from heatnet.segmentation.student import Student, alternating_step, student_step
from heatnet.segmentation.teacher import Teacher, teacher_step
from heatnet.segmentation.warm_start import warm_start


@dataclass(frozen=True)
class Material:
    """What the stages of a run are made from."""

    data: Dataset
    run: Path
    config: TrainConfig
    teacher: Path | None = None  # who labels the nights; the run's own night teacher without
    begins: bool = True  # whether a stage needs first weights, and has none from elsewhere

    @property
    def night_teacher(self) -> Path:
        """The checkpoint that labels the nights."""
        return self.teacher or self.run / "thermal_teacher" / "best.pt"


def rgb_teacher(material: Material) -> Stage:
    """The RGB teacher on day labels that were made by hand or simulation."""
    return _teacher_stage("rgb-teacher", material, Source(material.data, tuple(hand_labelled(material.data))))


def thermal_teacher(material: Material) -> Stage:
    """The night teacher, which sees thermal and, if the settings say no other, RGB, on day frames with their labels."""
    return _teacher_stage("thermal-teacher", material, day_source(material.data, material.run))


def _teacher_stage(name: str, material: Material, source: Source) -> Stage:
    config, steps = material.config, material.config.steps(name)
    network = new_network(material, name)
    updater = Updater(network, config, make_schedule(config, config.learning_rate, 0, steps))
    teacher = Teacher(network, updater, _class_weights(source, config))
    set_prior(network, teacher.class_weights, config)

    def step(batch: Batch, _: int) -> Terms:
        return teacher_step(teacher, batch, config)

    pairs = Pairs(source, None, config, name, _nights(material.data), _order(source, config))
    return Stage(folder_of(name), network, Average(network, config.average_decay), updater, pairs, steps, step)


def heatnet(material: Material) -> Stage:
    """The student: first day labels and the night teacher's labels, then with the confusion of the critics."""
    config, steps = material.config, material.config.steps("heatnet")
    day = day_source(material.data, material.run)
    if config.adapt.agree:
        day = agreeing(day, material.night_teacher, material.run / "labels" / "agree")
    teacher = None if config.online_teacher else material.night_teacher
    night = night_source(material.data, material.run, teacher, replace(SIX, blind=config.adapt.blind_labels))
    student = new_student(material, day)

    def step(batch: Batch, number: int) -> Terms:
        confuse = config.critics > 0 and number >= config.pretrain_steps
        if confuse and config.alternate:
            return alternating_step(student, batch, config, number - config.pretrain_steps)
        return student_step(student, batch, config, confuse)

    pairs = Pairs(day, night, config, "heatnet", night, _order(day, config))
    assert student.average is not None
    stage = Stage(
        "heatnet", student.network, student.average, student.updater, pairs, steps, step, config.pretrain_steps
    )
    if student.critic_updater is not None:
        stage.others.update(critics=student.critics, critic_updater=student.critic_updater)
    return stage


def new_student(material: Material, day: Source) -> Student:
    """The student, its critics and who labels for it, as they are before the first step."""
    config, steps = material.config, material.config.steps("heatnet")
    network = new_network(material, "heatnet")
    if config.warm_start:
        warm_start(network, _teachers(material.run, network))
    class_weights = _class_weights(day, config)
    set_prior(network, class_weights, config)
    critics = make_critics(_example_maps(network, config), config.critic_maps[: config.critics], config.width)
    critics = critics.to(device())
    critic_updater = None
    if config.critics:
        schedule = make_schedule(config, config.critic_learning_rate, config.pretrain_steps, steps)
        critic_updater = Updater(critics, config, schedule)
    return Student(
        network,
        Updater(network, config, make_schedule(config, config.learning_rate, 0, steps)),
        critics,
        critic_updater,
        class_weights,
        Average(network, config.average_decay),
        load_checkpoint(material.night_teacher).build().to(device()) if config.online_teacher else None,
    )


def set_prior(network: Network, class_weights: torch.Tensor, config: TrainConfig) -> None:
    """What answers of `network` take back of the weights (13,) of its classes; nothing of those that do not occur."""
    known = torch.where(class_weights > 0, class_weights, torch.ones_like(class_weights))
    network.prior.copy_(config.unbalance * known.log())


def new_network(material: Material, stage: str) -> Network:
    """The network of a stage on its device, with pretrained trunks where it begins and the configuration wants them."""
    config = material.config
    network = build_network(config.network(stage))
    if config.pretrained and material.begins:
        load_pretrained(network)
    if world_size() > 1:
        synchronise(network)
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    return network.to(device=device()).to(memory_format=layout)


def _teachers(run: Path, student: Network) -> dict[str, Network]:
    """The run's RGB teacher and night teacher ("thermal"), which must be built as the student is."""
    points = {name: run / f"{name}_teacher" / "best.pt" for name in CHANNELS}
    found = {name: load_checkpoint(path) for name, path in points.items() if path.is_file()}
    for name, point in found.items():
        if different := _built_otherwise(point.network, student.config):
            raise TrainingError(
                f"{points[name]}: {describe(point.network)}; a warm start of {describe(student.config)} needs teachers "
                f"built alike (or warm_start false), and these differ in {different}"
            )
    return {name: point.build().to(device=device()) for name, point in found.items()}


def _built_otherwise(network: NetworkConfig, other: NetworkConfig) -> str:
    """In what two networks differ besides what they see, in words; nothing where the weights of one fit the other.

    How modalities meet has no meaning with one, and dropout has no weights.
    """
    one = min(len(network.modalities), len(other.modalities)) == 1
    free = ("modalities", "dropout", "fusion") if one else ("modalities", "dropout")
    pairs = {name: (value, getattr(other, name)) for name, value in asdict(network).items() if name not in free}
    return ", ".join(f"{name} ({own}, here {wanted})" for name, (own, wanted) in pairs.items() if own != wanted)


def _nights(data: Dataset) -> Source:
    """Night frames without labels, for their look."""
    return Source(data, tuple(data.refs(split="train", domain="night")))


def _order(source: Source, config: TrainConfig) -> RareFirst | None:
    if not config.adapt.rare_classes:
        return None
    labels = (source.read(index).label for index in range(len(source.refs)))
    return rare_first(labels, config.adapt.rare_classes)


def _class_weights(source: Source, config: TrainConfig) -> torch.Tensor:
    """Weights (13,) of the classes by their share of the labels in (at most 200 of) the frames of a source."""
    counts = torch.zeros(CLASS_COUNT)
    for ref in spread(source.refs, 200):
        label = torch.from_numpy(source.read(source.refs.index(ref)).label.ravel().astype("int64"))
        counts += torch.bincount(label, minlength=CLASS_COUNT + 1)[:CLASS_COUNT]
    return class_weights_from(counts / counts.sum().clamp_min(1), config.class_balance).to(device())


def _example_maps(network: Network, config: TrainConfig) -> Maps:
    height, width = config.crop
    with inference(network):
        return network(
            torch.zeros(1, 3, height, width, device=device()), torch.zeros(1, 1, height, width, device=device())
        )


def folder_of(stage: str) -> str:
    """The folder of a stage within a run."""
    return stage.replace("-", "_")


BUILDERS = {"rgb-teacher": rgb_teacher, "thermal-teacher": thermal_teacher, "heatnet": heatnet}
