"""How to calibrate."""

from dataclasses import dataclass, field

from heatnet.calib.coarse import CoarseConfig
from heatnet.calib.edges import EdgeConfig
from heatnet.calib.parameters import Prior
from heatnet.calib.verdict import Limits


@dataclass(frozen=True)
class CalibrationConfig:
    """How to calibrate."""

    depth: str = "auto"  # one of depth_choice.DEPTHS
    seed: int = 0
    edges: EdgeConfig = field(default_factory=EdgeConfig)
    coarse: CoarseConfig = field(default_factory=CoarseConfig)
    prior: Prior = field(default_factory=Prior)
    coarse_views: int = 6  # key frames that the search for the basin looks at
    limits: Limits = field(default_factory=Limits)
