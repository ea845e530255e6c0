"""Calibrations from random wrong starts: how many end right, and whether any is confidently wrong.

Each start is the truth turned by up to 8 degrees about any axis, its focal length up to 15 % and its centre up to 20 px
off, its distortion forgotten, and its place up to 3 cm off. Besides, for every recording, one start from the datasheet
alone (the field of view of the undistorted image, the centre of the image, no rotation) and a tape measure (place
rounded to a centimetre).

usage: python benchmarks/calibration_starts.py OUT.jsonl COUNT RECORDING_FOLDER...     COUNT starts, spread over the
recordings; appends lines, goes on where it stopped; with COUNT 0 prints the table only
"""

import itertools
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from calibration_truth import Case, append_rows, read_case, read_rows

from heatnet.calib.pipeline import calibrate
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.rigid import Rigid, rotation_exp
from heatnet.errors import CalibrationError

RIGHT_PX = 0.3
TURN_DEG, FOCAL, CENTRE_PX, PLACE_M = 8.0, 0.15, 20.0, 0.03


def random_start(camera: RigCamera, rng: np.random.Generator) -> RigCamera:
    """A camera as wrong as an owner's guess may be."""
    axis, way = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
    turn = rotation_exp(np.deg2rad(rng.uniform(0, TURN_DEG)) * axis)
    place = camera.cam_from_cam0.inverse().translation + rng.uniform(0, PLACE_M) * way
    intrinsics = camera.camera.intrinsics.copy()
    intrinsics[:2] = intrinsics[:2].mean() * (1 + rng.uniform(-FOCAL, FOCAL))
    angle = rng.uniform(0, 2 * np.pi)
    intrinsics[2:] += rng.uniform(0, CENTRE_PX) * np.array([np.cos(angle), np.sin(angle)])
    return _placed(camera, intrinsics, turn @ camera.cam_from_cam0.rotation, place)


def datasheet_start(camera: RigCamera) -> RigCamera:
    """A camera as its datasheet has it, parallel to the left RGB camera, placed by a tape measure."""
    width, height = camera.camera.resolution
    rays, _ = camera.camera.unproject(np.array([[0.0, (height - 1) / 2], [width - 1.0, (height - 1) / 2]]))
    view = np.arctan(-rays[0, 0]) + np.arctan(rays[1, 0])
    focal = (width - 1) / 2 / np.tan(np.round(np.rad2deg(view)) / 2 * np.pi / 180)
    intrinsics = np.array([focal, focal, (width - 1) / 2, (height - 1) / 2])
    return _placed(camera, intrinsics, np.eye(3), np.round(camera.cam_from_cam0.inverse().translation, 2))


def _placed(camera: RigCamera, intrinsics: np.ndarray, rotation: np.ndarray, place: np.ndarray) -> RigCamera:
    model = replace(camera.camera, intrinsics=intrinsics, distortion=np.zeros_like(camera.camera.distortion))
    return replace(camera, camera=model, cam_from_cam0=Rigid(rotation, -rotation @ place))


def run(case: Case, start: int) -> list[dict[str, Any]]:
    """Calibrate from one start; number 0 is the datasheet's."""
    rng = np.random.default_rng([start, sum(case.name.encode())])
    rig: Rig = case.truth
    for camera in case.truth.thermal:
        rig = rig.with_camera(random_start(camera, rng) if start else datasheet_start(camera))
    said = {"recording": case.name, "start": start}
    begun = time.process_time()
    try:
        result = calibrate(case.views, rig)
    except CalibrationError as error:
        return [said | {"camera": c.name, "status": "failed", "reason": str(error)} for c in rig.thermal]
    seconds = time.process_time() - begun
    return [
        said
        | {
            "camera": c.after.name,
            "status": c.status,
            "reason": c.reason,
            "from_px": case.error_px(c.before),
            "error_px": case.error_px(c.after),
            "stated_px": c.stated_px,
            "margin": c.score.margin,
            "cpu_s": seconds,
        }
        for c in result.cameras
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """Where the starts ended."""
    lines = [
        f"{'start':10s} {'cameras':>8s} {'within':>8s} {'told':>6s} {'wrong':>6s} {'worst from':>11s} {'worst':>7s}"
    ]
    for name, chosen in (
        ("random", [r for r in rows if r["start"]]),
        ("datasheet", [r for r in rows if not r["start"]]),
    ):
        ended = [r for r in chosen if r["status"] == "good"]
        within = sum(r["error_px"] <= RIGHT_PX for r in ended)
        wrong = sum(r["error_px"] > max(RIGHT_PX, r["stated_px"]) for r in ended)
        begun = max((r["from_px"] for r in ended), default=np.nan)
        worst = max((r["error_px"] for r in ended), default=np.nan)
        told = len(chosen) - len(ended)
        lines.append(f"{name:10s} {len(chosen):8d} {within:8d} {told:6d} {wrong:6d} {begun:8.0f} px {worst:4.2f} px")
    lines.append(
        f"within: good and within {RIGHT_PX} px; told: failed or inconclusive; wrong: good, beyond {RIGHT_PX} px and "
        "beyond the stated error"
    )
    for r in rows:
        if r["status"] != "good" or r["error_px"] > RIGHT_PX:
            what = f"{r.get('error_px', np.nan):.2f} px, stated {r.get('stated_px', np.nan):.2f} px"
            lines.append(
                f"  {Path(r['recording']).name} {r['camera']} start {r['start']}: {what}, {r['status']}, {r['reason']}"
            )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing in the file, then print the table."""
    out, count, folders = Path(sys.argv[1]), int(sys.argv[2]), [Path(a).resolve() for a in sys.argv[3:]]
    rows = read_rows(out)
    done = {(r["recording"], r["start"]) for r in rows}
    wanted = [(f, 0) for f in folders] + list(zip(itertools.cycle(folders), range(1, count + 1), strict=False))
    for folder in folders if count else []:
        missing = [start for f, start in wanted if f == folder and (str(folder), start) not in done]
        case = read_case(folder) if missing else None
        for start in missing if case else []:
            assert case is not None
            fresh = run(case, start)
            rows += fresh
            append_rows(out, fresh)
    print(table(rows))


if __name__ == "__main__":
    main()
