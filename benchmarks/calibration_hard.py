"""Everything wrong at once: stamps hide a lag of 12 ms, cameras are turned by 4 degrees, focal lengths are 8 % off.

All else is as the owner's rough rig file has it. Printed: mean and 95th percentile of the alignment error before and
after, over the left RGB rays at 5 to 200 m.

usage: python benchmarks/calibration_hard.py RECORDING_FOLDER...
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from calibration_lag import delayed
from calibration_truth import Case, read_case

from heatnet.calib.pipeline import calibrate
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.rigid import Rigid, rotation_exp

LAG_MS, TURN_DEG, FOCAL = 12.0, 4.0, 0.08


def wrong(rough: RigCamera, true: RigCamera, rng: np.random.Generator) -> RigCamera:
    """A camera turned about any axis from the truth, with too long or too short a focal length."""
    axis = rng.normal(size=3)
    turn = rotation_exp(np.deg2rad(TURN_DEG) * axis / np.linalg.norm(axis))
    intrinsics = rough.camera.intrinsics.copy()
    intrinsics[:2] = true.camera.intrinsics[:2] * (1 + FOCAL * rng.choice([-1, 1]))
    rotation = turn @ true.cam_from_cam0.rotation
    place = rough.cam_from_cam0.inverse().translation
    camera = replace(rough.camera, intrinsics=intrinsics)
    return replace(rough, camera=camera, cam_from_cam0=Rigid(rotation, -rotation @ place))


def lines(case: Case) -> list[str]:
    """A line a camera."""
    rng = np.random.default_rng(0)
    rig: Rig = case.rough
    for camera in case.rough.thermal:
        rig = rig.with_camera(wrong(camera, case.truth[camera.name], rng))
    found = []
    for c in calibrate(delayed(case.views, LAG_MS), rig).cameras:
        before, after = (np.append(e.mean(), np.percentile(e, 95)) for e in map(case.errors_px, (c.before, c.after)))
        found.append(
            f"{Path(case.name).name} {c.after.name}: {c.status}, mean {before[0]:.0f} to {after[0]:.3f} px, p95 "
            f"{before[1]:.0f} to {after[1]:.3f} px, lag {c.estimate.lag_s * 1e3:.1f} ms"
        )
    return found


def main() -> None:
    """Calibrate each recording and print."""
    for folder in sys.argv[1:]:
        print("\n".join(lines(read_case(Path(folder)))), flush=True)


if __name__ == "__main__":
    main()
