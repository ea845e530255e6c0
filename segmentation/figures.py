"""Drawings of the report: loss curves, confusion matrices, and pictures, as text that stands in an HTML page."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from heatnet.segmentation.classes import CLASSES
from heatnet.segmentation.metrics import Confusion

INK, GRID, ACCENT = "#22313f", "#d8dee4", "#c2410c"
_DOMAIN_COLOURS = {"day": "#d97706", "night": "#1d4ed8", "combined": INK}
_TITLES = {
    "day": "day labels: cross entropy",
    "night": "night teacher's labels: cross entropy",
    "confusion": "confusion of the critics",
    "critic": "critics",
    "accuracy": "pixels right in training",
    "gradient_norm": "gradient norm",
}


def loss_curves(lines: Sequence[Mapping[str, Any]]) -> str:
    """Curves of every loss term of one stage, and of its validation, as inline SVG; `lines` of metrics.jsonl."""
    losses = [line for line in lines if line["kind"] == "loss"]
    checks = [line for line in lines if line["kind"] == "validation"]
    terms = [name for name in _TITLES if any(name in line for line in losses)]
    figure = Figure(figsize=(3.1 * (len(terms) + 1), 2.3), layout="constrained")
    axes = figure.subplots(1, len(terms) + 1, squeeze=False)[0]
    for ax, name in zip(axes, terms, strict=False):
        points = [(line["step"] + 1, line[name]) for line in losses if name in line]
        _curve(ax, _TITLES[name], points)
    _validation(axes[-1], checks)
    return _svg(figure)


def _curve(ax: Axes, title: str, points: Sequence[tuple[float, float]]) -> None:
    steps, values = np.array(points, float).T
    ax.plot(steps, values, color=GRID, linewidth=1)
    ax.plot(steps, _smooth(values), color=ACCENT, linewidth=1.6)
    ax.set_ylim(0, max(1.15 * float(np.nanpercentile(values, 98)), 1e-3))
    _finish(ax, title)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over about a tenth of the curve."""
    reach = max(1, len(values) // 20)
    return np.array([values[max(0, i - reach) : i + reach + 1].mean() for i in range(len(values))])


def _validation(ax: Axes, checks: Sequence[Mapping[str, Any]]) -> None:
    for name, colour in _DOMAIN_COLOURS.items():
        points = [(line["step"] + 1, line[name]) for line in checks if line.get(name) is not None]
        if points:
            ax.plot(*zip(*points, strict=True), "o-", color=colour, markersize=4, label=name)
    if checks and ax.lines:
        ax.legend(fontsize=7, frameon=False, loc="upper left")
        ax.set_ylim(0, 1)
    _finish(ax, "validation: mean IoU" if checks else "no validation split")


def _finish(ax: Axes, title: str) -> None:
    ax.set_title(title, fontsize=8.5, color=INK, loc="left")
    ax.set_xlabel("step", fontsize=7.5, color=INK)
    ax.tick_params(labelsize=7, colors=INK)
    ax.grid(color=GRID, linewidth=0.5)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def confusion_matrices(counts: Mapping[str, Confusion]) -> str:
    """Share of each true class by predicted class, one matrix a domain side by side, as inline SVG."""
    figure = Figure(figsize=(6.2 * len(counts), 5.4), layout="constrained")
    for ax, (domain, table) in zip(figure.subplots(1, len(counts), squeeze=False)[0], counts.items(), strict=True):
        true = [index for index in range(len(CLASSES)) if table[index].any()]
        called = [index for index in range(len(CLASSES)) if table[index].any() or table[:, index].any()]
        shown = table[np.ix_(true, called)].astype(float)
        share = shown / np.maximum(shown.sum(axis=1, keepdims=True), 1)
        _matrix(ax, share, [CLASSES[index] for index in true], [CLASSES[index] for index in called])
        title = f"by {domain}: % of the true class (row) that was called …"
        ax.set_title(title, fontsize=9, color=INK, loc="left")
    return _svg(figure)


def _matrix(ax: Axes, share: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str]) -> None:
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(share):
        if value >= 0.005:
            colour = "white" if value > 0.55 else INK
            ax.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=7, color=colour)
    ax.set_xticks(range(len(columns)), columns, rotation=45, ha="right", fontsize=8)
    ax.set_yticks(range(len(rows)), rows, fontsize=8)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def picture(image: NDArray[np.uint8]) -> str:
    """An RGB picture (H, W, 3) as a data address for an HTML page."""
    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


def photograph(image: NDArray[np.uint8]) -> str:
    """As `picture`, but as a JPEG."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
