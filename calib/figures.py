"""The drawings of the calibration report, as SVG text."""

import io
import itertools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from heatnet.calib.result import CameraResult
from heatnet.calib.rig import RigCamera

Array = NDArray[np.float64]
INK, BAR, LINE = "#22313f", "#cfd8e3", "#c2410c"
SHOWN_DEPTH = 2  # index into uncertainty.DEPTHS_M: 20 m
LEAST_IN_BIN = 20
CELL_PX = 32


def residuals(result: CameraResult) -> str:
    """What is left between found and predicted edges, by radius, depth and azimuth."""
    matches, weights = result.fit.matches, result.fit.normal.weights
    arm = matches.pixels - result.estimate.camera.intrinsics[2:4]
    radius = np.hypot(*arm.T)
    outward = np.einsum("mi,mi->m", matches.normals, arm) / np.maximum(radius, 1e-9)
    signed = matches.residuals * np.sign(outward)
    figure = Figure(figsize=(12.5, 2.7), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    depth_bins = np.geomspace(4, 120, 11)
    azimuth = np.rad2deg(np.arctan2(arm[:, 1], arm[:, 0]))
    radial = weights * (np.abs(outward) > 0.5)
    _bins(axes[0], radius, signed, radial, np.linspace(0, radius.max(), 11), "distance from the image centre, px")
    _bins(axes[1], matches.depths, signed, radial, depth_bins, "depth, m")
    axes[1].set_xscale("log")
    axes[1].set_xticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
    _bins(axes[2], azimuth, signed, radial, np.linspace(-180, 180, 13), "azimuth, degrees (0 right, 90 down)")
    axes[0].set_ylabel("px")
    axes[0].legend(loc="upper left", frameon=False, fontsize=8)
    return _svg(figure)


def coverage(result: CameraResult) -> str:
    """How many edges were found again in each part of the thermal image."""
    width, height = result.estimate.camera.resolution
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.subplots()
    columns, rows = np.floor(result.fit.matches.pixels / CELL_PX).astype(np.int64).T
    across, down = -(-width // CELL_PX), -(-height // CELL_PX)
    counts = np.bincount(rows * across + columns, minlength=across * down).reshape(down, across)
    image = axes.imshow(
        np.where(counts > 0, counts, np.nan), extent=(0, across * CELL_PX, down * CELL_PX, 0), cmap="viridis"
    )
    figure.colorbar(image, ax=axes, label="edges found", shrink=0.8)
    axes.set_facecolor("#f1f3f5")
    return _svg(figure)


def uncertainty(result: CameraResult, left: RigCamera) -> str:
    """One standard deviation of where a pixel of the left RGB image at 20 m falls in the thermal image."""
    sigma = result.grid.sigma(result.uncertainty.covariance)[SHOWN_DEPTH]
    columns, rows = (np.unique(axis) for axis in result.grid.rgb_pixels.T)
    width, height = left.camera.resolution
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        sigma.reshape(len(rows), len(columns)), extent=(0, width, height, 0), cmap="magma_r", vmin=0, aspect="equal"
    )
    figure.colorbar(image, ax=axes, label="px", shrink=0.7)
    axes.set_facecolor("#f1f3f5")
    axes.set_xlabel("column in the left RGB image")
    return _svg(figure)


def _bins(axes: Axes, x: Array, values: Array, weights: Array, edges: Array, label: str) -> None:
    """Spread and mean of weighted values in bins of x."""
    middle, mean, spread = [], [], []
    for low, high in itertools.pairwise(edges):
        inside = (x >= low) & (x < high) & (weights > 0)
        if inside.sum() < LEAST_IN_BIN:
            continue
        middle.append((low + high) / 2)
        mean.append(np.average(values[inside], weights=weights[inside]))
        spread.append(np.sqrt(np.average((values[inside] - mean[-1]) ** 2, weights=weights[inside])))
    centre, width = np.array(mean), np.array(spread)
    axes.fill_between(middle, centre - width, centre + width, color=BAR, label="one edge, one deviation")
    axes.plot(middle, mean, color=LINE, marker="o", markersize=3, label="mean, outward positive")
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]
