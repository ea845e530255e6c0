"""What a calibration wrote beside its rig file and into it: how late thermal stamps are, and whom it does not trust."""

import json
import logging
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from heatnet.calib.rig import RigCamera

MAXIMUM_BYTES = 1 << 24
LONGEST_S = 0.2
_LOG = logging.getLogger(__name__)


def read_lag_ns(calibration: Path, camera: RigCamera) -> int:
    """How much later (ns) than their stamps say the images of `camera` were exposed, by calibration.json beside the rig
    file `calibration`.

    0 where there is none, or where it speaks of another pose than the rig file: then it belongs to another calibration
    that was written into the same folder, which is logged. So is a camera that the calibration does not call good.
    """
    said, belongs = _said(calibration, camera)
    lag_ns = _lag_ns(said) if belongs else 0
    if said and not belongs:
        _LOG.warning(
            "%s: belongs to another calibration than %s (their poses of %s differ); a lag of its stamps is not known",
            calibration.with_name("calibration.json"), calibration, camera.name,
        )  # fmt: skip
    doubt = _doubt(calibration, camera, said if belongs else {})
    if doubt:
        late = f" with its lag of {lag_ns / 1e6:.1f} ms" if lag_ns else ""
        _LOG.warning("%s: %s; it is used all the same%s", calibration, doubt, late)
    return lag_ns


def _said(calibration: Path, camera: RigCamera) -> tuple[dict[str, Any], bool]:
    """What calibration.json says of a camera, empty where nothing; and whether it is the pose of the rig file."""
    path = calibration.with_name("calibration.json")
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            return {}, False
        entry = json.loads(path.read_text())["cameras"][camera.name]
        pose = np.asarray(entry["T_cam_cam0"], dtype=np.float64)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}, False
    return entry, pose.shape == (4, 4) and bool(np.abs(pose - camera.cam_from_cam0.matrix).max() < 1e-6)


def _lag_ns(said: dict[str, Any]) -> int:
    try:
        lag_s = float(said["parameters"]["lag"]["value"])
    except (ValueError, TypeError, KeyError):
        return 0
    return round(lag_s * 1e9) if math.isfinite(lag_s) and abs(lag_s) < LONGEST_S else 0


def _doubt(calibration: Path, camera: RigCamera, said: dict[str, Any]) -> str:
    """Why a camera is not to be used: by a comment of the calibration in the rig file itself, else by what it `said`
    beside it; empty where it is good or nobody says.
    """
    comment = re.compile(rf"# ({camera.name} (is \w+, do not use it: .*|.*; left as given))")
    found = next((match for line in calibration.read_text().splitlines() if (match := comment.fullmatch(line))), None)
    if found:
        return found[1]
    status = said.get("status", "good")
    return "" if status == "good" else " ".join(f"{camera.name} is {status}: {said.get('reason')}".split())[:300]
