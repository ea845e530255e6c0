"""The thirteen classes that labels speak of, and how they are drawn."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASS_NAMES = (
    "road", "sidewalk", "building", "curb", "fence", "pole", "vegetation", "terrain", "sky", "person", "car",
    "bicycle", "background", "ignore",
)  # fmt: skip
_COLOURS = np.array(
    [
        (128, 64, 128), (244, 35, 232), (105, 105, 115), (196, 196, 196), (190, 153, 153), (250, 170, 30),
        (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (20, 60, 200), (119, 11, 32), (60, 50, 40),
        (0, 0, 0),
    ],
    np.uint8,
)  # fmt: skip


def coloured(label: NDArray[Any]) -> NDArray[np.uint8]:
    """A label map (H, W) of ids 0 to 13 as an RGB picture (H, W, 3)."""
    picture: NDArray[np.uint8] = _COLOURS[np.minimum(label, len(_COLOURS) - 1)]
    return picture
