"""Figures of a dataset: how many pairs by day and by night, gaps, the sun, classes, thermal counts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.classes import CLASS_NAMES, coloured
from heatnet.dataset_tools.manifest import DOMAINS, SPLITS
from heatnet.files import atomic_file

COLOURS = {"day": "#d98a00", "night": "#27408b"}
BINS = 64


@dataclass(frozen=True)
class Observations:
    """What was seen of the samples of one split and domain."""

    split: str
    domain: str
    stamps_ns: NDArray[np.int64]  # (N,) 0 or less where unknown
    elevations_deg: NDArray[np.float64]  # (N,) NaN where unknown
    counts: NDArray[np.int64]  # (65536,) pixels by thermal count, where valid
    classes: NDArray[np.int64]  # (14,) pixels by label


def write_figures(observed: list[Observations], path: Path) -> None:
    """Write a PNG with one panel a question. Raises HeatNetError where it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 8), layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    for draw, panel in zip((_pairs, _gaps, _sun, _classes, _thermal), panels, strict=False):
        draw(panel, observed)
    panels[-1].axis("off")
    _legend(panels[-1])
    with atomic_file(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)


def _of(observed: list[Observations], domain: str, name: str) -> list[Any]:
    return [getattr(o, name) for o in observed if o.domain == domain]


def _legend(panel: Any) -> None:
    handles = [panel.bar(0, 0, color=colour, label=domain) for domain, colour in COLOURS.items()]
    panel.legend(handles=handles, loc="center", fontsize=12, title="domain")


def _pairs(panel: Any, observed: list[Observations]) -> None:
    for i, domain in enumerate(DOMAINS):
        counts = [sum(len(o.stamps_ns) for o in observed if (o.split, o.domain) == (s, domain)) for s in SPLITS]
        bars = panel.bar(np.arange(len(SPLITS)) + 0.4 * i - 0.2, counts, 0.4, color=COLOURS[domain])
        panel.bar_label(bars, labels=[str(n) if n else "" for n in counts])
    panel.set_xticks(range(len(SPLITS)), SPLITS)
    panel.set_title("pairs")


def _gaps(panel: Any, observed: list[Observations]) -> None:
    """Time from one pair to the next."""
    for domain in DOMAINS:
        stamps = np.sort(np.concatenate([*_of(observed, domain, "stamps_ns"), np.zeros(0, np.int64)]))
        steps = np.diff(stamps[stamps > 0]) / 1e9
        if len(steps[steps > 0]):
            edges = np.logspace(np.log10(max(steps[steps > 0].min(), 1e-3)) - 0.1, np.log10(steps.max()) + 0.1, 40)
            panel.hist(steps[steps > 0], edges, color=COLOURS[domain], alpha=0.6)
            panel.set_xscale("log")
    panel.set_xlabel("seconds to the next pair")
    panel.set_ylabel("pairs")
    panel.set_title("gaps")


def _sun(panel: Any, observed: list[Observations]) -> None:
    """Elevations, with the horizon and the end of civil twilight."""
    for domain in DOMAINS:
        elevations = np.concatenate([*_of(observed, domain, "elevations_deg"), np.zeros(0)])
        known = elevations[np.isfinite(elevations)]
        if len(known):
            panel.hist(known, np.arange(-90, 91, 3), color=COLOURS[domain], alpha=0.8)
    for limit in (0, -6):
        panel.axvline(limit, color="black", linewidth=0.8, linestyle=":")
    panel.set_xlim(-90, 90)
    panel.set_xlabel("degrees above the horizon; dotted: 0 and -6")
    panel.set_ylabel("pairs")
    panel.set_title("elevation of the sun")


def _classes(panel: Any, observed: list[Observations]) -> None:
    total = np.sum([o.classes for o in observed], axis=0) if observed else np.zeros(14)
    shares = 100 * total[:-1] / max(1, total[:-1].sum())
    colours = coloured(np.arange(len(shares))[None])[0] / 255
    bars = panel.barh(CLASS_NAMES[:-1], np.maximum(shares, 1e-3), color=colours)
    panel.bar_label(bars, labels=[f"{share:.2f}" if share else "none" for share in shares], fontsize=8)
    panel.set_xscale("log")
    panel.set_xlim(1e-3, 400)
    panel.invert_yaxis()
    panel.set_xlabel("% of the labelled pixels")
    panel.set_title("classes")


def _thermal(panel: Any, observed: list[Observations]) -> None:
    """Counts between the outermost thousandths of all."""
    histograms = {d: np.sum(found, axis=0) for d in DOMAINS if (found := _of(observed, d, "counts"))}
    total = np.cumsum(np.sum(list(histograms.values()), axis=0)) if histograms else np.zeros(1)
    if total[-1]:
        low, high = (int(np.searchsorted(total, total[-1] * part)) for part in (0.001, 0.999))
        edges = np.unique(np.linspace(low, high + 1, BINS + 1).astype(int))
        for domain, counts in histograms.items():
            heights = np.add.reduceat(counts[: edges[-1]], edges[:-1]) / max(1, counts.sum()) / np.diff(edges)
            panel.stairs(heights, edges, color=COLOURS[domain], fill=True, alpha=0.6)
    panel.set_yticks([])
    panel.set_xlabel("counts, where valid")
    panel.set_title("thermal")
