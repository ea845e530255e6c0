"""What a run was trained on, so that its scores can be held against the data they came from."""

import hashlib
from typing import Any

from heatnet.dataset_tools.shards import Dataset


def describe_dataset(data: Dataset) -> dict[str, Any]:
    """Name and SHA-256 of a dataset, the (H, W) of its frames and the counts its thermal is scaled by: plain values."""
    first = data.manifest.shards[0]
    return {
        "name": data.root.resolve().name,
        "sha256": fingerprint(data),
        "size": [first.height, first.width],
        "thermal_range": [float(end) for end in first.thermal_range],
    }


def fingerprint(data: Dataset) -> str:
    """SHA-256 of what training sees: hashes of the shards that do not test, split, domain, labels, thermal range."""
    lines = sorted(
        f"{r.sha256} {r.split} {r.domain} {r.label_source} {tuple(map(float, r.thermal_range))}\n"
        for r in data.manifest.shards
        if r.split != "test"
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
