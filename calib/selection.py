"""Which of the key frames looked at are used: by what each adds to those already chosen, greedily.

What a set of key frames is worth is a sum over cells (where in the thermal image, how far away, how the rig moved) of
the logarithm of what lies in them, so that the hundredth edge of a cell counts little and the first one much. Greedy
choice is near the best there is for such sums (Nemhauser, Wolsey and Fisher 1978).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.glance import DEPTH_NAMES, RING_NAMES, SECTOR_NAMES, Glance
from heatnet.calib.views import Choice

Array = NDArray[np.float64]
ENOUGH = 16.0  # edges in a cell from which on more of them count less
USUAL = "at the usual speed"
MOTIONS = (USUAL, "slower than usual", "faster than usual", "turning left", "turning right", "standing")
MOTION_WORTH = 2.0  # cells that a kind of motion counts as
BLURRED = 0.5  # of the median sharpness of the recording
LEAST_TO_COMPARE = 5
SAME_GREY = 4.0  # images of which 90 % differ by less show the same place
APART_M = 4.0  # key frames nearer to each other than this see much the same
LEAST_STRUCTURE = 30.0  # edges that both modalities show, below which a key frame says little


@dataclass(frozen=True)
class Candidate:
    """One key frame that was looked at."""

    recording: int
    stamp_ns: int
    place_m: Array | None  # (3,) by odometry
    motion: str  # one of MOTIONS, or "" where odometry does not tell
    glance: Glance


def choose(candidates: Sequence[Candidate], count: int) -> list[Choice]:
    """A choice for each candidate, of which at most `count` are used; every recording gets its share."""
    reasons = [flaw_of(c, candidates) for c in candidates]
    open_ = [i for i, reason in enumerate(reasons) if not reason]
    chosen: list[int] = []
    held = np.zeros_like(_worth(candidates[0])) if candidates else np.zeros(0)
    while open_ and len(chosen) < count:
        taken = Counter(candidates[i].recording for i in chosen)
        fewest = min(taken[candidates[i].recording] for i in open_)
        turn = [i for i in open_ if taken[candidates[i].recording] == fewest]
        best = max(turn, key=lambda i: _gain(candidates, i, chosen, held))
        open_.remove(best)
        reasons[best] = _repeated(candidates, best, chosen)
        if not reasons[best]:
            reasons[best] = _why(candidates[best], held)
            chosen.append(best)
            held = held + _worth(candidates[best])
    for i in open_:
        reasons[i] = _repeated(candidates, i, chosen) or "adds less than those used"
    return [
        Choice(c.recording, c.stamp_ns, i in chosen, reason)
        for i, (c, reason) in enumerate(zip(candidates, reasons, strict=True))
    ]


def flaw_of(candidate: Candidate, among: Sequence[Candidate]) -> str:
    """Why a candidate cannot be used, beside the others of its recording; empty where it can."""
    glance = candidate.glance
    if glance.flaw:
        return glance.flaw
    if all(glance.thermal_flaws.values()):
        return "; ".join(sorted(set(glance.thermal_flaws.values()))) or "no thermal frame could be read"
    usual = [c.glance.sharpness for c in among if c.recording == candidate.recording and not c.glance.flaw]
    if len(usual) >= LEAST_TO_COMPARE and glance.sharpness < BLURRED * float(np.median(usual)):
        return "RGB is blurred"
    return ""


def _worth(candidate: Candidate) -> Array:
    """What a candidate has in each cell of the images and each kind of motion, flattened."""
    moving = np.array([ENOUGH * (candidate.motion == m) for m in MOTIONS])
    return np.concatenate([candidate.glance.structure.ravel(), moving])


def _gains(candidate: Candidate, held: Array) -> Array:
    gains = np.log1p(_worth(candidate) / (ENOUGH + held))
    gains[-len(MOTIONS) :] *= MOTION_WORTH
    return np.asarray(gains)


def _gain(candidates: Sequence[Candidate], index: int, chosen: Sequence[int], held: Array) -> float:
    mine = candidates[index]
    others = [candidates[i].place_m for i in chosen if candidates[i].recording == mine.recording]
    ways = [float(np.linalg.norm(p - mine.place_m)) for p in others if p is not None and mine.place_m is not None]
    fresh = 1 - np.exp(-min(ways, default=np.inf) / APART_M)
    return float(_gains(mine, held).sum() * fresh)


def _repeated(candidates: Sequence[Candidate], index: int, chosen: Sequence[int]) -> str:
    """Which of the chosen a candidate repeats; empty where none."""
    mine = candidates[index]
    for i in chosen:
        other = candidates[i]
        if other.recording == mine.recording and _same(mine.glance.thumbnail, other.glance.thumbnail):
            return f"shows the same as the one at {other.stamp_ns * 1e-9:.3f} s"
    return ""


def _same(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> bool:
    return float(np.quantile(cv2.absdiff(first, second), 0.9)) < SAME_GREY


def _why(candidate: Candidate, held: Array) -> str:
    """What a candidate adds most, in words."""
    if candidate.glance.structure.sum() < LEAST_STRUCTURE:
        return "adds hardly any edges that RGB and thermal share, but there is nothing better"
    gains = _gains(candidate, held)
    cells = gains[: -len(MOTIONS)].reshape(candidate.glance.structure.shape).sum(axis=0)
    depth, ring, sector = (int(np.argmax(cells.sum(axis=tuple({0, 1, 2} - {axis})))) for axis in range(3))
    words = f"edges {DEPTH_NAMES[depth]}, most of them {RING_NAMES[ring]}, {SECTOR_NAMES[sector]}"
    motion = f"; {candidate.motion}" if candidate.motion not in ("", USUAL) else ""
    return f"adds {words}{motion}"


def without_edges(choices: Sequence[Choice], used: set[tuple[int, int]]) -> tuple[Choice, ...]:
    """The choices, with those taken back whose key frame is not among `used` (recording, stamp) in the end."""
    late = "hardly any edges with depth, or the same as the one before"
    return tuple(
        replace(c, used=False, reason=late) if c.used and (c.recording, c.stamp_ns) not in used else c for c in choices
    )
