"""Would a recording bring frames that another split of the dataset holds already?"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.manifest import SHARDS, ShardRecord
from heatnet.errors import DatasetError

LEAK_NS = 1_000_000_000  # frames of different splits nearer than this are one and the same scene


def refuse_leaks(root: Path, shards: Iterable[ShardRecord], path: Path, frames: Iterable[tuple[int, str]]) -> None:
    """Raise DatasetError where `frames` (stamp ns, split) of `path` are a moment from one of `shards` in another split.

    A shard that cannot be read is passed over: it is made again with its own recording.
    """
    new = list(frames)
    stamps = np.array([stamp for stamp, _ in new], np.int64)
    splits = np.array([split for _, split in new])
    for record in shards:
        mine = splits != record.split
        near = _nearest(stamps[mine], _known(root / SHARDS / record.name, record.sha256))
        if near is not None and abs(near[1] - near[0]) < LEAK_NS:
            split = splits[stamps == near[0]][0]
            raise DatasetError(
                f"{path}: {split} would leak from {record.split}: its frame of {near[0]} ns is "
                f"{abs(near[1] - near[0]) / 1e6:.0f} ms from one of {record.sequence} ({record.name}); build both in "
                "one go, or with the same --split"
            )


def _nearest(stamps: NDArray[np.int64], known: NDArray[np.int64]) -> tuple[int, int] | None:
    """The stamp (N,) and the known one (M,) that are nearest to each other."""
    if not len(stamps) or not len(known):
        return None
    known = np.sort(known)
    after = np.clip(np.searchsorted(known, stamps), 0, len(known) - 1)
    before = np.maximum(after - 1, 0)
    other = np.where(np.abs(known[before] - stamps) < np.abs(known[after] - stamps), known[before], known[after])
    at = int(np.argmin(np.abs(other - stamps)))
    return int(stamps[at]), int(other[at])


def _known(path: Path, sha256: str) -> NDArray[np.int64]:
    try:
        return _stamps(path, sha256)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        return np.zeros(0, np.int64)


@cache
def _stamps(path: Path, sha256: str) -> NDArray[np.int64]:
    """True RGB stamps (N,) of the shard with that hash."""
    with path.open("rb") as content, h5py.File(content, "r") as file:
        stamps = np.asarray(file["rgb_stamp_ns"][:], np.int64)
    return stamps[stamps > 0]
