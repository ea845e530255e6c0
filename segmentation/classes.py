"""The thirteen classes, the label that is none, and which of them are scored."""

from collections.abc import Sequence

from heatnet.dataset_tools.classes import CLASS_NAMES
from heatnet.errors import TrainingError

CLASSES = CLASS_NAMES[:-1]
"""Class names by id. "pole" stands for pole, sign and light; "person" for person and rider; "car" for every motor
vehicle and train; "bicycle" for bicycle and motorcycle."""

CLASS_COUNT = len(CLASSES)
BACKGROUND = 12
IGNORE = 13
MOVING = (9, 10, 11)
"""People, cars and bicycles with all that is their like."""

SCORED = tuple(range(BACKGROUND))


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
