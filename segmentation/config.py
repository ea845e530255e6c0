"""How a run is trained: plain values, written beside every result."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heatnet.errors import TrainingError
from heatnet.segmentation.network import STRIDE, NetworkConfig
from heatnet.segmentation.plain import overlaid
from heatnet.segmentation.settings import AdaptConfig, AugmentConfig, check

__all__ = [
    "PRESETS", "STAGES", "AdaptConfig", "AugmentConfig", "TrainConfig", "as_plain", "from_plain", "laptop",
    "pretrained", "read_config",
]  # fmt: skip
STAGES = ("rgb-teacher", "thermal-teacher", "heatnet")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
MAPS = ("logits", "layer4", "layer3", "layer2", "layer1", "stem")
"""The maps a critic may look at, in the order in which the original takes them."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run; the defaults suit a few hundred pairs and an hour on two cores."""

    stage: str = "all"
    modalities: tuple[str, ...] = ("rgb", "thermal")
    teacher_modalities: tuple[str, ...] = ("rgb", "thermal")  # of the night teacher; the paper's sees thermal alone
    backbone: str = "fpn"
    fusion: str = "late"
    width: float = 0.5
    head_width: float = 0.5
    head_steps: int = 1
    dropout: float = 0.1
    standardise: bool = True  # thermal relative to its frame's mean and spread
    standardise_rgb: bool = True  # and so each colour
    pretrained: bool = False  # trunks begin with weights of ImageNet; the backbone must be of width 1
    scale: float = 0.5  # network pixels per dataset pixel
    crop: tuple[int, int] = (160, 256)  # network pixels: height, width
    rgb_teacher_steps: int = 1500
    thermal_teacher_steps: int = 1500
    pretrain_steps: int = 1200
    confusion_steps: int = 400
    batch: int = 8
    optimizer: str = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    schedule: str = "poly"  # poly: down to 0 at the last step; halving: half of it every `halve_every` steps
    warmup_steps: int = 30
    halve_every: int = 15000
    clip_norm: float = 5.0
    average_decay: float = 0.99
    class_balance: float = 0.3  # weight of a class = (its share of the labels) ** -class_balance; 0: all alike
    unbalance: float = 0.0  # how much of that balance answers take back: 1 all, for labels with many false positives
    confusion_weight: float = 0.01
    critics: int = 1  # how many of `critic_maps`, from the first
    critic_maps: tuple[str, ...] = MAPS
    critic_weights: tuple[float, ...] = (
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
    )  # of their confusion, in the order of `critic_maps`
    critic_learning_rate: float = 1e-4
    critic_loss: str = "mse"
    two_way: bool = False
    confidence: bool = True  # night labels and confusion weighted by the night teacher's confidence
    certainty: bool = False  # that confidence is what a branch of the teacher learns by day, not its probability
    alternate: bool = False  # steps of student and critics in turn, each on a forward pass of its own
    online_teacher: bool = False  # the night teacher labels each crop in training, not each frame before
    warm_start: bool = True  # the student begins with its teachers' weights
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    views: bool = False  # eval and predict look at three sizes and mirror images unless they are told not to
    precision: str = "auto"  # bf16 on a GPU that has it, else fp32
    channels_last: bool = True
    accumulate: int = 1  # parts that a batch is computed in
    patience: int = 0  # validations without a better one until a stage ends; 0: never
    save_steps: int = 200
    validations: int = 5  # per stage
    validation_frames: int = 200  # at most, of each domain
    workers: int = -1  # processes that load; -1: one, for a GPU as many as the cores that are left, 8 at most
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "modalities", self.network("heatnet").modalities)  # checked, and in one order
        object.__setattr__(self, "teacher_modalities", self.network("thermal-teacher").modalities)
        check(self.stage in (*STAGES, "all"), "stage", self.stage, f"all, {', '.join(STAGES)}")
        check(self.optimizer in ("adamw", "rmsprop"), "optimizer", self.optimizer, "adamw or rmsprop")
        self._check_critics()
        check(self.schedule in ("poly", "halving"), "schedule", self.schedule, "poly or halving")
        check(self.precision in PRECISIONS, "precision", self.precision, f"one of {', '.join(PRECISIONS)}")
        check(0.05 <= self.scale <= 4, "scale", self.scale, "0.05 to 4")
        check(self.batch >= 2, "batch", self.batch, "at least 2 (batch statistics)")
        parts = self.accumulate >= 1 and self.batch % self.accumulate == 0
        check(parts, "accumulate", self.accumulate, f"a number that divides batch {self.batch}")
        whole = all(size >= 32 and size % STRIDE == 0 for size in self.crop)
        check(len(self.crop) == 2 and whole, "crop", self.crop, "height and width, multiples of 8, at least 32")
        several = self.batch > self.accumulate or max(self.crop) > 32  # deepest pixels: batch statistics need two
        check(several, "crop", self.crop, "more than 32 x 32 where accumulate leaves one frame a part")
        for name in (
            "rgb_teacher_steps",
            "thermal_teacher_steps",
            "pretrain_steps",
            "validations",
            "validation_frames",
            "halve_every",
            "save_steps",
        ):
            check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        check(self.workers >= -1, "workers", self.workers, "at least -1")
        for name in ("confusion_steps", "warmup_steps", "seed", "patience"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "at least 0")
        for name in ("learning_rate", "critic_learning_rate", "clip_norm"):
            check(getattr(self, name) > 0, name, getattr(self, name), "a number above 0")
        for name in ("weight_decay", "class_balance", "unbalance", "confusion_weight"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "a number of at least 0")
        check(0 <= self.average_decay < 1, "average_decay", self.average_decay, "a number from 0 to below 1")

    def _check_critics(self) -> None:
        check(self.critic_loss in ("mse", "bce"), "critic_loss", self.critic_loss, "mse or bce")
        names = self.critic_maps
        known = bool(names) and set(names) <= set(MAPS) and len(set(names)) == len(names)
        check(known, "critic_maps", names, f"a list of {', '.join(MAPS)}, each at most once,")
        check(0 <= self.critics <= len(names), "critics", self.critics, f"0 to {len(names)} feature maps")
        whole = all(weight >= 0 for weight in self.critic_weights)
        check(whole, "critic_weights", self.critic_weights, "a list of numbers of at least 0")

    def network(self, stage: str) -> NetworkConfig:
        """The network of one stage: the RGB teacher sees RGB, the others what their settings say."""
        teachers = {"rgb-teacher": ("rgb",), "thermal-teacher": self.teacher_modalities}
        modalities = teachers.get(stage, self.modalities)
        return NetworkConfig(
            backbone=self.backbone,
            fusion=self.fusion,
            modalities=modalities,
            width=self.width,
            head_width=self.head_width,
            steps=self.head_steps,
            dropout=self.dropout,
            standardise=self.standardise,
            standardise_rgb=self.standardise_rgb,
            project=self.warm_start,
            certainty=self.certainty,
        )

    def augmentation(self, stage: str) -> AugmentConfig:
        """How a stage's frames are varied: the RGB teacher is for day images, so it sees RGB, and by day.

        A modality is taken away only from a network that has the other one to rely on.
        """
        if stage == "rgb-teacher":
            return dataclasses.replace(self.augment, night_like=0.0, night_style=0.0, drop_rgb=0.0, drop_thermal=0.0)
        if len(self.network(stage).modalities) == 1:
            return dataclasses.replace(self.augment, drop_rgb=0.0, drop_thermal=0.0)
        return self.augment

    def steps(self, stage: str) -> int:
        """How many steps a stage takes; the student's two stages together, with those of critics in turn."""
        steps = {"rgb-teacher": self.rgb_teacher_steps, "thermal-teacher": self.thermal_teacher_steps}
        return steps.get(stage, self.pretrain_steps + self.confusion_steps * (2 if self.alternate else 1))


