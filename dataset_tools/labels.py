"""Class maps that lie beside a recording: `labels.npz` in its folder, or `NAME_labels.npz`.

One (H, W) uint8 map of the raw left RGB image for each key, which is the image's stamp in ns.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.importers.images import check_ids
from heatnet.errors import DatasetError


@dataclass(frozen=True)
class LabelFile:
    """The labels of one recording; read one at a time."""

    path: Path
    stamps_ns: frozenset[int]
    source: str  # simulation, hand

    def read(self, stamp_ns: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The map (H, W) of a stamp in `stamps_ns`; `size` is the width and height of its image.

        Raises DatasetError where it is broken, of another size, or holds ids other than 0 to 13.
        """
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{stamp_ns}.npy") as member:
                shape = _shape(member)
                if shape != size[::-1]:
                    raise ValueError(f"shape {shape}, where {size[::-1]} is needed")
                member.seek(0)
                label = np.lib.format.read_array(member, allow_pickle=False)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise DatasetError(f"{self.path}: label of {stamp_ns} cannot be read ({str(error)[:120]})") from error
        return check_ids(label, f"{self.path} at {stamp_ns}")


def find_labels(recording: Path) -> LabelFile | None:
    """The labels beside a recording, or None. Raises DatasetError where the file is none of ours."""
    folder = recording if recording.is_dir() else recording.parent
    named = recording.parent / f"{recording.stem}_labels.npz"
    path = next((p for p in (named, folder / "labels.npz") if p.is_file()), None)
    if path is None:
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            stamps = frozenset(int(name) for name in names)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise DatasetError(f"{path}: no archive of label maps named by stamps in ns ({str(error)[:80]})") from error
    source = "simulation" if (path.parent / "truth.json").is_file() else "hand"
    return LabelFile(path, stamps, source)


def _shape(member: object) -> tuple[int, ...]:
    """The shape that an .npy file claims, before anything of that size is allocated."""
    version = np.lib.format.read_magic(member)  # type: ignore[arg-type]
    if version != (1, 0):
        raise ValueError(f"npy format {version}")
    return tuple(np.lib.format.read_array_header_1_0(member)[0])  # type: ignore[arg-type]
