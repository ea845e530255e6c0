"""How much later than their stamps say thermal images were exposed: what a calibration wrote beside its rig file."""

import json
import logging
import math
from pathlib import Path

import numpy as np

from heatnet.calib.rig import RigCamera

MAXIMUM_BYTES = 1 << 24
LONGEST_S = 0.2
_LOG = logging.getLogger(__name__)


def read_lag_ns(calibration: Path, camera: RigCamera) -> int:
    """The lag (ns) of `camera` in calibration.json beside the rig file `calibration`.

    0 where there is none, or where it speaks of another pose than the rig file: then it belongs to another calibration
    that was written into the same folder, which is logged.
    """
    path = calibration.with_name("calibration.json")
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            return 0
        entry = json.loads(path.read_text())["cameras"][camera.name]
        pose = np.asarray(entry["T_cam_cam0"], dtype=np.float64)
        lag_s = float(entry["parameters"]["lag"]["value"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return 0
    same = pose.shape == (4, 4) and np.abs(pose - camera.cam_from_cam0.matrix).max() < 1e-6
    if not same:
        _LOG.warning(
            "%s: belongs to another calibration than %s (their poses of %s differ); a lag of its stamps is not known",
            path, calibration, camera.name,
        )  # fmt: skip
    return round(lag_s * 1e9) if same and math.isfinite(lag_s) and abs(lag_s) < LONGEST_S else 0
