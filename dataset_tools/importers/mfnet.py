"""MFNet (Ha et al. 2017): ROOT/images/NAME.png with four channels, ROOT/labels/NAME.png, and lists of names.

train.txt, val.txt and test.txt hold a name a line; a name ends in D by day and N by night. Files carry no time, so
neighbouring frames in different lists cannot be told apart from others.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from heatnet.dataset_tools.importers.config import ImportConfig
from heatnet.dataset_tools.importers.images import decode_rgbt, read_bytes
from heatnet.dataset_tools.importers.imported import Decoded, Pair, import_pairs
from heatnet.dataset_tools.manifest import SPLITS
from heatnet.errors import DatasetError

DOMAINS = {"D": "day", "N": "night"}
# unlabelled, car, person, bike, curve, car stop, guardrail, colour cone, bump
_OURS = np.array([12, 10, 9, 11, 3, 12, 4, 12, 12], np.uint8)


def import_mfnet(root: Path, output: Path, config: ImportConfig) -> dict[str, Any]:
    """Import ROOT into the dataset `output`; labels become ours. See `import_pairs` for errors."""
    drops: Counter[str] = Counter()
    pairs = [pair for split in SPLITS for pair in _pairs(root, split, drops)]
    if not pairs:
        raise DatasetError(
            f"{root}: no image of a list found; images/, labels/ and train.txt, val.txt, test.txt needed"
        )
    return import_pairs(("mfnet", root), output, config, pairs, dict(+drops), _decode)


def _pairs(root: Path, split: str, drops: Counter[str]) -> list[Pair]:
    path = root / f"{split}.txt"
    names = read_bytes(path).decode(errors="replace").split() if path.is_file() else []
    pairs = []
    for name in dict.fromkeys(names):
        image, label = root / "images" / f"{name}.png", root / "labels" / f"{name}.png"
        if "/" in name or not image.is_file():
            drops["named in a list, but not there"] += 1
            continue
        domain = DOMAINS.get(name[-1])
        if domain is None:
            raise DatasetError(f"{path}: name {name[:40]!r} ends neither in D (day) nor in N (night)")
        known = label if label.is_file() else None
        pairs.append(Pair(name, image, image, known, split, domain, f"mfnet-{domain}"))
    return pairs


def _decode(pair: Pair, files: Mapping[Path, bytes]) -> Decoded:
    rgb, thermal = decode_rgbt(files[pair.rgb], pair.rgb)
    if pair.label is None:
        return Decoded(rgb, thermal, None)
    label = cv2.imdecode(np.frombuffer(files[pair.label], np.uint8), cv2.IMREAD_UNCHANGED)
    if label is None or label.ndim != 2 or label.max() >= len(_OURS):
        raise DatasetError(f"{pair.label}: not a label image of one channel with ids 0 to {len(_OURS) - 1}")
    return Decoded(rgb, thermal, _OURS[label])
