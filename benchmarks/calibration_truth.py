"""Recordings with known truth, for the calibration benchmarks beside this file."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.config import CalibrationConfig
from heatnet.calib.depth_choice import choose_depth
from heatnet.calib.parameters import Estimate
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.rigid import Rigid
from heatnet.calib.scene import Scene, prepare
from heatnet.calib.uncertainty import AlignmentGrid
from heatnet.calib.views import Views
from heatnet.dataset_tools.recording import read_recorded_rig
from heatnet.dataset_tools.views import ViewsConfig, load_views


@dataclass(frozen=True)
class Case:
    """One recording, what its owner knows of the rig, and the truth."""

    name: str
    views: Views
    rough: Rig
    truth: Rig

    def scenes(self) -> tuple[Scene, ...]:
        """Its key frames made ready."""
        config = CalibrationConfig()
        return prepare(self.views, self.rough, config.edges, choose_depth(config.depth, self.views, self.rough))

    def error_px(self, found: RigCamera) -> float:
        """Mean alignment error of a camera over the grid of left RGB rays at 5 to 200 m."""
        return float(self.errors_px(found).mean())

    def errors_px(self, found: RigCamera) -> NDArray[np.float64]:
        """Alignment errors (N,) of a camera at what it sees of that grid."""
        camera = self.truth[found.name]
        grid = AlignmentGrid.of(self.truth.rgb_left, Estimate(camera.camera, camera.cam_from_cam0))
        moved = grid.displacement(Estimate(found.camera, found.cam_from_cam0))
        return np.asarray(np.linalg.norm(moved[grid.seen], axis=-1))


def read_case(folder: Path) -> Case:
    """Read a folder with a recording, rough_camchain.yaml and truth.json."""
    recording = next(p for pattern in ("*.bag", "*.mcap") for p in sorted(folder.glob(pattern)))
    rough = read_recorded_rig(folder / "rough_camchain.yaml", recording, ())
    said = json.loads((folder / "truth.json").read_text())
    truth = rough
    for camera, side in zip(rough.thermal, ("left", "right"), strict=True):
        model = replace(
            camera.camera, intrinsics=np.array(said[side]["K"]), distortion=np.array(said[side]["D"]), model="radtan"
        )
        pose = Rigid.from_matrix(said[side]["T_cam_rgb_fl"])
        truth = truth.with_camera(replace(camera, camera=model, cam_from_cam0=pose))
    return Case(str(folder.resolve()), load_views([recording], rough, ViewsConfig()), rough, truth)


def read_rows(out: Path) -> list[dict[str, Any]]:
    """The lines of a benchmark's file, of which there may be none yet."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def append_rows(out: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write what was measured at once, so that an interrupted benchmark goes on from there."""
    with out.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def measured(
    out: Path, folders: Iterable[str], key: str, values: Sequence[Any], run: Callable[[Case, Any], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """All rows of a benchmark's file, after what is missing of every folder and value (a row's `key`) was run."""
    rows = read_rows(out)
    done = {(r["recording"], r[key]) for r in rows}
    for folder in (Path(f).resolve() for f in folders):
        missing = [v for v in values if (str(folder), v) not in done]
        if missing:
            case = read_case(folder)
        for value in missing:
            fresh = run(case, value)
            append_rows(out, fresh)
            rows += fresh
    return rows
