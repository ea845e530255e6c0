"""Visible light: sun, sky and shadow by day; lamps, headlights and lit windows by night."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.simulate.furniture import LAMP_GLOW
from heatnet.dataset_tools.simulate.raycast import NOTHING, Points
from heatnet.dataset_tools.simulate.scene import Moment, World
from heatnet.dataset_tools.simulate.weather import sky_radiance

Floats = NDArray[np.float32]
PAINT = np.array([0.68, 0.68, 0.66], np.float32)
LAMPS_A_POINT = 3
LAMP_POWER = 3.2
BEAM_POWER = 100.0  # both headlights of a car, taken as one
WEAK = 2.5e-3  # light too faint to look for its shadows
BOUNCE = np.array([0.24, 0.23, 0.21], np.float32)  # of the sun's light, off ground and walls
HAZE_M = 900.0


@dataclass(frozen=True)
class VisibleShader:
    """Radiance in linear RGB."""

    world: World
    channels: int = 3

    def lit(self, moment: Moment, points: Points) -> NDArray[np.bool_]:
        """Which points see the sun."""
        weather = self.world.weather
        lit = np.zeros(len(points.material), bool)
        if weather.night:
            return lit
        sun = weather.sun.astype(np.float32)
        facing = np.flatnonzero((points.material != NOTHING) & (points.normal @ sun > 0))
        lit[facing] = ~moment.exposure.blocked(points.above[facing], sun)
        return lit

    def shade(self, moment: Moment, points: Points, lit: NDArray[np.bool_], pixel_rad: float) -> Floats:
        """Light towards the camera (N, 3)."""
        albedo = self._albedo(points, pixel_rad)
        light = albedo * self._light(moment, points, lit)
        light += self._emission(points, albedo)
        self._reflect(light, moment, points)
        haze = 1 - np.exp(-points.distance / HAZE_M)
        light += haze[:, None] * (0.9 * self.world.weather.horizon - light)
        sky = points.material == NOTHING
        light[sky] = sky_radiance(self.world.weather, points.direction[sky])
        return light

    def _albedo(self, points: Points, pixel_rad: float) -> Floats:
        columns, material = self.world.columns, points.material
        slant = np.maximum(np.abs(np.einsum("ij,ij->i", points.normal, points.direction)), 0.03)
        footprint = points.distance * np.float32(pixel_rad)
        tile = columns.tile_m[material]
        texture = self.world.atlas.sample(
            columns.layer[material], points.uv / tile[:, None], 512 * footprint / (tile * np.sqrt(slant))
        )
        albedo = columns.colour[material] * texture[:, :3]
        marked = np.flatnonzero(columns.markings[material])
        if len(marked):
            d, s = points.uv[marked].T
            blur = footprint[marked]
            paint = self.world.markings.cover(d, s, blur, blur / slant[marked])
            worn = (paint * np.clip(2.4 * texture[marked, 0] - 1.35, 0.45, 1))[:, None]
            albedo[marked] += worn * (PAINT * texture[marked, :1] - albedo[marked])
        return np.clip(albedo, 0, 0.95)

    def _light(self, moment: Moment, points: Points, lit: NDArray[np.bool_]) -> Floats:
        weather = self.world.weather
        if weather.night:
            return self._night_light(moment, points)
        slope = np.clip(points.normal @ weather.sun.astype(np.float32), 0, 1) * lit
        around = (1 - points.sky)[:, None] * (
            BOUNCE * weather.sun_light * max(0.3, float(weather.sun[2])) + 0.25 * weather.sky_light
        )
        return slope[:, None] * weather.sun_light + points.sky[:, None] * weather.sky_light + around

    def _night_light(self, moment: Moment, points: Points) -> Floats:
        weather = self.world.weather
        light = (0.25 + 0.75 * points.sky)[:, None] * weather.sky_light
        solid = np.flatnonzero(points.material != NOTHING)
        some = points.take(solid)
        start = some.above
        strength = np.zeros(len(solid), np.float32)
        for lamp in self._lamps(some):
            strength += _lamp_light(moment, some, start, lamp)
        total = strength[:, None] * LAMP_GLOW.astype(np.float32)
        for headlight in moment.headlights:
            total = total + _beam_light(moment, some, start, headlight.place, headlight.direction)[:, None]
        glow = total.mean(0) * 0.04  # what walls and ground throw back
        light[solid] += total + glow
        return light

    def _lamps(self, points: Points) -> list[Floats]:
        """The nearest lamps' places, (N, 3) each."""
        if not len(points.position):
            return []
        lamps = self.world.lamps
        middle, reach = np.median(points.position, 0), 160.0
        lamps = lamps[np.linalg.norm(lamps - middle, axis=1) < reach]
        cell = np.floor(points.position[:, :2] / 3.0).astype(np.int64)
        cells, inverse = np.unique(cell[:, 0] * 1_000_000 + cell[:, 1], return_inverse=True)
        first = np.zeros(len(cells), np.int64)
        first[inverse] = np.arange(len(inverse))
        gap = np.linalg.norm(points.position[first][:, None, :2] - lamps[None, :, :2], axis=2)
        nearest = np.argsort(gap, axis=1)[:, : min(LAMPS_A_POINT, len(lamps))]
        return [lamps[nearest[inverse, k]] for k in range(nearest.shape[1])]

    def _emission(self, points: Points, albedo: Floats) -> Floats:
        """Own light; windows shine through what hangs in them."""
        columns, material = self.world.columns, points.material
        own = columns.emission[material]
        base = np.maximum(columns.colour[material], 1e-3)
        return own * np.clip(albedo / base, 0.3, 1.7)

    def _reflect(self, light: Floats, moment: Moment, points: Points) -> None:
        """Add the mirror image of the surroundings on glossy surfaces."""
        gloss = self.world.columns.gloss[points.material]
        shiny = np.flatnonzero((gloss > 0) & (points.material != NOTHING) & (points.distance < 90))
        if not len(shiny):
            return
        some = points.take(shiny)
        cosine = np.einsum("ij,ij->i", some.normal, some.direction)
        share = gloss[shiny] + (1 - gloss[shiny]) * np.clip(1 + cosine, 0, 1) ** 5
        mirrored = some.direction - 2 * cosine[:, None] * some.normal
        start = some.above
        hits = moment.exposure.hit(start, mirrored)
        image = self._simple(moment.exposure.points(hits, start, mirrored))
        light[shiny] += share[:, None] * (image - light[shiny])

    def _simple(self, points: Points) -> Floats:
        """Roughly what a mirror shows: no shadows, no texture."""
        weather, columns = self.world.weather, self.world.columns
        slope = 0.5 * np.clip(points.normal @ weather.sun.astype(np.float32), 0, 1) * points.sky
        light = slope[:, None] * weather.sun_light + (0.2 + 0.8 * points.sky)[:, None] * weather.sky_light
        if weather.night:
            light = light + 0.05 * LAMP_GLOW.astype(np.float32)
        result = columns.colour[points.material] * light + columns.emission[points.material]
        sky = points.material == NOTHING
        result[sky] = sky_radiance(weather, points.direction[sky])
        return result


