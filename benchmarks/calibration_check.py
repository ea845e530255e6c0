"""Right and wrong calibrations against recordings: how often `heatnet check` is sure, and how often it is wrong then.

Every thermal camera is checked as the truth has it (or a hundredth of a degree beside it) and turned by 0.1 to 2
degrees about any axis or with a focal length 0.5 to 5 % off, in turns. A calibration is off when its mean alignment
error at 5 to 200 m is above the tolerance; the table also counts by what was done to it.

usage: python benchmarks/calibration_check.py OUT.jsonl RECORDING_FOLDER...     appends lines; skips folders done
"""

import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from calibration_truth import Case, append_rows, read_case, read_rows

from heatnet.calib.check import CameraCheck, CheckConfig, check_scenes
from heatnet.calib.parameters import Estimate
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.scene import Scene
from heatnet.calib.uncertainty import AlignmentGrid

ROUNDS = 4  # calibrations a recording; every second one is off
TURNS_DEG, FOCAL = (0.1, 2.0), (0.005, 0.05)


def spoiled(camera: RigCamera, what: str, rng: np.random.Generator) -> tuple[RigCamera, float]:
    """The camera made wrong, and by how much (degrees or share)."""
    estimate = Estimate(camera.camera, camera.cam_from_cam0)
    step = np.zeros(len(estimate.names))
    axis = rng.normal(size=3)
    if what == "focal":
        amount = float(np.exp(rng.uniform(*np.log(FOCAL)))) * rng.choice([-1, 1])
        step[6:8] = amount * camera.camera.intrinsics[:2]
    else:
        amount = 0.01 if what == "right" else float(np.exp(rng.uniform(*np.log(TURNS_DEG))))
        step[:3] = np.deg2rad(amount) * axis / np.linalg.norm(axis)
    moved = estimate.moved(step)
    return replace(camera, camera=moved.camera, cam_from_cam0=moved.cam_from_cam0), amount


def run(case: Case, scenes: tuple[Scene, ...], seed: int) -> list[dict[str, Any]]:
    """Check the truth and spoiled truths."""
    rng = np.random.default_rng(seed)
    rows = []
    for turn in range(ROUNDS):
        what = ("right", "turned", "right", "focal")[turn % 4]
        rig: Rig = case.truth
        amounts = {}
        for camera in case.truth.thermal:
            wrong, amounts[camera.name] = spoiled(camera, what, rng)
            rig = rig.with_camera(wrong)
        begun = time.process_time()
        checked = check_scenes(scenes, rig, CheckConfig())
        seconds = (time.process_time() - begun) / len(checked)
        rows += [row(case, rig, c, what, amounts[c.given.name], seconds) for c in checked]
    return rows


def row(case: Case, rig: Rig, checked: CameraCheck, what: str, amount: float, seconds: float) -> dict[str, Any]:
    """One line of the file."""
    camera, given = case.truth[checked.given.name], rig[checked.given.name]
    grid = AlignmentGrid.of(rig.rgb_left, Estimate(camera.camera, camera.cam_from_cam0))
    moved = grid.displacement(Estimate(given.camera, given.cam_from_cam0))
    return {
        "recording": case.name,
        "camera": camera.name,
        "what": what,
        "amount": amount,
        "error_px": float(np.linalg.norm(moved[grid.seen], axis=-1).mean()),
        "status": checked.status,
        "interval_px": list(checked.interval_px),
        "distance_px": checked.distance_px,
        "margin": checked.refined_score.margin if checked.refined_score else None,
        "cpu_s": seconds,
        "reason": checked.reason,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Verdicts by what was done, then the share of sure verdicts that are wrong."""
    tolerance = CheckConfig().tolerance_px
    lines = [f"{'calibration':28s} {'pass':>6s} {'fail':>6s} {'inconclusive':>13s}"]
    groups = {
        "right": lambda r: r["what"] == "right",
        "turned 0.1 to 0.3 degrees": lambda r: r["what"] == "turned" and r["amount"] < 0.3,
        "turned 0.3 to 2 degrees": lambda r: r["what"] == "turned" and r["amount"] >= 0.3,
        "focal length off 0.5 to 1.5 %": lambda r: r["what"] == "focal" and abs(r["amount"]) < 0.015,
        "focal length off 1.5 to 5 %": lambda r: r["what"] == "focal" and abs(r["amount"]) >= 0.015,
        f"error above {tolerance} px": lambda r: r["error_px"] > tolerance,
        f"error below {tolerance} px": lambda r: r["error_px"] <= tolerance,
    }
    for name, chosen in groups.items():
        count = Counter(r["status"] for r in rows if chosen(r))
        lines.append(f"{name:28s} {count['pass']:6d} {count['fail']:6d} {count['inconclusive']:13d}")
    wrong = [r for r in rows if r["status"] == ("pass" if r["error_px"] > tolerance else "fail")]
    labelled = [r for r in rows if r["status"] == ("fail" if r["what"] == "right" else "pass")]
    lines.append(f"sure and wrong: {len(wrong)} of {len(rows)} by the tolerance, {len(labelled)} by what was done")
    lines.append(
        f"CPU time a camera: {np.median([r['cpu_s'] for r in rows]):.1f} s (median), edges and depth not counted"
    )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing in the file, then print the table."""
    out = Path(sys.argv[1])
    done = {r["recording"] for r in read_rows(out)}
    for folder in map(Path, sys.argv[2:]):
        case = read_case(folder)
        if case.name in done:
            continue
        rows = run(case, case.scenes(), sum(case.name.encode()))
        append_rows(out, rows)
    print(table(read_rows(out)))


if __name__ == "__main__":
    main()
