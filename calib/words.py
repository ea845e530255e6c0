"""Parameters and weak directions in the words of people who mount cameras."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PRIOR_RULES = 0.5  # from this share on a value is called the prior's
TIED = 0.95  # correlation from which two parameters are called tied
MEANINGS = {
    "rotation_x": "pitch",
    "rotation_y": "yaw",
    "rotation_z": "roll",
    "translation_x": "sideways",
    "translation_y": "up and down",
    "translation_z": "forward",
    "fx": "focal length across",
    "fy": "focal length down",
    "cx": "image centre across",
    "cy": "image centre down",
    "p1": "tilt of the lens down",
    "p2": "tilt of the lens across",
    "k1": "distortion",
    "k2": "distortion in the corners",
    "lag": "exposed later than stamped",
}


def named(name: str) -> str:
    """A parameter with what it means."""
    return f"{name} ({MEANINGS[name]})" if name in MEANINGS else name


def weak_directions(
    names: Sequence[str],
    prior_share: NDArray[np.float64],
    correlation: NDArray[np.float64],
    moved_px: NDArray[np.float64],
) -> list[str]:
    """What the data did not fix: values that come from the guess, and values that only hold together.

    `moved_px` (P,): how far the image moves in the mean when a value is off by a deviation, and all others with it.
    """
    lines = [
        f"{named(name)} is the guess's: {share:.0%} from the prior. The recording hardly tells it"
        for name, share in zip(names, prior_share, strict=True)
        if share > PRIOR_RULES
    ]
    for i, j in itertools.combinations(range(len(names)), 2):
        if abs(correlation[i, j]) > TIED:
            way = "same" if correlation[i, j] > 0 else "opposite"
            lines.append(
                f"{named(names[i])} and {named(names[j])} move together (correlation {correlation[i, j]:+.3f}): an "
                f"error of one hides in an error of the other in the {way} sense; a deviation of both moves the "
                f"alignment by {max(moved_px[i], moved_px[j]):.2f} px"
            )
    return lines
