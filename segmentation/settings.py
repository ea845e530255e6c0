"""Groups of settings of a run: how frames are varied, and what is tried so that nights are learnt better."""

from dataclasses import dataclass

from heatnet.errors import TrainingError


@dataclass(frozen=True)
class AugmentConfig:
    """How frames are varied in training. Geometry is one draw for all images of a frame, day and night apart.

    Probabilities are per frame. By day only: `night_like` darkens RGB as a night camera would see it, `night_style`
    gives RGB and thermal the distribution of values of a real night frame of the dataset, and `drop_thermal` takes
    thermal away, where RGB was left bright, so that the student also learns to see with RGB when that tells much.
    `drop_rgb` takes RGB away, so that it learns from labelled frames to rely on thermal when RGB tells little.
    `thermal_invert` swaps hot and cold about the mean: what the sun warms by day is cold by night.
    """

    flip: float = 0.5
    rotation: float = 0.5
    rotation_rad: float = 0.35  # largest angle to either side
    scale: tuple[float, float] = (0.75, 1.5)
    colour: float = 0.8
    night_like: float = 0.2
    night_style: float = 0.4
    drop_rgb: float = 0.1
    drop_thermal: float = 0.3
    rectangle: float = 0.3  # a rectangle without RGB or without thermal
    thermal_gain: float = 0.4  # half range of the natural logarithm of the contrast
    thermal_offset: float = 0.5  # half range, in units of the frame's standard deviation
    thermal_gamma: float = 0.3  # half range of the natural logarithm of the exponent
    thermal_noise: float = 0.02  # of the frame's standard deviation
    thermal_invert: float = 0.0

    def __post_init__(self) -> None:
        for name in (
            "flip", "rotation", "colour", "night_like", "night_style", "drop_rgb", "drop_thermal", "rectangle",
            "thermal_invert",
        ):  # fmt: skip
            check(0 <= getattr(self, name) <= 1, f"augment.{name}", getattr(self, name), "a probability from 0 to 1")
        check(self.drop_rgb + self.drop_thermal <= 1, "augment.drop_thermal", self.drop_thermal, "1 - drop_rgb at most")
        dark = self.night_like + self.night_style
        check(dark <= 1, "augment.night_style", self.night_style, "1 - night_like at most")
        for name in ("rotation_rad", "thermal_gain", "thermal_offset", "thermal_gamma", "thermal_noise"):
            check(0 <= getattr(self, name) <= 4, f"augment.{name}", getattr(self, name), "a number from 0 to 4")
        ordered = len(self.scale) == 2 and 0.05 <= self.scale[0] <= self.scale[1] <= 20
        check(ordered, "augment.scale", self.scale, "the smallest and the largest factor, from 0.05 to 20,")


@dataclass(frozen=True)
class AdaptConfig:
    """What the field has learnt since HeatNet about learning a domain without labels; each may be used alone.

    `mean_teacher` lets the running average of the student label the night frames too, where it is surer than the night
    teacher (Tarvainen and Valpola 2017). Labels less sure than `threshold` teach nothing. `class_mix` is the
    probability that a night frame gets half the classes of a day frame pasted in, with their labels (Olsson et al.
    2021, Tranheden et al. 2021); `paste` that it gets the people, cars and bicycles of a day frame, made as dark as the
    night (Ghiasi et al. 2021). `complementary_mask` is the probability that a frame, by day or night, loses each
    square patch in either RGB or thermal (Shin et al. 2024). `masked_consistency` weighs a term that asks for the
    average's labels on night frames of which `mask_share` of the patches are hidden in both (Hoyer et al. 2023).
    `rare_classes` is the temperature at which day frames with rare classes are drawn more often (Hoyer et al. 2022): 0
    draws all alike, 0.01 the rarest nearly alone. With `blind_labels` a night teacher that sees RGB labels each frame
    with and without it, and the mean counts: by night RGB misleads. With `agree` day labels that an RGB teacher made
    count for the student only where the night teacher says the same (for one that sees RGB).
    """

    mean_teacher: bool = False
    threshold: float = 0.7
    class_mix: float = 0.0
    paste: float = 0.0
    complementary_mask: float = 0.0
    masked_consistency: float = 0.0
    mask_share: float = 0.5
    mask_patch: int = 32
    rare_classes: float = 0.05
    blind_labels: bool = False
    agree: bool = False

    def __post_init__(self) -> None:
        for name in ("threshold", "class_mix", "paste", "complementary_mask", "mask_share"):
            check(0 <= getattr(self, name) <= 1, f"adapt.{name}", getattr(self, name), "a number from 0 to 1")
        for name in ("masked_consistency", "rare_classes"):
            check(0 <= getattr(self, name) <= 100, f"adapt.{name}", getattr(self, name), "a number from 0 to 100")
        check(1 <= self.mask_patch <= 512, "adapt.mask_patch", self.mask_patch, "1 to 512 pixels")

    @property
    def needs_average(self) -> bool:
        """Whether the average of the student labels night frames while it trains."""
        return self.mean_teacher or self.masked_consistency > 0


def check(good: bool, name: str, found: object, needed: str) -> None:
    """Raise TrainingError that says what `needed` is for the setting `name`, unless it is `good`."""
    if not good:
        raise TrainingError(f"key {name!r} is {found!r}; {needed} is needed")
