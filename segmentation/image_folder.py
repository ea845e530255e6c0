"""Aligned pairs of a folder of images, as predict reads them: one normalisation of thermal for all of them."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.counts import known_range, measured_range
from heatnet.dataset_tools.importers.images import decode_counts, decode_rgb, read_bytes
from heatnet.dataset_tools.importers.pairs import IMAGES
from heatnet.errors import DatasetError, TrainingError
from heatnet.segmentation.classes import IGNORE
from heatnet.segmentation.frames import Frame, check_range, normalise_thermal

_log = logging.getLogger(__name__)
_LOOKED_AT = 32  # images that decide the range of a folder


@dataclass(frozen=True)
class Scale:
    """What thermal images of one folder have in common."""

    bits: np.dtype[Any]  # uint8 or uint16
    thermal_range: tuple[float, float]  # counts at the ends of the scale


@dataclass(frozen=True)
class ImageFolder:
    """Frames of a folder with rgb/NAME.* and thermal/NAME.*, of which a network needs `modalities`."""

    root: Path
    names: Sequence[str]
    paths: dict[str, dict[str, Path]]  # by modality and name
    modalities: tuple[str, ...]
    scale: Scale | None  # None without thermal

    @property
    def count(self) -> int:
        """How many frames there are."""
        return len(self.names)

    def read(self) -> Iterator[tuple[str, Frame]]:
        """Name and frame, one after the other. Raises DatasetError naming the file that does not fit."""
        for name in self.names:
            yield name, self._frame({kind: self.paths[kind][name] for kind in self.modalities})

    def _frame(self, paths: dict[str, Path]) -> Frame:
        rgb = decode_rgb(read_bytes(paths["rgb"]), paths["rgb"]) if "rgb" in paths else None
        counts = decode_counts(read_bytes(paths["thermal"]), paths["thermal"]) if "thermal" in paths else None
        size = rgb.shape[:2] if rgb is not None else counts.shape if counts is not None else (0, 0)
        if rgb is not None and counts is not None and counts.shape != size:
            raise DatasetError(
                f"{paths['thermal']}: {counts.shape[1]}x{counts.shape[0]} pixels; {size[1]}x{size[0]} as its RGB image "
                "has are needed (aligned to it)"
            )
        blank = Frame(
            rgb=np.zeros((*size, 3), np.uint8),
            thermal=np.zeros(size, np.float32),
            valid=np.zeros(size, bool),
            label=np.full(size, IGNORE, np.uint8),
            confidence=np.zeros(size, np.float32),
        )
        frame = blank if rgb is None else replace(blank, rgb=rgb)
        return frame if counts is None else self._with_thermal(frame, counts, paths["thermal"])

    def _with_thermal(self, frame: Frame, counts: NDArray[Any], path: Path) -> Frame:
        """16-bit counts of 0 are where no thermal was warped to."""
        assert self.scale is not None
        if counts.dtype != self.scale.bits:
            raise DatasetError(f"{path}: {counts.dtype} counts; {self.scale.bits} as the others here have are needed")
        valid = np.ones(counts.shape, bool) if counts.dtype == np.uint8 else counts > 0
        return replace(frame, thermal=normalise_thermal(counts, valid, self.scale.thermal_range), valid=valid)


def open_folder(
    source: Path,
    modalities: tuple[str, ...],
    given: tuple[float, float] | None,
    trained: Sequence[float] | None,
) -> ImageFolder:
    """The frames of the folder `source` that have an image of each of `modalities`; there may be none.

    Thermal is scaled by the range `given`, else by the one the network was `trained` with where that fits, else by
    what the images say. Raises TrainingError where there is no such folder or `given` is no range, DatasetError where
    an image cannot be read.
    """
    if given is not None:
        check_range(given)
    if source.is_file():
        raise TrainingError(f"{source}: a file, not a dataset or folder; a recording needs --calibration")
    if not source.is_dir():
        raise TrainingError(f"{source}: no such dataset or folder")
    paths = {
        kind: {path.stem: path for path in sorted((source / kind).glob("*")) if path.suffix.lower() in IMAGES}
        for kind in modalities
    }
    names = sorted(set.intersection(*(set(found) for found in paths.values())))
    scale = None
    if names and "thermal" in modalities:
        scale = _scale(source, [paths["thermal"][name] for name in names], given, trained)
    return ImageFolder(source, names, paths, modalities, scale)


def _scale(
    source: Path, paths: Sequence[Path], given: tuple[float, float] | None, trained: Sequence[float] | None
) -> Scale:
    """Of an even choice of the images; counts of 0 are no counts in 16 bits."""
    chosen = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, _LOOKED_AT).astype(int))]
    images = [decode_counts(read_bytes(path), path) for path in chosen]
    bits = images[0].dtype
    seen = [image if bits == np.uint8 else image[image > 0] for image in images]
    if given is not None or not any(map(np.size, seen)):
        return Scale(bits, given or (0.0, 1.0))
    if bits != np.uint8 and trained is not None and _fits(seen, trained):
        return Scale(bits, (float(trained[0]), float(trained[1])))
    known = known_range(seen)
    if known is None:
        known = measured_range([counts for counts in seen if counts.size])
        _log.warning(
            "%s: counts of an unknown camera, scaled from %g to %g as measured; --thermal-range says better",
            source, *known,
        )  # fmt: skip
    return Scale(bits, known)


def _fits(seen: Sequence[NDArray[Any]], trained: Sequence[float]) -> bool:
    """Whether most counts lie in the range."""
    counts = np.concatenate([image.ravel() for image in seen])
    return bool(np.mean((counts >= trained[0]) & (counts <= trained[1])) > 0.5)
