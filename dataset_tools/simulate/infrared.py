"""Long-wave infrared: what surfaces radiate by their temperature, and the sky that they reflect."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.simulate.raycast import NOTHING, Points
from heatnet.dataset_tools.simulate.scene import Moment, World
from heatnet.dataset_tools.simulate.weather import sky_temperature

Floats = NDArray[np.float32]
BAND_K = 1428.0  # Planck constant of the 8 to 14 um band, as thermal cameras are calibrated with
COUNTS_AT_ZERO = 19_816.0
COUNTS_A_RADIANCE = 434_000.0
AIR_M = 1800.0  # way over which the air between takes over
PAINT_COOLER_K = 0.9  # white paint takes up less sun


def radiance(celsius: Floats) -> Floats:
    """Band radiance of a black body, in units of COUNTS_A_RADIANCE counts."""
    return (1 / (np.exp(BAND_K / (celsius + 273.15)) - 1)).astype(np.float32)


def counts(band: Floats) -> Floats:
    """Raw counts of a band radiance: about 22,150 at 0 C, 23,160 at 20 C, 24,400 at 40 C."""
    return COUNTS_AT_ZERO + COUNTS_A_RADIANCE * band


@dataclass(frozen=True)
class InfraredShader:
    """Raw counts before optics and sensor; shadows count only through the warmth they left."""

    world: World
    channels: int = 1

    def lit(self, moment: Moment, points: Points) -> NDArray[np.bool_]:
        """No light, no edges of it."""
        return np.zeros(len(points.material), bool)

    def shade(self, moment: Moment, points: Points, lit: NDArray[np.bool_], pixel_rad: float) -> Floats:
        """Counts (N, 1)."""
        weather, columns, material = self.world.weather, self.world.columns, points.material
        own = radiance(weather.air_c + points.heat + self._patches(points, pixel_rad))
        cosine = np.clip(-np.einsum("ij,ij->i", points.normal, points.direction), 0, 1)
        emissivity = columns.emissivity[material] * (1 - 0.55 * (1 - cosine) ** 5)
        around = radiance(np.full(1, weather.air_c, np.float32))
        reflected = points.sky * radiance(np.full(1, weather.sky_c + 12, np.float32)) + (1 - points.sky) * around
        shiny = np.flatnonzero((columns.gloss[material] >= 0.05) & (material != NOTHING) & (points.distance < 90))
        if len(shiny):
            reflected[shiny] = self._mirrored(moment, points.take(shiny))
        total = emissivity * own + (1 - emissivity) * reflected
        total += (1 - np.exp(-points.distance / AIR_M)) * (around - total)
        sky = material == NOTHING
        total[sky] = radiance(sky_temperature(weather, points.direction[sky]))
        return counts(total)[:, None]

    def _patches(self, points: Points, pixel_rad: float) -> Floats:
        """Kelvins (N,) by which a surface differs from place to place."""
        columns, material = self.world.columns, points.material
        tile = columns.tile_m[material] * 1.7  # heat spreads: patches are larger than what the eye sees
        footprint = points.distance * np.float32(pixel_rad)
        texture = self.world.atlas.sample(columns.layer[material], points.uv / tile[:, None], 512 * footprint / tile)
        patches = texture[:, 3] * columns.patchy_k[material]
        marked = np.flatnonzero(columns.markings[material])
        if len(marked) and not self.world.weather.night:
            d, s = points.uv[marked].T
            paint = self.world.markings.cover(d, s, footprint[marked] + 0.05, 4 * footprint[marked] + 0.05)
            patches[marked] -= PAINT_COOLER_K * self.world.weather.sun_gain * paint
        return patches

    def _mirrored(self, moment: Moment, points: Points) -> Floats:
        """Band radiance (N,) that comes from where a mirror would look."""
        cosine = np.einsum("ij,ij->i", points.normal, points.direction)
        towards = points.direction - 2 * cosine[:, None] * points.normal
        start = points.above
        seen = moment.exposure.points(moment.exposure.hit(start, towards), start, towards)
        celsius = self.world.weather.air_c + seen.heat
        sky = seen.material == NOTHING
        celsius[sky] = sky_temperature(self.world.weather, seen.direction[sky])
        return radiance(celsius)
