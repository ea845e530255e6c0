"""A dataset at a glance: what is in it, in figures and in a picture."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.classes import CLASS_NAMES, coloured
from heatnet.dataset_tools.inspect_figures import Observations, write_figures
from heatnet.dataset_tools.manifest import DOMAINS, SPLITS
from heatnet.dataset_tools.shards import Dataset, Sample, SampleRef
from heatnet.errors import HeatNetError
from heatnet.files import atomic_file
from heatnet.progress import track

Picture = NDArray[np.uint8]
TILE_WIDTH = 352  # pixels of one picture in the contact sheet
HEADER = 22
FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class GroupSummary:
    """The samples of one split and domain."""

    split: str
    domain: str
    samples: int
    labelled: int
    label_sources: tuple[str, ...]
    sequences: tuple[str, ...]
    sun_elevation_deg: tuple[float, float] | None  # lowest and highest, None where unknown
    thermal_lag_ms: tuple[float, float] | None  # median and largest difference of stamps, None without stamps
    thermal_counts: tuple[float, float, float]  # 1st, 50th and 99th percentile where valid
    valid: float  # share of the pixels
    classes: dict[str, float]  # share of the labelled pixels that are not "ignore"


@dataclass(frozen=True)
class DatasetSummary:
    """A whole dataset."""

    path: str
    size: tuple[int, int]  # width, height of the first shard's samples
    shards: int
    bytes: int
    groups: tuple[GroupSummary, ...]
    drops: dict[str, int]
    sources: tuple[str, ...]
    config: dict[str, Any] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


def inspect_dataset(root: Path, figures: Path | None = None) -> DatasetSummary:
    """Read every sample of the dataset `root` once and say what there is; draw it into the PNG `figures`.

    Raises DatasetError where the dataset cannot be read, HeatNetError where the picture cannot be written.
    """
    dataset = Dataset.open(root)
    records = dataset.manifest.shards
    found = {
        (split, domain): _group(dataset, split, domain, refs)
        for split in SPLITS
        for domain in DOMAINS
        if (refs := dataset.refs(split, domain))
    }
    if figures is not None:
        write_figures([observed for _, observed in found.values()], figures)
    return DatasetSummary(
        str(root),
        (records[0].width, records[0].height) if records else (0, 0),
        len(records),
        sum(record.bytes for record in records),
        tuple(group for group, _ in found.values()),
        dict(dataset.manifest.drops),
        tuple(str(entry.get("name")) for entry in dataset.manifest.provenance),
        dict(dataset.manifest.config),
    )


def _group(dataset: Dataset, split: str, domain: str, refs: list[SampleRef]) -> tuple[GroupSummary, Observations]:
    counts = np.zeros(1 << 16, np.int64)
    elevations, stamps, lags, valid = [], [], [], []
    for ref in track(refs, f"{split} {domain}"):
        sample = dataset.read(ref)
        valid.append(float(sample.valid.mean()))
        counts += np.bincount(sample.thermal[sample.valid > 0], minlength=len(counts))
        elevations.append(sample.sun_elevation_deg)
        stamps.append(sample.rgb_stamp_ns)
        if sample.rgb_stamp_ns > 0 and sample.thermal_stamp_ns != sample.rgb_stamp_ns:
            lags.append((sample.thermal_stamp_ns - sample.rgb_stamp_ns) / 1e6)
    classes = dataset.class_pixels(refs).sum(axis=0)
    sources = sorted({ref.label_source for ref in refs if ref.label_source is not None})
    known = [e for e in elevations if np.isfinite(e)]
    summary = GroupSummary(
        split,
        domain,
        len(refs),
        sum(ref.label_source is not None for ref in refs),
        tuple(sources),
        tuple(sorted({ref.sequence for ref in refs})),
        (min(known), max(known)) if known else None,
        (float(np.median(lags)), float(max(lags, key=abs))) if lags else None,
        _percentiles(counts),
        float(np.mean(valid)),
        _shares(classes),
    )
    return summary, Observations(split, domain, np.array(stamps, np.int64), np.array(elevations), counts, classes)


def _percentiles(histogram: NDArray[np.int64]) -> tuple[float, float, float]:
    total = np.cumsum(histogram)
    one, half, most = (float(np.searchsorted(total, total[-1] * part)) for part in (0.01, 0.5, 0.99))
    return one, half, most


def _shares(classes: NDArray[np.int64]) -> dict[str, float]:
    scored = classes[:-1]
    return {name: float(n / scored.sum()) for name, n in zip(CLASS_NAMES[:-1], scored, strict=True) if n}


def contact_sheet(dataset: Dataset, path: Path, rows: int = 8) -> None:
    """Write a PNG with about `rows` samples, spread over splits and domains: RGB, thermal, overlay, valid, label.

    Raises HeatNetError where it cannot be written.
    """
    chosen = _spread(dataset, rows)
    tiles = [_row(dataset.read(ref), ref) for ref in chosen]
    width = max((tile.shape[1] for tile in tiles), default=5 * TILE_WIDTH)
    sheet = np.vstack([_padded(tile, width) for tile in tiles]) if tiles else np.zeros((HEADER, width, 3), np.uint8)
    with atomic_file(path) as temporary:
        done, content = cv2.imencode(".png", sheet[..., ::-1])
        if not done:
            raise HeatNetError(f"{path}: the picture cannot be encoded")
        temporary.write_bytes(content.tobytes())


def _spread(dataset: Dataset, rows: int) -> list[SampleRef]:
    """At most `rows` samples, as evenly as can be from every split and domain, and spread within each."""
    groups = [refs for split in SPLITS for domain in DOMAINS if (refs := dataset.refs(split, domain))]
    share = Counter(i % len(groups) for i in range(rows)) if groups else Counter()
    chosen: list[SampleRef] = []
    for i, refs in enumerate(groups):
        places = np.unique(np.linspace(0, len(refs) - 1, share[i] + 2).astype(int)[1:-1] if share[i] else [])
        chosen += [refs[int(place)] for place in places]
    return chosen


def _row(sample: Sample, ref: SampleRef) -> Picture:
    shown = np.percentile(sample.thermal[sample.valid > 0], [0.5, 99.5]) if sample.valid.any() else (0.0, 1.0)
    grey = thermal_grey(sample.thermal, (float(shown[0]), max(float(shown[1]), float(shown[0]) + 1)))
    thermal = np.repeat(grey[..., None], 3, axis=2)
    overlay = thermal_overlay(sample.rgb, grey, sample.valid)
    valid = np.repeat((sample.valid * 255)[..., None], 3, axis=2)
    label = np.full_like(sample.rgb, 30) if sample.label is None else coloured(sample.label)
    sun = "sun unknown" if np.isnan(sample.sun_elevation_deg) else f"sun {sample.sun_elevation_deg:.1f} deg"
    lag = f"{(sample.thermal_stamp_ns - sample.rgb_stamp_ns) / 1e6:+.1f} ms, " if sample.rgb_stamp_ns > 0 else ""
    titles = (
        f"{ref.split} {ref.domain}  {ref.sequence}",
        f"thermal {lag}{shown[0]:.0f} to {shown[1]:.0f} counts",
        f"thermal edges on RGB  {sun}",
        f"valid {sample.valid.mean():.1%}",
        f"labels: {ref.label_source or 'none'}",
    )
    return np.hstack(
        [_tile(image, title) for image, title in zip((sample.rgb, thermal, overlay, valid, label), titles, strict=True)]
    )


def thermal_grey(thermal: NDArray[np.uint16], thermal_range: Sequence[float]) -> Picture:
    """Counts (H, W) as grey values (H, W): the range's lower end black, its upper end white."""
    low, high = thermal_range
    return np.clip((thermal.astype(np.float32) - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def thermal_overlay(rgb: Picture, grey: Picture, valid: NDArray[np.uint8]) -> Picture:
    """RGB (H, W, 3) at half contrast with the edges of the thermal image in red, and what is not valid darkened."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.5)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    high = float(np.percentile(slope, 92))
    edges = cv2.Canny(smooth, high / 2, high) > 0
    inner = cv2.erode(valid, np.ones((5, 5), np.uint8)) > 0
    picture = rgb // 2 + 64
    picture[valid == 0] //= 2
    picture[edges & inner] = (255, 30, 30)
    return picture


def _tile(image: NDArray[Any], title: str) -> Picture:
    height = round(image.shape[0] * TILE_WIDTH / image.shape[1])
    shrunk = cv2.resize(image.astype(np.uint8), (TILE_WIDTH, height), interpolation=cv2.INTER_AREA)
    header = np.full((HEADER, TILE_WIDTH, 3), 245, np.uint8)
    cv2.putText(header, title, (6, 15), FONT, 0.4, (20, 20, 20), 1, cv2.LINE_AA)
    tile = np.vstack([header, shrunk])
    tile[:, -2:] = 245
    return np.asarray(tile, np.uint8)


def _padded(tile: Picture, width: int) -> Picture:
    return np.pad(tile, ((0, 0), (0, width - tile.shape[1]), (0, 0)), constant_values=245)
