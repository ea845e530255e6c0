"""A rig recording with known truth, made on this machine: `simulate(out_dir, SimulationConfig())`."""

from pathlib import Path
from typing import Any

from heatnet.dataset_tools.simulate.config import SimulationConfig

__all__ = ["SimulationConfig", "simulate"]


def simulate(out_dir: Path, config: SimulationConfig) -> dict[str, Any]:
    """Simulate a drive into a folder; see `heatnet.dataset_tools.simulate.pipeline.simulate`."""
    from heatnet.dataset_tools.simulate.pipeline import simulate as run

    return run(out_dir, config)
