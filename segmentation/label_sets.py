"""How the classes of published label sets become ours."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from heatnet.errors import TrainingError
from heatnet.segmentation.classes import BACKGROUND, CLASS_COUNT, IGNORE

# Mapillary Vistas v1 (Neuhold et al. 2017), ids of its 66 classes; what is not listed is background.
_VISTAS = {
    0: (8, 10, 12, 13, 14, 23, 24),
    1: (7, 11, 15),
    2: (6, 16, 17, 18),
    3: (2, 9),
    4: (3, 4),
    5: tuple(range(44, 51)),
    6: (30,),
    7: (25, 26, 28, 29, 31),
    8: (27,),
    9: tuple(range(19, 23)),
    10: (54, 55, 56, 58, 59, 60, 61, 62),
    11: (52, 57),
    IGNORE: (65,),
}
# Cityscapes (Cordts et al. 2016), its 19 classes for training.
_CITYSCAPES = {
    0: (0,),
    1: (1,),
    2: (2, 3),
    4: (4,),
    5: (5, 6, 7),
    6: (8,),
    7: (9,),
    8: (10,),
    9: (11, 12),
    10: (13, 14, 15, 16),
    11: (17, 18),
}


def vistas_to_ours(vistas_ids: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Class ids of Mapillary Vistas v1 (0 to 65) as ours, any shape."""
    return _table(_VISTAS, 66)[vistas_ids]


def cityscapes_to_ours(train_ids: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Training ids of Cityscapes (0 to 18, 255 none) as ours, any shape."""
    ours = np.full(256, IGNORE, np.uint8)
    ours[:19] = _table(_CITYSCAPES, 19)
    return ours[train_ids]


def merging(names: Mapping[int, str], model: str) -> NDArray[np.float32]:
    """Which of our classes (K, 14) each of a network's K classes counts to; its label set is told by its names.

    Raises TrainingError where they are neither those of Cityscapes (19) nor of Mapillary Vistas v1 (65 or 66).
    """
    told = [names.get(i, "").strip().lower() for i in range(len(names))]
    ids = np.arange(len(told))
    if len(told) == 19 and (told[0], told[18]) == ("road", "bicycle"):
        ours = cityscapes_to_ours(ids)
    elif len(told) in (65, 66) and (told[0], told[13]) == ("bird", "road"):
        ours = vistas_to_ours(ids)
    else:
        first = told[0] if told else "none"
        raise TrainingError(
            f"{model}: {len(told)} classes, the first is {first!r}; those of Cityscapes (19, road first) or of "
            "Mapillary Vistas v1 (65 or 66, bird first) are needed"
        )
    return np.eye(CLASS_COUNT + 1, dtype=np.float32)[ours]


def _table(groups: Mapping[int, tuple[int, ...]], count: int) -> NDArray[np.uint8]:
    ours = np.full(count, BACKGROUND, np.uint8)
    for own, theirs in groups.items():
        ours[list(theirs)] = own
    return ours
