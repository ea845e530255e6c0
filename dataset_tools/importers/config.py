"""What a user may choose when importing a published dataset."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImportConfig:
    """How images become samples."""

    label_source: str = "hand"  # who made the labels: hand, simulation, or the name of a teacher
    size: tuple[int, int] | None = None  # width, height of the samples; None keeps the size of the images
    thermal_range: tuple[float, float] | None = None  # None: 0..255 for 8 bits, measured for 16 bits
    least_gap_s: float = 0.0  # freiburg: of frames nearer to each other than this only the first (thins bursts)
