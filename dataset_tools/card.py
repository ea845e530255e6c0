"""The card of a dataset: what it is, for people, in Markdown beside the manifest."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from heatnet.dataset_tools.manifest import FORMAT_VERSION, MANIFEST, SHARDS, Manifest
from heatnet.files import atomic_file

CARD = "README.md"
_READING = """```python
from pathlib import Path
from heatnet.dataset_tools.shards import Dataset

dataset = Dataset.open(Path("."))
for ref in dataset.refs(split="train", domain="day", labelled=True):
    sample = dataset.read(ref)  # rgb, thermal (raw counts), valid, label, stamps, sun elevation
```
Any HDF5 library reads the files in `shards/` without a plugin. `thermal_range` of a shard says which counts to scale
to the ends of the scale; `valid` is 0 where the thermal camera does not see the pixel; label 13 is to be ignored."""


def write_card(root: Path, manifest: Manifest) -> None:
    """Write DATASET/README.md from the manifest alone: the same manifest, the same bytes."""
    with atomic_file(root / CARD) as temporary:
        temporary.write_text("\n\n".join(_paragraphs(manifest)) + "\n")


def _paragraphs(manifest: Manifest) -> Iterable[str]:
    samples = sum(record.samples for record in manifest.shards)
    size = sum(record.bytes for record in manifest.shards)
    yield "# RGB-thermal dataset"
    yield (
        f"{samples} aligned pairs in {len(manifest.shards)} shards, {size / 1e6:.1f} MB; made by `heatnet "
        f"{manifest.config.get('command', '')}`, format version {FORMAT_VERSION}. `heatnet validate` checks it, "
        f"`heatnet inspect` shows it; the whole truth is in `{MANIFEST}`."
    )
    yield _table(("split", "domain", "labels by", "samples", "size", "thermal range"), _groups(manifest))
    yield "## From"
    rows = [_source(entry) for entry in manifest.provenance]
    yield _table(("source", "hash", "calibration", "shards"), rows)
    rhythms = list(_rhythms(manifest))
    if rhythms:
        yield "## How the frames came"
        yield _table(("source", "sensor", "frames", "rate", "bursts", "longest gap", "clock set"), rhythms)
    if manifest.drops:
        yield "## Left out"
        yield _table(("frames", "why"), [(count, reason) for reason, count in manifest.drops.items()])
    yield "## How it was made"
    yield "\n".join(f"- {key}: `{json.dumps(value)}`" for key, value in manifest.config.items())
    yield f"## Reading it\n\n{_READING}".replace("`shards/`", f"`{SHARDS}/`")


def _groups(manifest: Manifest) -> list[tuple[Any, ...]]:
    counts: Counter[tuple[Any, ...]] = Counter()
    for r in manifest.shards:
        low, high = r.thermal_range
        key = (
            r.split,
            r.domain,
            r.label_source or "none",
            f"{r.width}x{r.height}",
            f"{low:g} to {high:g} {r.thermal_unit}",
        )
        counts[key] += r.samples
    return [(*key[:3], count, *key[3:]) for key, count in sorted(counts.items())]


def _source(entry: dict[str, Any]) -> tuple[Any, ...]:
    digest = str(entry.get("hash", ""))[:12]
    return entry.get("name"), f"`{digest}`", entry.get("calibration", "none"), len(entry.get("shards", []))


def _rhythms(manifest: Manifest) -> Iterable[tuple[Any, ...]]:
    for entry in manifest.provenance:
        for role, r in entry.get("rhythms", {}).items():
            rate = f"{1 / r['interval_s']:.3g} Hz" if r["interval_s"] else ""
            pause = f", {r['pause_s']:.3g} s between" if r["pause_s"] else ""
            bursts = f"{r['bursts']} of {r['burst_frames']:.3g}{pause}" if r["bursts"] > 1 else "none"
            gap = f"{r['longest_gap_s']:.3g} s" if r["longest_gap_s"] else ""
            set_times = f"{r['clock_set_back']} back, {r['clock_set_ahead']} ahead"
            yield entry.get("name"), role, r["frames"], rate, bursts, gap, set_times


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "/") for cell in line) + " |" for line in lines)
