"""The plain layout: ROOT/{train,val,test}/{day,night}/{rgb,thermal,labels}/NAME.*, files of one name belong together.

Labels are optional, file by file.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from heatnet.dataset_tools.importers.config import ImportConfig
from heatnet.dataset_tools.importers.imported import Pair, import_pairs
from heatnet.dataset_tools.manifest import DOMAINS, SPLITS
from heatnet.errors import DatasetError

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm"})


def import_pairs_layout(root: Path, output: Path, config: ImportConfig) -> dict[str, Any]:
    """Import ROOT into the dataset `output`; see the module for the layout and `import_pairs` for errors."""
    pairs: list[Pair] = []
    drops: Counter[str] = Counter()
    for split in SPLITS:
        for domain in DOMAINS:
            folder = root / split / domain
            if folder.is_dir():
                pairs += _pairs(folder, split, domain, f"{root.name}-{domain}", drops)
    if not pairs:
        raise DatasetError(
            f"{root}: no pair found; {{train,val,test}}/{{day,night}}/{{rgb,thermal}} with files of the same names are "
            f"needed (left out: {dict(+drops) or 'nothing'})"
        )
    return import_pairs(("pairs", root), output, config, pairs, dict(+drops))


def _pairs(folder: Path, split: str, domain: str, sequence: str, drops: Counter[str]) -> list[Pair]:
    rgb, thermal, labels = (_by_stem(folder / kind) for kind in ("rgb", "thermal", "labels"))
    drops["no thermal image of this name"] += len(rgb.keys() - thermal.keys())
    drops["no RGB image of this name"] += len(thermal.keys() - rgb.keys())
    drops["label without a pair"] += len(labels.keys() - (rgb.keys() & thermal.keys()))
    names = sorted(rgb.keys() & thermal.keys())
    return [Pair(name, rgb[name], thermal[name], labels.get(name), split, domain, sequence) for name in names]


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix.lower() in IMAGES and not path.name.startswith("."):
            if path.stem in files:
                raise DatasetError(f"{path}: same name as {files[path.stem].name}; which one is meant is not clear")
            files[path.stem] = path
    return files
