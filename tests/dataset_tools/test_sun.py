"""The sun stands where astronomers say, and day is day."""

import math
from datetime import datetime, timezone

import numpy as np
import pytest

from heatnet.dataset_tools.sun import DomainConfig, Place, domain_of, sun_elevation_deg


def almanac_elevation_deg(latitude_deg: float, longitude_deg: float, stamp_ns: int) -> float:
    """The low-precision formulas of the Astronomical Almanac (page C5): 0.01 degrees from 1950 to 2050."""
    days = stamp_ns / 86_400e9 + 2440587.5 - 2451545.0
    longitude, anomaly = np.radians(280.460 + 0.9856474 * days), np.radians(357.528 + 0.9856003 * days)
    ecliptic = longitude + np.radians(1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.radians(23.439 - 0.0000004 * days)
    declination = np.arcsin(np.sin(obliquity) * np.sin(ecliptic))
    ascension = np.arctan2(np.cos(obliquity) * np.sin(ecliptic), np.cos(ecliptic))
    sidereal = np.radians((18.697374558 + 24.06570982441908 * days) % 24 * 15 + longitude_deg)
    latitude = np.radians(latitude_deg)
    hour = sidereal - ascension
    sine = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour)
    return float(np.degrees(np.arcsin(np.clip(sine, -1, 1))))


def stamp(*when: int) -> int:
    return int(datetime(*when, tzinfo=timezone.utc).timestamp()) * 10**9


def test_the_sun_stands_where_the_astronomical_almanac_says_poles_and_all_dates_included() -> None:
    rng = np.random.default_rng(0)
    latitudes = np.concatenate([rng.uniform(-90, 90, 400), [90, -90, 89.99, -89.99, 0] * 20])
    longitudes = np.concatenate([rng.uniform(-180, 180, 450), [-180, 180, 0, 179.999, -179.999] * 10])
    stamps = rng.integers(stamp(2000, 1, 1), stamp(2049, 12, 31), 500)
    for latitude, longitude, when in zip(latitudes, longitudes, stamps, strict=True):
        expected = almanac_elevation_deg(latitude, longitude, int(when))
        assert sun_elevation_deg(latitude, longitude, int(when)) == pytest.approx(expected, abs=0.03)


def test_the_sun_stands_where_a_second_library_says() -> None:
    astral_sun = pytest.importorskip("astral.sun")
    from astral import Observer

    rng = np.random.default_rng(1)
    for when in rng.integers(stamp(2000, 1, 1), stamp(2060, 1, 1), 300):
        latitude, longitude = float(rng.uniform(-89, 89)), float(rng.uniform(-180, 180))
        time = datetime.fromtimestamp(int(when) // 10**9, timezone.utc)
        expected = astral_sun.elevation(Observer(latitude, longitude), time, with_refraction=False)
        assert sun_elevation_deg(latitude, longitude, int(when)) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("day", [(2024, 2, 29), (2020, 12, 31), (2000, 1, 1), (2026, 6, 21), (2026, 3, 20)])
def test_leap_days_and_turns_of_the_year_are_days_like_others(day: tuple[int, int, int]) -> None:
    for hour in range(24):
        when = stamp(*day, hour, 59, 59)
        assert sun_elevation_deg(48.0, 7.85, when) == pytest.approx(almanac_elevation_deg(48.0, 7.85, when), abs=0.1)


def test_the_sun_over_freiburg() -> None:
    """2019-08-08: a summer's noon in central Europe, and the midnight after it."""
    assert sun_elevation_deg(48.0135, 7.8331, stamp(2019, 8, 8, 11, 34)) == pytest.approx(90 - 48.01 + 16.0, abs=0.3)
    assert sun_elevation_deg(48.0135, 7.8331, stamp(2019, 8, 9, 0, 0)) < -20


def test_stamps_that_count_from_a_boot_tell_nothing() -> None:
    assert math.isnan(sun_elevation_deg(48.0, 7.8, 12_345 * 10**9))
    assert math.isnan(sun_elevation_deg(float("nan"), 7.8, stamp(2020, 1, 1)))
    nowhere = Place(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    assert math.isnan(nowhere.sun_elevation_deg(stamp(2020, 1, 1)))


def test_the_place_nearest_in_time_counts() -> None:
    noon = stamp(2020, 6, 21, 12)
    place = Place(np.array([noon - 10**9, noon + 10**9]), np.array([0.0, 60.0]), np.array([0.0, 0.0]))
    assert place.sun_elevation_deg(noon + 1) == pytest.approx(sun_elevation_deg(60, 0, noon + 1))
    assert place.sun_elevation_deg(noon - 1) == pytest.approx(sun_elevation_deg(0, 0, noon - 1))


def test_day_is_above_the_horizon_and_night_below_civil_twilight() -> None:
    assert domain_of(0.1) == "day" and domain_of(-6.1) == "night"
    assert [domain_of(-3.0, DomainConfig(twilight=t)) for t in ("day", "night", "drop")] == ["day", "night", None]
    shifted = DomainConfig(5.0, 2.0, "drop")
    assert [domain_of(elevation, shifted) for elevation in (5.1, 3.0, 1.9)] == ["day", None, "night"]
    with pytest.raises(ValueError, match="not known"):
        domain_of(float("nan"))
