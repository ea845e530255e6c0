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
from heatnet.segmentation.features import Projection
from heatnet.segmentation.metrics import Confusion
from heatnet.segmentation.tally import Reliability, calibration_error

INK, GRID, ACCENT = "#22313f", "#d8dee4", "#c2410c"
_COLUMNS = 5
_DOMAIN_COLOURS = {"day": "#d97706", "night": "#1d4ed8", "combined": INK}
_TITLES = {
    "day": "day labels: cross entropy",
    "night": "labels by night: cross entropy",
    "masked": "nights hidden in part: cross entropy",
    "certainty": "certainty branch: squared error",
    "confusion": "confusion of the critics",
    "critic": "critics",
    "accuracy": "pixels right in training",
    "gradient_norm": "gradient norm",
    "learning_rate": "learning rate",
}


def loss_curves(lines: Sequence[Mapping[str, Any]]) -> str:
    """Curves of every loss term of one stage, and of its validation, as inline SVG; `lines` of metrics.jsonl."""
    losses = [line for line in lines if line["kind"] == "loss"]
    checks = [line for line in lines if line["kind"] == "validation"]
    terms = [name for name in _TITLES if any(name in line for line in losses)]
    rows = -(-(len(terms) + 1) // _COLUMNS)
    figure = Figure(figsize=(3.1 * _COLUMNS, 2.3 * rows), layout="constrained")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for ax, name in zip(axes, terms, strict=False):
        points = [(line["step"] + 1, line[name]) for line in losses if name in line]
        _curve(ax, _TITLES[name], points)
    _validation(axes[len(terms)], checks)
    for ax in axes[len(terms) + 1 :]:
        ax.remove()
    return _svg(figure)


def _curve(ax: Axes, title: str, points: Sequence[tuple[float, float]]) -> None:
    steps, values = np.array(points, float).T
    ax.plot(steps, values, color=GRID, linewidth=1)
    ax.plot(steps, _smooth(values), color=ACCENT, linewidth=1.6)
    ax.set_ylim(0, max(1.15 * float(np.nanpercentile(values, 98)), 1e-9))
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


def _finish(ax: Axes, title: str, below: str = "step") -> None:
    ax.set_title(title, fontsize=8.5, color=INK, loc="left")
    ax.set_xlabel(below, fontsize=7.5, color=INK)
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


def reliability_diagrams(counts: Mapping[str, Reliability]) -> str:
    """Share of right answers by the confidence of the answer, one diagram a domain side by side, as inline SVG."""
    figure = Figure(figsize=(3.6 * len(counts), 3.3), layout="constrained")
    for ax, (domain, table) in zip(figure.subplots(1, len(counts), squeeze=False)[0], counts.items(), strict=True):
        pixels, confidence, right = table[table[:, 0] > 0].T
        ax.plot([0, 1], [0, 1], color=GRID, linewidth=1)
        ax.bar(confidence / pixels, pixels / pixels.sum(), width=0.05, color=GRID)
        ax.plot(confidence / pixels, right / pixels, "o-", color=_DOMAIN_COLOURS[domain], markersize=4)
        ax.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
        _finish(ax, f"by {domain}: calibration error {100 * calibration_error(table):.1f} %", "confidence")
        ax.set_ylabel("right answers (bars: share of pixels)", fontsize=7.5, color=INK)
    return _svg(figure)


def projections(planes: Mapping[str, Projection]) -> str:
    """Where features of day and night lie, one plane for each title side by side, as inline SVG."""
    figure = Figure(figsize=(4.6 * len(planes), 3.8), layout="constrained")
    for ax, (title, plane) in zip(figure.subplots(1, len(planes), squeeze=False)[0], planes.items(), strict=True):
        for domain, points in (("day", plane.day), ("night", plane.night)):
            ax.scatter(*points.T, s=7, color=_DOMAIN_COLOURS[domain], alpha=0.6, linewidths=0, label=domain)
        ax.legend(fontsize=7, frameon=False)
        told = f"{title}: domain told right in {100 * plane.told_apart:.0f} %"
        _finish(ax, told, f"first two components ({100 * plane.explained:.0f} % of the variance)")
        ax.set_xticklabels([])
        ax.set_yticklabels([])
    return _svg(figure)


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
