"""What can be asked of the simulator."""

import math
from dataclasses import dataclass
from typing import Literal

from heatnet.errors import HeatNetError


@dataclass(frozen=True)
class SimulationConfig:
    """A drive to simulate; the same configuration gives the same bytes on one machine."""

    night: bool = False
    frames: int = 20  # key frames, that is RGB stereo pairs
    seed: int = 0  # street, weather, drive, noise and the true thermal cameras
    rig_seed: int | None = None  # of the thermal cameras, where several drives share one rig; None: `seed`
    format: Literal["bag", "mcap"] = "bag"
    compressed: bool | None = None  # JPEG and PNG messages instead of raw ones; None: by night only
    interval_s: float = 1.0  # between key frames
    speed_mps: float = 8.0  # mean speed of the car
    thermal_lag_ms: float = 0.0  # by how much thermal images are older than their stamps say
    scale: float = 1.0  # of every camera's resolution and of the LiDAR's columns
    edge_samples: int = 4  # rays a pixel where two surfaces, or sun and shadow, meet in it
    view_m: float = 190.0  # of street beyond the last place of the car
    workers: int = 2  # threads that render

    def __post_init__(self) -> None:
        lowest = {
            "frames": 1,
            "seed": 0,
            "rig_seed": 0,
            "interval_s": 0.1,
            "speed_mps": 1.0,
            "scale": 0.05,
            "edge_samples": 1,
            "workers": 1,
        }
        for field, least in lowest.items():
            value = getattr(self, field)
            if value is not None and not least <= value < math.inf:
                raise HeatNetError(f"simulation: {field} is {value}; at least {least} is needed")

    @property
    def name(self) -> str:
        """The stem of the recording's file."""
        return "night" if self.night else "day"

    @property
    def cameras_seed(self) -> int:
        """What the thermal cameras are drawn from."""
        return self.seed if self.rig_seed is None else self.rig_seed

    @property
    def compress(self) -> bool:
        """Whether images are written as CompressedImage."""
        return self.night if self.compressed is None else self.compressed
