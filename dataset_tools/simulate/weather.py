"""Time, sun, sky and air of a recording."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np
from astral import Observer
from astral.sun import azimuth, elevation
from numpy.typing import NDArray

from heatnet.dataset_tools.simulate.config import SimulationConfig
from heatnet.dataset_tools.simulate.textures import noise

Floats = NDArray[np.float32]
LATITUDE_DEG, LONGITUDE_DEG, ALTITUDE_M = 48.01355, 7.83312, 278.0
METRES_A_DEGREE = 111_200.0


@dataclass(frozen=True)
class Weather:
    """Light and temperature. Directions are in the world: x north, y west, z up; light is linear RGB."""

    night: bool
    start_ns: int
    sun_elevation_deg: float
    sun: NDArray[np.float64]  # (3,) towards the sun
    recent_suns: NDArray[np.float64]  # (K, 3) towards the sun over the last hours, latest first
    sun_light: Floats  # (3,) irradiance over pi, square to the sun
    sky_light: Floats  # (3,) radiance of the mean sky
    horizon: Floats  # (3,)
    zenith: Floats  # (3,)
    clouds: NDArray[np.float32]  # (S, S) cover 0 to 1, tileable
    air_c: float
    sky_c: float  # apparent temperature of the zenith
    sun_gain: float  # strength of the sun's heating, 0 to 1
    sky_gain: float  # strength of cooling under the sky, 0 to 1


def make_weather(config: SimulationConfig) -> Weather:
    """The weather of a seed; by day the sun stands higher than 18 degrees, by night lower than -14."""
    rng = np.random.default_rng([config.seed, 5, int(config.night)])
    start, height, direction = _moment(config.night, rng)
    suns = np.stack([_sun(start - timedelta(hours=h)) for h in (0.0, 0.7, 1.5, 2.5)])
    overcast = float(rng.beta(1.2, 2.2))
    cover = np.clip((noise(rng, 1.7, 2) + 2.2 * overcast - 1.0) / 1.1, 0, 1).astype(np.float32)
    clear = 1 - 0.85 * overcast
    low = float(np.clip(height / 40, 0, 1))  # a low sun is redder
    sun_light = 3.3 * clear * np.array([1.0, 0.86 + 0.1 * low, 0.66 + 0.26 * low])
    grey = np.array([0.62, 0.66, 0.72])
    zenith = (1 - overcast) * np.array([0.16, 0.32, 0.72]) + overcast * grey
    horizon = (1 - overcast) * np.array([0.66, 0.78, 0.95]) + overcast * grey * 1.15
    if config.night:
        zenith, horizon = np.array([0.0016, 0.002, 0.0036]), np.array([0.008, 0.0065, 0.006])
        sun_light = np.zeros(3)
    air = float(rng.uniform(4, 15) if config.night else rng.uniform(13, 26))
    return Weather(
        config.night,
        int(start.timestamp()) * 1_000_000_000,
        height,
        direction,
        suns,
        sun_light.astype(np.float32),
        ((0.45 * zenith + 0.55 * horizon) * (1.0 if config.night else 1.15)).astype(np.float32),
        horizon.astype(np.float32),
        zenith.astype(np.float32),
        cover,
        air,
        air - float(rng.uniform(32, 48)) * (1 - 0.65 * overcast),
        0.0 if config.night else clear,
        1 - 0.7 * overcast,
    )


def _moment(night: bool, rng: np.random.Generator) -> tuple[datetime, float, NDArray[np.float64]]:
    while True:
        day = datetime(2019, 6, 1, tzinfo=timezone.utc) + timedelta(days=int(rng.integers(0, 110)))
        hours = float(rng.uniform(21, 26) if night else rng.uniform(7, 16))
        start = day + timedelta(seconds=round(hours * 3600))
        direction = _sun(start)
        height = float(np.degrees(np.arcsin(direction[2])))
        if height < -14 if night else height > 18:
            return start, height, direction


def _sun(moment: datetime) -> NDArray[np.float64]:
    """Direction towards the sun in the world frame."""
    place = Observer(LATITUDE_DEG, LONGITUDE_DEG, ALTITUDE_M)
    up = np.radians(elevation(place, moment, with_refraction=False))
    east = np.radians(azimuth(place, moment))
    return np.array([np.cos(up) * np.cos(east), -np.cos(up) * np.sin(east), np.sin(up)])


def sky_radiance(weather: Weather, directions: Floats) -> Floats:
    """Light (N, 3) of the sky in unit directions (N, 3)."""
    up = np.clip(directions[:, 2], 0.0, 1.0)
    blend = (1 - up) ** 4
    colour = weather.zenith + blend[:, None] * (weather.horizon - weather.zenith)
    flat = directions[:, :2] / (up + 0.12)[:, None] * 0.11
    size = len(weather.clouds)
    column, row = (np.floor(np.mod(flat[:, i], 1) * size).astype(np.int32) % size for i in (0, 1))
    cover = weather.clouds[row, column] * np.clip(up * 6, 0, 1) * 0.85
    white = weather.horizon * np.float32(1.25 if not weather.night else 0.8)
    colour = colour + cover[:, None] * (white - colour)
    if not weather.night:
        near = np.clip(directions @ weather.sun.astype(np.float32), 0, 1)
        glow = (0.35 * near**24 + 6.0 * (near > 0.99997)) * (1 - 0.8 * cover)
        colour = colour + glow[:, None] * weather.sun_light
    return colour.astype(np.float32)


def sky_temperature(weather: Weather, directions: Floats) -> Floats:
    """Apparent temperature (N,) in C of the sky; near the horizon it is that of the air."""
    up = np.clip(directions[:, 2], 0, 1)
    return (weather.sky_c + (weather.air_c - 3 - weather.sky_c) * (1 - up) ** 5).astype(np.float32)
