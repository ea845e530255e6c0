"""Small drawings as SVG text: maps of values with a colour bar, and curves with their spread."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
INK, GRID, BAR, LINE, EMPTY = "#22313f", "#e3e8ee", "#cfd8e3", "#c2410c", "#eef1f4"
VIRIDIS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
HEAT = ("#fcfdbf", "#fe9f6d", "#de4968", "#8c2981", "#3b0f70")
TEXT = f'font-family="system-ui, sans-serif" fill="{INK}"'


@dataclass(frozen=True)
class Scale:
    """Which values a map's colours stand for."""

    low: float
    high: float
    unit: str
    colours: tuple[str, ...]
    digits: int = 0

    def colour(self, value: float) -> str:
        """The colour of a value."""
        share = (value - self.low) / max(self.high - self.low, 1e-12)
        return _shades(self.colours)[round(255 * min(max(share, 0.0), 1.0))]


@functools.cache
def _shades(colours: tuple[str, ...]) -> tuple[str, ...]:
    """256 colours from the first of `colours` to the last."""
    anchors = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours])
    places = np.linspace(0, len(colours) - 1, 256)
    channels = [np.rint(np.interp(places, np.arange(len(colours)), channel)).astype(int) for channel in anchors.T]
    return tuple(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in zip(*channels, strict=True))


def heat_map(values: Array, size: tuple[int, int], scale: Scale, title: str, over: str = "") -> str:
    """Values (rows, columns) over an image of `size` (width, height), grey where NaN; `over` is drawn on top."""
    width, height = size
    rows, columns = values.shape
    across, down = width / columns, height / rows
    cells = [
        f'<rect x="{x * across:.1f}" y="{y * down:.1f}" width="{across + 0.4:.1f}" height="{down + 0.4:.1f}" '
        f'fill="{scale.colour(float(values[y, x]))}"><title>{values[y, x]:.{scale.digits}f} {scale.unit}</title></rect>'
        for y, x in zip(*np.nonzero(np.isfinite(values)), strict=True)
    ]
    large = 0.034 * width
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {-1.6 * large:.1f} {width} {height + 4.8 * large:.1f}" '
        f'role="img" aria-label="{title}" shape-rendering="crispEdges"><text x="0" y="{-0.5 * large:.1f}" '
        f'font-size="{large:.1f}" {TEXT}>{title}</text><rect width="{width}" height="{height}" fill="{EMPTY}"/>'
    )
    return head + "".join(cells) + over + _colour_bar(scale, width, height, large) + "</svg>"


def _colour_bar(scale: Scale, width: int, height: int, large: float) -> str:
    steps, top = 40, height + 0.6 * large
    part = 0.7 * width / steps
    values = np.linspace(scale.low, scale.high, steps)
    bars = "".join(
        f'<rect x="{i * part:.1f}" y="{top:.1f}" width="{part + 0.4:.1f}" height="{0.7 * large:.1f}" '
        f'fill="{scale.colour(float(v))}"/>'
        for i, v in enumerate(values)
    )
    marks = "".join(
        f'<text x="{0.7 * width * share:.1f}" y="{top + 1.9 * large:.1f}" font-size="{large:.1f}" '
        f'text-anchor="{anchor}" {TEXT}>{scale.low + share * (scale.high - scale.low):.{scale.digits}f}'
        f"{' ' + scale.unit if share == 1 else ''}</text>"
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "middle"))
    )
    return bars + marks


@dataclass(frozen=True)
class Band:
    """A curve with the spread of what it is the mean of."""

    x: Array  # (N,) where in the frame, 0..1
    mean: Array  # (N,)
    spread: Array  # (N,)


def band_chart(band: Band, reach: float, ticks: Sequence[tuple[float, str]], label: str) -> str:
    """A curve around zero between -reach and reach; ticks are (place 0..1, text) of the horizontal axis."""
    width, height, left, bottom = 400, 190, 46, 40
    across, middle = width - left - 16, (height - bottom) / 2

    def at(x: float, y: float) -> str:
        return f"{left + x * across:.1f} {middle - np.clip(y / reach, -1, 1) * (middle - 6):.1f}"

    above = [at(x, m + s) for x, m, s in zip(band.x, band.mean, band.spread, strict=True)]
    below = [at(x, m - s) for x, m, s in zip(band.x, band.mean, band.spread, strict=True)]
    curve = [at(x, m) for x, m in zip(band.x, band.mean, strict=True)]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">']
    for share in (-1.0, -0.5, 0.0, 0.5, 1.0):
        x, y = at(0, share * reach).split()
        colour = INK if share == 0 else GRID
        parts.append(f'<path d="M{x} {y}H{width - 16}" stroke="{colour}" stroke-width="{1 if share else 1.2}"/>')
        parts.append(
            f'<text x="{left - 6}" y="{float(y) + 4}" font-size="11" text-anchor="end" {TEXT}>'
            f"{share * reach:+.2f}</text>"
        )
    if curve:
        parts.append(f'<path d="M{"L".join(above + below[::-1])}Z" fill="{BAR}" fill-opacity="0.75"/>')
        parts.append(f'<path d="M{"L".join(curve)}" fill="none" stroke="{LINE}" stroke-width="2"/>')
        parts += [f'<circle cx="{p.split()[0]}" cy="{p.split()[1]}" r="2.6" fill="{LINE}"/>' for p in curve]
    for place, text in ticks:
        x = at(place, 0).split()[0]
        parts.append(
            f'<text x="{x}" y="{height - bottom + 14}" font-size="11" text-anchor="middle" {TEXT}>{text}</text>'
        )
    caption = (
        f'<text x="{left + across / 2}" y="{height - 8}" font-size="12" text-anchor="middle" {TEXT}>{label}</text>'
    )
    return "".join(parts) + caption + "</svg>"
