"""When each sensor sees the world, and under which stamp it says so."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.simulate.config import SimulationConfig

THERMAL_BEHIND_S = 0.004  # thermal frames fall this much after RGB
THERMAL_PERIOD_S = 1 / 30
TF_PERIOD_NS = 50_000_000


@dataclass(frozen=True)
class KeyFrame:
    """The stamps around one RGB pair; `segment_ns` is the span of odometry that goes with it."""

    index: int
    rgb_ns: int
    thermal_ns: tuple[int, ...]
    lidar_ns: int
    segment_ns: tuple[int, int]


@dataclass(frozen=True)
class Schedule:
    """All stamps of a recording; `start_ns` is time 0 of the drive."""

    start_ns: int
    keys: tuple[KeyFrame, ...]

    def seconds(self, stamp_ns: int) -> float:
        """The drive's time of a stamp."""
        return (stamp_ns - self.start_ns) * 1e-9


def make_schedule(config: SimulationConfig, start_ns: int) -> Schedule:
    """Key frames about an interval apart, thermal frames at, and often 33 ms before and after, each."""
    rng = np.random.default_rng([config.seed, 3])
    interval = round(config.interval_s * 1e9)
    first = start_ns - interval // 2
    keys = []
    for index in range(config.frames):
        rgb = start_ns + index * interval + int(rng.normal(0, 2e6) if index else 0)
        middle = rgb + round((THERMAL_BEHIND_S + abs(rng.normal(0, 6e-4))) * 1e9)
        period = round(THERMAL_PERIOD_S * 1e9)
        around = [middle + k * period + int(rng.normal(0, 7e5)) for k in (-1, 1) if rng.random() < 0.6]
        lidar = rgb + int(rng.uniform(-2e7, 2e7))
        segment = (first + index * interval, first + (index + 1) * interval)
        keys.append(KeyFrame(index, rgb, tuple(sorted([middle, *around])), lidar, segment))
    return Schedule(start_ns, tuple(keys))


def odometry_stamps(key: KeyFrame) -> NDArray[np.int64]:
    """Stamps of the odometry in a key frame's segment, at 20 Hz."""
    return np.arange(key.segment_ns[0], key.segment_ns[1], TF_PERIOD_NS, dtype=np.int64)
