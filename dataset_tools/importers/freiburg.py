"""Freiburg Thermal (Vertens et al. 2020), as published.

Training: .../drive_{day,night}_*/{fl_rgb,fl_ir_aligned,fl_rgb_labels}/PREFIX_SEC_NSEC.png; test: .../{day,night}/
{ImagesRGB/NAME_rgb.png, ImagesIR/NAME_ir.png, SegmentationClass/NAME*.npy}. Training frames near a test frame are left
out; the last tenth of every drive is for validation. Labels of night frames, which a day teacher made, are not taken.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from heatnet.dataset_tools.importers.config import ImportConfig
from heatnet.dataset_tools.importers.images import decode_counts, decode_label, decode_npy_label, decode_rgb
from heatnet.dataset_tools.importers.imported import UNKNOWN_STAMP, Decoded, Pair, import_pairs
from heatnet.dataset_tools.manifest import DOMAINS
from heatnet.dataset_tools.splits import MARGIN, SplitConfig, assign_splits
from heatnet.errors import DatasetError

SECOND = 10**9
TEST_MARGIN_NS = 2 * SECOND  # training frames nearer to a test frame are left out
SIZE = (960, 320)  # width, height that the authors scale to
RANGE = (21800.0, 25000.0)  # counts that the authors scale from
TEACHER = "teacher:published"  # who made the labels of the training frames
_STAMP = re.compile(r"(\d{9,10})_(\d{1,9})(?=\D|$)")
_DRIVE = re.compile(r"drive_(day|night)")


def import_freiburg(root: Path, output: Path, config: ImportConfig) -> dict[str, Any]:
    """Import ROOT, training and test, into the dataset `output`. See `import_pairs` for errors."""
    drops: Counter[str] = Counter()
    folders = sorted(path for path in root.rglob("*") if path.is_dir())
    test = [pair for folder in folders if folder.name in DOMAINS for pair in _test_pairs(folder, drops)]
    tested = np.sort(np.array([pair.stamp_ns for pair in test if pair.stamp_ns != UNKNOWN_STAMP], np.int64))
    drives = [folder for folder in folders if _DRIVE.match(folder.name)]
    train = [pair for drive in drives for pair in _split(_drive_pairs(drive, config, drops), tested, drops)]
    if not train + test:
        raise DatasetError(
            f"{root}: no frame found; drive_day_*/fl_rgb and fl_ir_aligned, or day/ImagesRGB and ImagesIR are needed"
        )
    config = replace(config, size=config.size or SIZE, thermal_range=config.thermal_range or RANGE)
    return import_pairs(("freiburg", root), output, config, train + test, dict(+drops), _decode)


def _stamp(path: Path) -> int:
    found = _STAMP.search(path.stem)
    return int(found[1]) * SECOND + int(found[2]) if found else UNKNOWN_STAMP


def _drive_pairs(drive: Path, config: ImportConfig, drops: Counter[str]) -> list[Pair]:
    """The frames of a drive in order of time; of those nearer than `least_gap_s` the first."""
    rgb, thermal, labels = (
        {_stamp(path): path for path in sorted((drive / kind).glob("*.png"))}
        for kind in ("fl_rgb", "fl_ir_aligned", "fl_rgb_labels")
    )
    drops["no aligned thermal image of this stamp"] += len(rgb.keys() - thermal.keys())
    drops["no RGB image of this stamp"] += len(thermal.keys() - rgb.keys())
    drops["no stamp in the name"] += UNKNOWN_STAMP in rgb
    domain = "night" if drive.name.startswith("drive_night") else "day"
    pairs: list[Pair] = []
    for stamp in sorted((rgb.keys() & thermal.keys()) - {UNKNOWN_STAMP}):
        if pairs and stamp - pairs[-1].stamp_ns < config.least_gap_s * SECOND:
            drops["nearer to the frame before than asked for"] += 1
            continue
        label = labels.get(stamp) if domain == "day" else None
        name = f"{drive.name}/{rgb[stamp].stem}"
        pairs.append(Pair(name, rgb[stamp], thermal[stamp], label, "train", domain, drive.name, stamp, TEACHER))
    return pairs


def _split(pairs: list[Pair], tested: Any, drops: Counter[str]) -> Iterator[Pair]:
    """Training and validation, without frames near a test frame or near the cut between them."""
    if not pairs:
        return
    stamps = np.array([pair.stamp_ns for pair in pairs], np.int64)
    splits = assign_splits(stamps, (int(stamps[0]), int(stamps[-1])), SplitConfig((0.9, 0.1, 0.0)))
    for pair, split in zip(pairs, splits, strict=True):
        near = np.searchsorted(tested, [pair.stamp_ns - TEST_MARGIN_NS, pair.stamp_ns + TEST_MARGIN_NS])
        if near[0] < near[1]:
            drops["near a test frame"] += 1
        elif split == MARGIN:
            drops["margin between two splits"] += 1
        else:
            yield replace(pair, split=str(split))


def _test_pairs(folder: Path, drops: Counter[str]) -> Iterator[Pair]:
    labels = {path.stem: path for path in sorted((folder / "SegmentationClass").glob("*.npy"))}
    for rgb in sorted((folder / "ImagesRGB").glob("*_rgb.png")):
        name = rgb.stem.removesuffix("_rgb")
        thermal = folder / "ImagesIR" / f"{name}_ir.png"
        if not thermal.is_file():
            drops["test: no thermal image of this name"] += 1
            continue
        label = labels.get(name) or labels.get(rgb.stem)
        sequence = f"{folder.parent.name}-{folder.name}"
        yield Pair(f"{sequence}/{name}", rgb, thermal, label, "test", folder.name, sequence, _stamp(rgb))


def _decode(pair: Pair, files: Mapping[Path, bytes]) -> Decoded:
    """Thermal was warped into RGB by the authors: where it is 0, it does not cover the pixel."""
    thermal = decode_counts(files[pair.thermal], pair.thermal)
    label = None
    if pair.label is not None:
        decode = decode_npy_label if pair.label.suffix == ".npy" else decode_label
        label = decode(files[pair.label], pair.label)
    return Decoded(decode_rgb(files[pair.rgb], pair.rgb), thermal, label, (thermal > 0).astype(np.uint8))
