"""Colours as a street has them, drawn at random; linear albedo."""

import colorsys

import numpy as np

from heatnet.dataset_tools.simulate.materials import RGB


def pick(
    rng: np.random.Generator, hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]
) -> RGB:
    """A colour from ranges of hue (0 to 1, may run past 1), saturation and value, as linear albedo."""
    h, s, v = (float(rng.uniform(*r)) for r in (hue, saturation, value))
    return linear(colorsys.hsv_to_rgb(h % 1, s, v))


def linear(srgb: tuple[float, float, float]) -> RGB:
    """Linear values of gamma-coded ones."""
    r, g, b = (float(c) ** 2.2 for c in srgb)
    return r, g, b


def plaster(rng: np.random.Generator) -> RGB:
    """House paint: cream, ochre, grey, sometimes a strong colour."""
    kind = rng.random()
    if kind < 0.55:
        return pick(rng, (0.07, 0.15), (0.06, 0.35), (0.68, 0.92))
    if kind < 0.75:
        return pick(rng, (0, 1), (0, 0.06), (0.5, 0.9))
    return pick(rng, (0, 1), (0.12, 0.34), (0.5, 0.85))


def brick(rng: np.random.Generator) -> RGB:
    """Burnt clay, sand or dark clinker."""
    return pick(rng, (0.01, 0.09), (0.35, 0.65), (0.38, 0.65))


def car_paint(rng: np.random.Generator) -> RGB:
    """Mostly black, grey, silver or white; else blue, red or anything."""
    kind = rng.random()
    if kind < 0.68:
        grey = float(rng.choice([0.1, 0.18, 0.3, 0.55, 0.75, 0.92]))
        return pick(rng, (0.55, 0.65), (0, 0.1), (grey * 0.9, grey))
    hues = ((0.55, 0.65), (-0.03, 0.02), (0, 1))
    return pick(rng, hues[int(rng.choice(3, p=[0.45, 0.35, 0.2]))], (0.6, 0.9), (0.25, 0.7))


def cloth(rng: np.random.Generator) -> RGB:
    """Clothes: dark ones mostly, some bright."""
    if rng.random() < 0.55:
        return pick(rng, (0.5, 0.75), (0, 0.5), (0.1, 0.4))
    return pick(rng, (0, 1), (0.2, 0.85), (0.3, 0.9))


def skin(rng: np.random.Generator) -> RGB:
    """Skin, light to dark."""
    return pick(rng, (0.04, 0.08), (0.35, 0.6), (0.35, 0.88))


def leaf(rng: np.random.Generator) -> RGB:
    """Leaves of one tree."""
    return pick(rng, (0.19, 0.31), (0.4, 0.7), (0.3, 0.48))