def _lamp_light(moment: Moment, points: Points, start: Floats, lamp: Floats) -> Floats:
    """Irradiance over pi (N,) of a lamp that shines downwards."""
    towards = lamp - points.position
    distance = np.linalg.norm(towards, axis=1)
    unit = towards / distance[:, None]
    slope = np.clip(np.einsum("ij,ij->i", unit, points.normal), 0, 1)
    spread = np.clip(unit[:, 2] * 1.5 - 0.08, 0, 1)  # a shade keeps it from the sky and far facades
    light = LAMP_POWER * slope * spread / np.maximum(distance, 1.5) ** 2
    return _shadowed(light, moment, start, towards)


def _beam_light(moment: Moment, points: Points, start: Floats, place: Floats, direction: Floats) -> Floats:
    """Irradiance over pi (N,) of a dipped headlight."""
    towards = place - points.position
    distance = np.linalg.norm(towards, axis=1)
    unit = towards / np.maximum(distance, 0.3)[:, None]
    away = -unit
    side = np.array([-direction[1], direction[0], 0.0], np.float32)
    up = np.cross(direction, side)
    across, above, ahead = away @ side, away @ up, away @ direction
    beam = np.exp(-((across / 0.33) ** 2)) * np.exp(-((np.minimum(above, 0) / 0.17) ** 2))
    beam *= np.where(above > 0, np.exp(-((above / 0.02) ** 2)) + 0.015, 1.0) * (ahead > 0.05)
    slope = np.clip(np.einsum("ij,ij->i", unit, points.normal), 0, 1)
    light = BEAM_POWER * beam * slope / np.maximum(distance, 1.0) ** 2
    return _shadowed(light.astype(np.float32), moment, start, towards)


def _shadowed(light: Floats, moment: Moment, start: Floats, towards: Floats) -> Floats:
    """The same light (N,) without what something hides; what is too weak to matter is not asked about."""
    strong = np.flatnonzero(light > WEAK)
    hidden = moment.exposure.blocked(start[strong], towards[strong], 0.97)
    light[strong[hidden]] = 0
    return light
