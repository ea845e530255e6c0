"""The drawings of the calibration report, as SVG text."""

import itertools

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.result import CameraResult
from heatnet.calib.rig import RigCamera
from heatnet.calib.svg import HEAT, VIRIDIS, Band, Scale, band_chart, heat_map
from heatnet.calib.uncertainty import DEPTHS_M

Array = NDArray[np.float64]
SHOWN_DEPTHS = (0, 2, 4)  # indices into uncertainty.DEPTHS_M: 5, 20 and 200 m
LEAST_IN_BIN = 20
CELL_PX = 32
LARGE_PX = 0.5  # an uncertainty that fills the colour scale, unless a larger one does
DEPTH_TICKS = (5, 10, 20, 50, 100)


def residuals(result: CameraResult) -> list[str]:
    """What is left between found and predicted edges, by radius, depth and azimuth."""
    matches, weights = result.fit.matches, result.fit.normal.weights
    arm = matches.pixels - result.estimate.camera.intrinsics[2:4]
    radius = np.hypot(*arm.T)
    outward = np.einsum("mi,mi->m", matches.normals, arm) / np.maximum(radius, 1e-9)
    signed = matches.residuals * np.sign(outward)
    radial = weights * (np.abs(outward) > 0.5)
    reach = float(radius.max(initial=1.0))
    azimuth = np.rad2deg(np.arctan2(arm[:, 1], arm[:, 0]))
    depth = np.log(np.clip(matches.depths, 4, 120) / 4) / np.log(30)
    bands = [
        _band(radius / reach, signed, radial, 10),
        _band(depth, signed, radial, 10),
        _band((azimuth + 180) / 360, signed, radial, 12),
    ]
    height = max(0.2, *(float(np.max(np.abs(b.mean) + b.spread, initial=0.0)) for b in bands))
    ticks = (
        [(share, f"{share * reach:.0f}") for share in (0, 0.25, 0.5, 0.75, 1)],
        [(float(np.log(m / 4) / np.log(30)), str(m)) for m in DEPTH_TICKS],
        [(0, "left"), (0.25, "top"), (0.5, "right"), (0.75, "bottom"), (1, "left")],
    )
    labels = ("distance from the image centre, px", "depth, m", "azimuth around the image centre")
    return [band_chart(b, height, t, name) for b, t, name in zip(bands, ticks, labels, strict=True)]


def _band(place: Array, values: Array, weights: Array, bins: int) -> Band:
    """Weighted mean and spread of values by place (0..1)."""
    x, mean, spread = [], [], []
    for low, high in itertools.pairwise(np.linspace(0, 1, bins + 1)):
        inside = (place >= low) & (place <= high) & (weights > 0)
        if inside.sum() < LEAST_IN_BIN:
            continue
        x.append((low + high) / 2)
        mean.append(np.average(values[inside], weights=weights[inside]))
        spread.append(np.sqrt(np.average((values[inside] - mean[-1]) ** 2, weights=weights[inside])))
    return Band(np.array(x), np.array(mean), np.array(spread))


def cell_counts(result: CameraResult) -> Array:
    """How many edges were found again in each square of the thermal image, NaN where none."""
    width, height = result.estimate.camera.resolution
    columns, rows = np.floor(result.fit.matches.pixels / CELL_PX).astype(np.int64).T
    across, down = -(-width // CELL_PX), -(-height // CELL_PX)
    counts = np.bincount(rows * across + columns, result.fit.matches.worth, across * down).reshape(down, across)
    return np.where(counts > 0, counts, np.nan)


def coverage(result: CameraResult) -> str:
    """Where in the thermal image the data see, and what of it the left RGB image covers."""
    counts = cell_counts(result)
    down, across = counts.shape
    scale = Scale(0, float(np.nanquantile(counts, 0.95)) if np.isfinite(counts).any() else 1.0, "edges", VIRIDIS)
    grid = result.grid
    far = grid.pixels[SHOWN_DEPTHS[-1]][grid.seen[SHOWN_DEPTHS[-1]]]
    rows = (far[:, 1].min(), far[:, 1].max()) if len(far) else (0.0, 0.0)
    outline = (
        f'<rect x="1" y="{rows[0]:.1f}" width="{across * CELL_PX - 2}" height="{rows[1] - rows[0]:.1f}" fill="none" '
        'stroke="#c2410c" stroke-width="2" stroke-dasharray="8 5"/>'
    )
    return heat_map(counts, (across * CELL_PX, down * CELL_PX), scale, "edges found again, thermal image", outline)


def uncertainty(result: CameraResult, left: RigCamera) -> list[str]:
    """One standard deviation of where pixels of the left RGB image fall in the thermal image, at several depths."""
    sigma = result.grid.sigma(result.uncertainty.covariance)
    rows = len(np.unique(result.grid.rgb_pixels[:, 1]))
    shown = [sigma[i].reshape(rows, -1) for i in SHOWN_DEPTHS]
    finite = np.concatenate([s[np.isfinite(s)] for s in shown])
    scale = Scale(0, max(LARGE_PX, float(np.quantile(finite, 0.98)) if len(finite) else 0.0), "px", HEAT, 2)
    size = left.camera.resolution
    return [
        heat_map(values, size, scale, f"at {DEPTHS_M[i]:.0f} m") for i, values in zip(SHOWN_DEPTHS, shown, strict=True)
    ]
