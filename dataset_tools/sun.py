"""Day or night: by where the sun stood, never by a name or the hour of a time zone."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Twilight = Literal["day", "night", "drop"]
DAY_ABOVE_DEG = 0.0  # the sun's centre is above the horizon
NIGHT_BELOW_DEG = -6.0  # the end of civil twilight: lamps are needed to work outdoors
J2000_NS = 946_728_000 * 10**9  # 2000-01-01 12:00
EARLIEST_NS = 946_684_800 * 10**9  # 2000-01-01: stamps before it count from a boot, not from 1970


def sun_elevation_deg(latitude_deg: float, longitude_deg: float, stamp_ns: int) -> float:
    """True elevation of the sun's centre (degrees, without refraction) at a place (WGS 84) and a UTC time.

    NaN where it cannot be known: no place, or stamps that are no UTC (before the year 2000). After Meeus, Astronomical
    Algorithms, chapter 25 (low accuracy); good to 0.01 degrees, the poles included.
    """
    if stamp_ns < EARLIEST_NS or not (math.isfinite(latitude_deg) and math.isfinite(longitude_deg)):
        return float("nan")
    days = (stamp_ns - J2000_NS) / 86_400e9
    right_ascension, declination = _sun_direction(days / 36525)
    sidereal = math.radians((280.46061837 + 360.98564736629 * days + longitude_deg) % 360)
    latitude, hour_angle = math.radians(latitude_deg), sidereal - right_ascension
    sine = math.sin(latitude) * math.sin(declination)
    sine += math.cos(latitude) * math.cos(declination) * math.cos(hour_angle)
    return math.degrees(math.asin(min(1.0, max(-1.0, sine))))


def _sun_direction(centuries: float) -> tuple[float, float]:
    """Apparent right ascension and declination (radians) of the sun, Julian centuries after J2000.0."""
    t = centuries
    mean_longitude = 280.46646 + 36000.76983 * t + 0.0003032 * t * t
    anomaly = math.radians(357.52911 + 35999.05029 * t - 0.0001537 * t * t)
    centre = (1.914602 - 0.004817 * t) * math.sin(anomaly)
    centre += (0.019993 - 0.000101 * t) * math.sin(2 * anomaly) + 0.000289 * math.sin(3 * anomaly)
    node = math.radians(125.04 - 1934.136 * t)
    longitude = math.radians(mean_longitude + centre - 0.00569 - 0.00478 * math.sin(node))
    obliquity = math.radians(23.4392911 - 0.0130042 * t + 0.00256 * math.cos(node))
    right_ascension = math.atan2(math.cos(obliquity) * math.sin(longitude), math.cos(longitude))
    return right_ascension, math.asin(math.sin(obliquity) * math.sin(longitude))


@dataclass(frozen=True)
class Place:
    """Where the rig was, by time."""

    stamps_ns: NDArray[np.int64]  # (N,) increasing
    latitudes_deg: NDArray[np.float64]  # (N,)
    longitudes_deg: NDArray[np.float64]  # (N,)

    def sun_elevation_deg(self, stamp_ns: int) -> float:
        """The sun's elevation at the place nearest in time; NaN where there is none."""
        if not len(self.stamps_ns):
            return float("nan")
        i = int(np.argmin(np.abs(self.stamps_ns - stamp_ns)))
        return sun_elevation_deg(float(self.latitudes_deg[i]), float(self.longitudes_deg[i]), stamp_ns)


@dataclass(frozen=True)
class DomainConfig:
    """What elevations of the sun's centre (degrees) count as."""

    day_above_deg: float = DAY_ABOVE_DEG
    night_below_deg: float = NIGHT_BELOW_DEG
    twilight: Twilight = "day"  # what is between the two


def domain_of(elevation_deg: float, config: DomainConfig = DomainConfig()) -> str | None:
    """ "day", "night", or None where twilight is to be dropped.

    Raises ValueError for NaN: then nobody but the user can tell.
    """
    if math.isnan(elevation_deg):
        raise ValueError("the sun's elevation is not known")
    if elevation_deg > config.day_above_deg:
        return "day"
    if elevation_deg < config.night_below_deg:
        return "night"
    return None if config.twilight == "drop" else config.twilight
