"""Procedural textures: tileable, drawn by seed, filtered by a mip pyramid in one atlas.

A texture multiplies a material's colour (three channels about 1) and shifts its temperature (fourth channel about 0).
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
SIZE_PX = 512
NEUTRAL = 100.0  # of 255: what stands for a factor of 1


@dataclass(frozen=True)
class Atlas:
    """All textures in one image: a row of layers each, a column a mip level, each tile padded by a wrapped pixel."""

    image: NDArray[np.uint8]  # (rows, columns, 4)
    starts: NDArray[np.float32]  # (levels,) column of each mip level
    sizes: NDArray[np.float32]  # (levels,) pixels

    def sample(self, layer: NDArray, uv: Floats, texels: Floats) -> Floats:
        """Values (N, 4): colour factors and temperature shift, at `uv` (N, 2) in tiles.

        `layer` (N,) is the texture's number and `texels` (N,) how many texels of the finest level a pixel covers.
        """
        level = np.clip(np.log2(np.maximum(texels, 1e-3)) + 0.3, 0, len(self.sizes) - 1).astype(np.int32)
        size = self.sizes[level]
        inside = (uv - np.floor(uv)) * size[:, None] + 0.5  # the pad is pixel 0; texel centres at halves
        x = self.starts[level] + inside[:, 0]
        y = layer.astype(np.float32) * (SIZE_PX + 2) + inside[:, 1]
        columns = min(len(x), 8192)
        rows = -(-len(x) // columns) if columns else 0
        if not rows:
            return np.zeros((0, 4), np.float32)
        pad = rows * columns - len(x)
        map_x, map_y = (np.pad(m, (0, pad)).reshape(rows, columns).astype(np.float32) for m in (x, y))
        values = cv2.remap(self.image, map_x, map_y, cv2.INTER_LINEAR).reshape(-1, 4)[: len(x)].astype(np.float32)
        values *= np.float32(1 / NEUTRAL)
        values[:, 3] -= 1
        return values


def make_atlas(seed: int) -> Atlas:
    """Every texture of TEXTURES for a seed."""
    layers = []
    for index, draw in enumerate(TEXTURES.values()):
        rng = np.random.default_rng([seed, 4, index])
        layers.append(np.clip(draw(rng) * NEUTRAL, 0, 255).astype(np.float32))
    sizes = [SIZE_PX >> level for level in range(8)]
    starts = np.concatenate([[0], np.cumsum([s + 2 for s in sizes])])
    image = np.zeros((len(layers) * (SIZE_PX + 2), starts[-1], 4), np.uint8)
    for index, layer in enumerate(layers):
        for start, size in zip(starts[:-1], sizes, strict=True):
            tile = cv2.resize(layer, (size, size), interpolation=cv2.INTER_AREA)
            top = index * (SIZE_PX + 2)
            image[top : top + size + 2, start : start + size + 2] = np.pad(
                tile + 0.5, ((1, 1), (1, 1), (0, 0)), mode="wrap"
            )
    return Atlas(image, starts[:-1].astype(np.float32), np.array(sizes, np.float32))


def noise(rng: np.random.Generator, slope: float, low: float = 1.0, high: float = SIZE_PX) -> Array:
    """Tileable noise (SIZE_PX, SIZE_PX) of zero mean and unit deviation whose amplitude falls as frequency^-slope.

    Only `low` to `high` periods a tile are kept.
    """
    spectrum = fft.rfft2(rng.standard_normal((SIZE_PX, SIZE_PX), np.float32))
    fy, fx = np.fft.fftfreq(SIZE_PX) * SIZE_PX, np.fft.rfftfreq(SIZE_PX) * SIZE_PX
    frequency = np.hypot(fy[:, None], fx)
    kept = (frequency >= low) & (frequency <= high)
    spectrum *= np.where(kept, np.maximum(frequency, 1) ** -slope, 0).astype(np.float32)
    field: Array = fft.irfft2(spectrum, (SIZE_PX, SIZE_PX))
    return field / max(float(field.std()), 1e-9)


def _grey(value: Array, heat: Array) -> Array:
    return np.stack([value, value, value, 1 + heat], -1)


def _plain(rng: np.random.Generator) -> Array:
    return _grey(1 + 0.02 * noise(rng, 1), 0.1 * noise(rng, 1.2))


def _asphalt(rng: np.random.Generator) -> Array:
    grain = 0.10 * noise(rng, 0.2, 60) + 0.06 * noise(rng, 1.3)
    crack = np.abs(noise(rng, 1.5, 2, 90))
    value = 1 + grain - 0.35 * np.exp(-((crack / 0.018) ** 2)) * (noise(rng, 2) > 0.5)
    return _grey(value, 0.3 * noise(rng, 1.4))


def _concrete(rng: np.random.Generator) -> Array:
    return _grey(1 + 0.05 * noise(rng, 0.4, 20) + 0.07 * noise(rng, 1.5), 0.25 * noise(rng, 1.4))


def _plaster(rng: np.random.Generator) -> Array:
    streaks = cv2.GaussianBlur(noise(rng, 0.6, 2), (1, 121), 0.1, sigmaY=40)
    value = 1 + 0.03 * noise(rng, 0.3, 40) + 0.06 * noise(rng, 1.6) + 0.12 * streaks
    return _grey(value, 0.3 * noise(rng, 1.6))


def _bond(rng: np.random.Generator, rows: int, columns: int, joint_px: float, shift: float) -> tuple[Array, Array]:
    """Value of each stone, uniform noise (SIZE, SIZE), and how much of a pixel is joint."""
    y, x = (np.mgrid[0:SIZE_PX, 0:SIZE_PX] + 0.5) / SIZE_PX
    row = np.floor(y * rows).astype(int)
    across = x * columns + shift * (row % 2)
    column = np.floor(across).astype(int) % columns
    stones = rng.uniform(-1, 1, (rows, columns))
    height, width = SIZE_PX / rows, SIZE_PX / columns
    edge_y = np.minimum(y * rows % 1, 1 - y * rows % 1) * height
    edge_x = np.minimum(across % 1, 1 - across % 1) * width
    joint = np.clip(joint_px / 2 + 0.5 - np.minimum(edge_x, edge_y), 0, 1)
    return stones[row, column], joint


def _brick(rng: np.random.Generator) -> Array:
    stones, joint = _bond(rng, 32, 8, 3.0, 0.5)
    value = 1 + 0.16 * stones + 0.06 * noise(rng, 0.4, 20)
    mortar = np.array([1.35, 1.5, 1.6])
    colour = value[..., None] * (1 - joint[..., None]) + joint[..., None] * mortar * rng.uniform(0.75, 1.05)
    return np.concatenate([colour, (1 + 0.25 * noise(rng, 1.4) + 0.15 * stones)[..., None]], -1)


def _stone(rng: np.random.Generator) -> Array:
    stones, joint = _bond(rng, 8, 4, 4.0, 0.5)
    value = (1 + 0.12 * stones + 0.07 * noise(rng, 1.0)) * (1 - 0.35 * joint)
    return _grey(value, 0.2 * noise(rng, 1.4) + 0.2 * stones)


def _paving(rng: np.random.Generator) -> Array:
    stones, joint = _bond(rng, 10, 10, 3.0, 0.0)
    value = (1 + 0.07 * stones + 0.05 * noise(rng, 0.5, 10) + 0.07 * noise(rng, 1.6)) * (1 - 0.4 * joint)
    return _grey(value, 0.25 * noise(rng, 1.4))


def _tiles(rng: np.random.Generator) -> Array:
    stones, _ = _bond(rng, 14, 16, 3.0, 0.5)
    y = (np.arange(SIZE_PX) + 0.5) / SIZE_PX * 14 % 1
    x = (np.arange(SIZE_PX) + 0.5) / SIZE_PX * 16 % 1
    relief = (0.75 + 0.35 * y)[:, None] * (0.85 + 0.2 * np.sin(np.pi * x))
    return _grey((1 + 0.14 * stones + 0.08 * noise(rng, 1.2)) * relief, 0.3 * noise(rng, 1.2))


def _grass(rng: np.random.Generator) -> Array:
    value = 1 + 0.22 * noise(rng, 0.3, 40) + 0.15 * noise(rng, 1.3)
    dry = 0.07 * noise(rng, 1.6)
    return np.stack([value * (1 + dry), value, value * (1 - dry), 1 + 0.4 * noise(rng, 0.9)], -1)


def _leaves(rng: np.random.Generator) -> Array:
    value = 1 + 0.3 * noise(rng, 0.5, 6) + 0.12 * noise(rng, 1.2)
    hue = 0.06 * noise(rng, 1.2)
    return np.stack([value * (1 + hue), value, value * (1 - hue), 1 + 0.4 * noise(rng, 0.8)], -1)


def _wood(rng: np.random.Generator) -> Array:
    planks = rng.uniform(-1, 1, 8)[np.arange(SIZE_PX) * 8 // SIZE_PX]
    edge = np.abs((np.arange(SIZE_PX) * 8 / SIZE_PX) % 1 - 0.5) > 0.47
    grain = cv2.GaussianBlur(noise(rng, 0.3, 10), (1, 121), 0.1, sigmaY=30)
    value = (1 + 0.10 * planks - 0.4 * edge)[None, :] + 0.4 * grain
    return _grey(value, 0.2 * noise(rng, 1.2))


def _fabric(rng: np.random.Generator) -> Array:
    folds = cv2.GaussianBlur(noise(rng, 1.2, 2, 30), (0, 0), 3)
    return _grey(1 + 0.14 * folds + 0.05 * noise(rng, 0.2, 100), 0.6 * noise(rng, 1.3))


def _bark(rng: np.random.Generator) -> Array:
    ridges = cv2.GaussianBlur(noise(rng, 0.6, 12), (1, 121), 0.1, sigmaY=12)
    return _grey(1 + 0.5 * ridges + 0.1 * noise(rng, 1), 0.3 * noise(rng, 1.2))


def _curtain(rng: np.random.Generator) -> Array:
    folds = np.sin(np.arange(SIZE_PX) / SIZE_PX * 2 * np.pi * 9 + 2 * np.sin(np.arange(SIZE_PX) / SIZE_PX * 4 * np.pi))
    return _grey(1 + 0.18 * folds[None, :] + 0.15 * noise(rng, 1.8), 0.2 * noise(rng, 1.5))


TEXTURES: dict[str, Callable[[np.random.Generator], Array]] = {
    "plain": _plain,
    "asphalt": _asphalt,
    "concrete": _concrete,
    "plaster": _plaster,
    "brick": _brick,
    "stone": _stone,
    "paving": _paving,
    "tiles": _tiles,
    "grass": _grass,
    "leaves": _leaves,
    "wood": _wood,
    "fabric": _fabric,
    "bark": _bark,
    "curtain": _curtain,
}
LAYERS = {name: index for index, name in enumerate(TEXTURES)}
