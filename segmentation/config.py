"""How a run is trained: plain values, written beside every result."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heatnet.errors import TrainingError
from heatnet.segmentation.plain import overlaid
from heatnet.segmentation.pspnet import STRIDE, NetworkConfig

STAGES = ("rgb-teacher", "thermal-teacher", "heatnet")
_MODALITIES = {"rgb-teacher": ("rgb",), "thermal-teacher": ("thermal",)}


@dataclass(frozen=True)
class AugmentConfig:
    """How frames are varied in training. Geometry is one draw for all images of a frame, day and night apart.

    Probabilities are per frame. `night_like` darkens labelled day RGB as a night camera would see it, and `drop_rgb`
    takes RGB away altogether, so that the student learns from labelled frames to rely on thermal when RGB tells little.
    """

    flip: float = 0.5
    rotation: float = 0.5
    rotation_rad: float = 0.35  # largest angle to either side
    scale: tuple[float, float] = (0.75, 1.5)
    colour: float = 0.8
    night_like: float = 0.4
    drop_rgb: float = 0.1
    rectangle: float = 0.3  # a rectangle without RGB or without thermal
    thermal_gain: float = 0.4  # half range of the natural logarithm of the contrast
    thermal_offset: float = 0.5  # half range, in units of the frame's standard deviation
    thermal_gamma: float = 0.3  # half range of the natural logarithm of the exponent
    thermal_noise: float = 0.02  # of the frame's standard deviation

    def __post_init__(self) -> None:
        for name in ("flip", "rotation", "colour", "night_like", "drop_rgb", "rectangle"):
            _check(0 <= getattr(self, name) <= 1, f"augment.{name}", getattr(self, name), "a probability from 0 to 1")
        for name in ("rotation_rad", "thermal_gain", "thermal_offset", "thermal_gamma", "thermal_noise"):
            _check(0 <= getattr(self, name) <= 4, f"augment.{name}", getattr(self, name), "a number from 0 to 4")
        ordered = len(self.scale) == 2 and 0.05 <= self.scale[0] <= self.scale[1] <= 20
        _check(ordered, "augment.scale", self.scale, "the smallest and the largest factor, from 0.05 to 20,")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run; the defaults suit a few hundred pairs and half an hour on two cores."""

    stage: str = "all"
    modalities: tuple[str, ...] = ("rgb", "thermal")
    backbone: str = "resnet18"
    fusion: str = "late"
    width: float = 0.25
    head_width: float = 0.5
    head_steps: int = 1
    dropout: float = 0.1
    standardise: bool = True  # thermal relative to its frame's mean and spread
    scale: float = 0.5  # network pixels per dataset pixel
    crop: tuple[int, int] = (160, 256)  # network pixels: height, width
    rgb_teacher_steps: int = 1500
    thermal_teacher_steps: int = 1500
    pretrain_steps: int = 1200
    confusion_steps: int = 400
    batch: int = 4
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup_steps: int = 30
    clip_norm: float = 5.0
    average_decay: float = 0.99
    class_balance: float = 0.3  # weight of a class = (its share of the labels) ** -class_balance; 0: all alike
    confusion_weight: float = 0.01
    critics: int = 1
    critic_learning_rate: float = 1e-4
    critic_loss: str = "mse"
    two_way: bool = False
    confidence: bool = True  # night labels and confusion weighted by the night teacher's confidence
    warm_start: bool = True  # the student begins with its teachers' weights
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    validations: int = 5  # per stage
    validation_frames: int = 200  # at most, of each domain
    workers: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "modalities", self.network("heatnet").modalities)  # checked, and in one order
        _check(self.stage in (*STAGES, "all"), "stage", self.stage, f"all, {', '.join(STAGES)}")
        _check(self.optimizer in ("adamw", "rmsprop"), "optimizer", self.optimizer, "adamw or rmsprop")
        _check(self.critic_loss in ("mse", "bce"), "critic_loss", self.critic_loss, "mse or bce")
        _check(0 <= self.critics <= 6, "critics", self.critics, "0 to 6 feature maps")
        _check(0.05 <= self.scale <= 4, "scale", self.scale, "0.05 to 4")
        _check(self.batch >= 2, "batch", self.batch, "at least 2 (batch statistics)")
        whole = all(size >= 32 and size % STRIDE == 0 for size in self.crop)
        _check(len(self.crop) == 2 and whole, "crop", self.crop, "height and width, multiples of 8, at least 32")
        for name in (
            "rgb_teacher_steps",
            "thermal_teacher_steps",
            "pretrain_steps",
            "validations",
            "validation_frames",
        ):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("confusion_steps", "warmup_steps", "workers", "seed"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "at least 0")
        for name in ("learning_rate", "critic_learning_rate", "clip_norm"):
            _check(getattr(self, name) > 0, name, getattr(self, name), "a number above 0")
        for name in ("weight_decay", "class_balance", "confusion_weight"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "a number of at least 0")
        _check(0 <= self.average_decay < 1, "average_decay", self.average_decay, "a number from 0 to below 1")

    def network(self, stage: str) -> NetworkConfig:
        """The network of one stage: the teachers see one modality, the student those of `modalities`."""
        modalities = _MODALITIES.get(stage, self.modalities)
        return NetworkConfig(
            backbone=self.backbone,
            fusion=self.fusion,
            modalities=modalities,
            width=self.width,
            head_width=self.head_width,
            steps=self.head_steps,
            dropout=self.dropout,
            standardise=self.standardise,
            project=self.warm_start,
        )

    def augmentation(self, stage: str) -> AugmentConfig:
        """How a stage's frames are varied: the RGB teacher is for day images, so it sees RGB, and by day.

        RGB is taken away only from a network that has thermal to rely on.
        """
        if stage == "rgb-teacher":
            return dataclasses.replace(self.augment, night_like=0.0, drop_rgb=0.0)
        if "thermal" not in self.network(stage).modalities:
            return dataclasses.replace(self.augment, drop_rgb=0.0)
        return self.augment

    def steps(self, stage: str) -> int:
        """How many steps a stage takes; the student's two stages together."""
        steps = {"rgb-teacher": self.rgb_teacher_steps, "thermal-teacher": self.thermal_teacher_steps}
        return steps.get(stage, self.pretrain_steps + self.confusion_steps)