def laptop(**changes: Any) -> TrainConfig:
    """A configuration for a few dozen pairs and a few minutes on two cores, as the demo and the tests need it."""
    small: dict[str, Any] = {
        "rgb_teacher_steps": 260,
        "thermal_teacher_steps": 300,
        "pretrain_steps": 200,
        "confusion_steps": 60,
        "batch": 4,
        "learning_rate": 2e-3,
        "validations": 2,
    }
    return TrainConfig(**{**small, **changes})


def pretrained() -> TrainConfig:
    """The default configuration with a network that begins with weights of ImageNet, which an installed package has."""
    return TrainConfig(backbone="efficientnet_lite0", width=1.0, pretrained=True, learning_rate=1e-3)


PRESETS: dict[str, Callable[[], TrainConfig]] = {"default": TrainConfig, "laptop": laptop, "pretrained": pretrained}


def with_settings(config: TrainConfig, settings: Sequence[str]) -> TrainConfig:
    """`config` with settings given as texts "key=value" or "group.key=value" (values in JSON, a bare word is a text).

    Raises TrainingError where a key is unknown or a value impossible.
    """
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise TrainingError(f"setting {text!r}: KEY=VALUE is needed")
        plain: object = _parsed(value)
        for part in reversed(name.split(".")):
            plain = {part: plain}
        config = from_plain(plain, config, "setting")
    return config


def _parsed(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value


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
