"""What measures depth best: alignment errors by stereo, LiDAR and both, and by LiDAR with one RGB camera.

usage: python benchmarks/calibration_depth.py OUT.jsonl RECORDING_FOLDER...     appends lines; goes on where it stopped
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from calibration_truth import Case, measured

from heatnet.calib.config import CalibrationConfig
from heatnet.calib.pipeline import calibrate
from heatnet.errors import CalibrationError

ONE_CAMERA = "lidar, left RGB camera alone"
HOW = ("stereo", "lidar", "auto", ONE_CAMERA)
WIDTH = max(map(len, HOW))


def run(case: Case, how: str) -> list[dict[str, Any]]:
    """Calibrate one recording with one source of depth."""
    row: dict[str, Any] = {"recording": case.name, "depth": how}
    views, depth = case.views, how
    if how == ONE_CAMERA:
        views, depth = replace(views, views=tuple(replace(view, right=None) for view in views.views)), "lidar"
    try:
        result = calibrate(views, case.rough, replace(CalibrationConfig(), depth=depth))
    except CalibrationError as error:
        return [{**row, "camera": "", "status": "failed", "reason": str(error)}]
    return [
        {**row, "camera": c.after.name, "status": c.status, "reason": c.reason, "error_px": case.error_px(c.after)}
        for c in result.cameras
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """A line for day and for night and each source, of the recordings that every source was tried on."""
    lines = []
    for domain in ("day", "night"):
        here = [r for r in rows if Path(r["recording"]).name.startswith(domain)]
        tried = [{r["recording"] for r in here if r["depth"] == how} for how in HOW]
        common = set.intersection(*tried)
        for how in HOW:
            mine = [r for r in here if r["depth"] == how and r["recording"] in common]
            good = [r["error_px"] for r in mine if r["status"] == "good"]
            if good:
                lines.append(
                    f"{domain:5s} {how:{WIDTH}s}: {len(good)} of {len(mine)} cameras good, error "
                    f"{np.median(good):.3f} px (median), {np.mean(good):.3f} (mean), {np.max(good):.3f} (worst)"
                )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing in the file, then print the table."""
    print(table(measured(Path(sys.argv[1]), sys.argv[2:], "depth", HOW, run)))


if __name__ == "__main__":
    main()
