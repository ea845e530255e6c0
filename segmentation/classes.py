"""The thirteen classes, the label that is none, their colours, and which of them are scored."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from heatnet.errors import TrainingError

CLASSES = (
    "road",
    "sidewalk",
    "building",
    "curb",
    "fence",
    "pole",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "car",
    "bicycle",
    "background",
)
"""Class names by id. "pole" stands for pole, sign and light; "person" for person and rider; "car" for every motor
vehicle and train; "bicycle" for bicycle and motorcycle."""

CLASS_COUNT = len(CLASSES)
BACKGROUND = 12
IGNORE = 13
SCORED = tuple(range(BACKGROUND))

_RGB_BY_ID = (
    (128, 64, 128),
    (244, 35, 232),
    (105, 105, 115),
    (196, 196, 196),
    (190, 153, 153),
    (250, 170, 30),
    (107, 142, 35),
    (152, 251, 152),
    (70, 130, 180),
    (220, 20, 60),
    (20, 60, 200),
    (119, 11, 32),
    (60, 50, 40),
    (0, 0, 0),
)


def class_ids(names: Sequence[str] | None) -> tuple[int, ...]:
    """The ids of the named classes in the order of their ids; all that are scored where `names` is None.

    Raises TrainingError for a name that is none of the scored classes, and for an empty list.
    """
    if names is None:
        return SCORED
    wanted = [name.strip().lower() for name in names]
    unknown = [name for name in wanted if name not in CLASSES[:BACKGROUND]]
    if unknown or not wanted:
        known = ", ".join(CLASSES[:BACKGROUND])
        raise TrainingError(f"classes {', '.join(unknown) or 'none'}: not scored; choose from {known}")
    return tuple(sorted({CLASSES.index(name) for name in wanted}))


def class_names(ids: Iterable[int]) -> tuple[str, ...]:
    """The names of these class ids."""
    return tuple(CLASSES[index] for index in ids)


def colourise(label: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The colours of a label map (..., ids 0-13) as (..., 3) uint8 RGB."""
    return np.asarray(_RGB_BY_ID, dtype=np.uint8)[label]