def laptop(**changes: Any) -> TrainConfig:
    """A configuration for a few dozen pairs and a few minutes on two cores, as the demo and the tests need it."""
    small: dict[str, Any] = {
        "rgb_teacher_steps": 260,
        "thermal_teacher_steps": 300,
        "pretrain_steps": 200,
        "confusion_steps": 60,
        "learning_rate": 2e-3,
        "validations": 2,
    }
    return TrainConfig(**{**small, **changes})


def as_plain(config: TrainConfig) -> dict[str, Any]:
    """The configuration in plain values (numbers, strings, lists), as JSON and checkpoints hold it."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return plain


def from_plain(plain: object, base: TrainConfig | None = None, where: str = "training configuration") -> TrainConfig:
    """The configuration `base` (the default one) with these plain values in the place of its own.

    Raises TrainingError, which names `where` they are from, where a name is unknown or a value impossible.
    """
    try:
        config: TrainConfig = overlaid(TrainConfig() if base is None else base, plain)
    except TrainingError as error:
        raise TrainingError(f"{where}: {error}") from error
    return config


def read_config(path: Path, base: TrainConfig | None = None) -> TrainConfig:
    """`base` with the values of a JSON file: a configuration written beside a run, or a part. Raises TrainingError."""
    try:
        plain = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"{path}: not a training configuration ({error})") from error
    if not isinstance(plain, dict):
        raise TrainingError(f"{path}: not a training configuration (a JSON object is needed)")
    return from_plain(plain, base, str(path))


def _check(good: bool, name: str, found: object, needed: str) -> None:
    if not good:
        raise TrainingError(f"key {name!r} is {found!r}; {needed} is needed")
