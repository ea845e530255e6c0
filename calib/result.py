"""What a calibration gives: the refined rig, and how far to trust it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camchain import rig_text
from heatnet.calib.observability import lag_note, prior_directions
from heatnet.calib.parameters import POSE, Estimate
from heatnet.calib.refine import Fit
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.rigid import rotation_log
from heatnet.calib.scene import Scene
from heatnet.calib.score import Score
from heatnet.calib.uncertainty import AlignmentGrid, Uncertainty
from heatnet.calib.verdict import Status
from heatnet.calib.views import Choice
from heatnet.calib.words import weak_directions
from heatnet.errors import CalibrationError
from heatnet.files import atomic_file, finite

FORMAT_VERSION = 1
BESIDE = "calibration.json"  # what the camchain is explained in


@dataclass(frozen=True)
class FrameUse:
    """What one key frame gave."""

    recording: str
    stamp_ns: int
    matches: int


@dataclass(frozen=True)
class CameraResult:
    """One thermal camera before and after."""

    before: RigCamera
    after: RigCamera
    fit: Fit
    uncertainty: Uncertainty
    grid: AlignmentGrid
    score: Score
    frames: tuple[FrameUse, ...]
    held_out_px: float  # median distance of matches from a calibration without their key frame
    split_half_px: float  # mean distance between the calibrations of two halves
    stated_px: float  # the mean alignment error is below this in 95 % of all cases
    status: Status
    reason: str

    @property
    def estimate(self) -> Estimate:
        """The estimate that the result speaks of."""
        return self.fit.estimate

    def values(self, of: Estimate | None = None) -> NDArray[np.float64]:
        """Values (P,) as people read them: rotation vector, centre of the camera in cam0, intrinsics, lag."""
        estimate = of or self.estimate
        pose, camera = estimate.cam_from_cam0, estimate.camera
        turn, centre = rotation_log(pose.rotation), pose.inverse().translation
        return np.concatenate([turn, centre, camera.intrinsics, camera.distortion, [estimate.lag_s]])

    def prior_directions(self) -> list[str]:
        """In plain words, what the data did not fix."""
        sure = self.uncertainty
        moved_px = np.array([self.grid.mean_error(step) for step in sure.deviations().T])
        lines = weak_directions(self.estimate.names, sure.prior_share, sure.correlation(), moved_px)
        return [*lines, lag_note(self.fit, sure)]

    @property
    def parts_px(self) -> dict[str, float]:
        """What the stated error is made of: root mean square alignment error in pixels by cause."""
        sure = self.uncertainty
        parts = {"scatter_of_key_frames": sure.scatter, "biases_shared": sure.shared, "prior": sure.prior}
        return {name: self.grid.mean_square(part) ** 0.5 for name, part in parts.items()}

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        units = {"rotation": "rad", "translation": "m", "f": "px", "c": "px", "lag": "s"}
        directions = prior_directions(self.estimate.names, self.uncertainty, self.grid)
        parameters = {}
        rows = zip(
            self.estimate.names, self.values(), self.uncertainty.half_width, self.uncertainty.prior_share, strict=True
        )
        for name, value, half, share in rows:
            unit = next((u for start, u in units.items() if name.startswith(start)), "")
            interval = [float(value - half), float(value + half)]
            parameters[name] = {"value": float(value), "interval_95": interval, "prior_share": float(share)}
            if unit:
                parameters[name]["unit"] = unit
        return {
            "topic": self.after.topic,
            "status": self.status,
            "reason": self.reason,
            "image": "raw",
            "distortion_model": self.after.camera.model,
            "T_cam_cam0": self.estimate.cam_from_cam0.matrix.tolist(),
            "directions": f"T_cam_cam0 maps points of cam0 into {self.after.name}; {POSE[3][:-2]} is the centre of "
            f"{self.after.name} in cam0; rotation is the rotation vector of T_cam_cam0",
            "parameters": parameters,
            "from_prior": self.prior_directions(),
            "weak_directions": [vars(d) for d in directions],
            "alignment_error_px": {
                "stated_95": self.stated_px if self.status == "good" else None,
                "parts": self.parts_px,
                "split_half": self.split_half_px,
                "held_out_median_residual": self.held_out_px,
            },
            "score": {"agreement": self.score.agreement, "margin": self.score.margin},
            "matches": len(self.fit.matches),
            "frames": [vars(frame) for frame in self.frames],
        }


def _camera_lines(result: CameraResult) -> list[str]:
    camera, centre = result.after.camera, result.after.cam_from_cam0.inverse().translation
    turn = np.rad2deg(np.linalg.norm(rotation_log(_turned(result))))
    numbers = " ".join(f"{v:.2f}" for v in camera.intrinsics), " ".join(f"{v:.4f}" for v in camera.distortion)
    return [
        f"{result.after.name} {result.after.topic}: {result.status}, {result.reason}",
        f"  fx fy cx cy {numbers[0]}   {camera.model} {numbers[1]}",
        f"  centre in cam0 {' '.join(f'{v:.3f}' for v in centre)} m, turned by {turn:.2f} degrees from the guess",
    ]


def _turned(result: CameraResult) -> NDArray[np.float64]:
    return result.after.cam_from_cam0.rotation @ result.before.cam_from_cam0.rotation.T


@dataclass(frozen=True)
class CalibrationResult:
    """The refined rig and one result a thermal camera."""

    rig: Rig
    cameras: tuple[CameraResult, ...]
    config: dict[str, Any]
    scenes: tuple[Scene, ...] = field(default=(), repr=False)  # for pictures
    depth: str = "stereo"  # where the depth of edges came from
    notes: tuple[str, ...] = ()  # what was assumed, in plain words
    recordings: tuple[str, ...] = ()  # names
    choices: tuple[Choice, ...] = ()  # which of the key frames looked at were used, and why
    lost: dict[str, str] = field(default_factory=dict)  # why nothing is found of a camera, by its name

    @property
    def status(self) -> Status:
        """Good where every camera is."""
        return "good" if not self.unseen and all(c.status == "good" for c in self.cameras) else "inconclusive"

    @property
    def unseen(self) -> tuple[str, ...]:
        """What to say of thermal cameras of the rig that the recordings show nothing of."""
        known = {c.after.name for c in self.cameras}
        return tuple(
            f"{c.name} {self.lost.get(c.name, f'{c.topic}: no frame in the recordings')}; left as given"
            for c in self.rig.thermal
            if c.name not in known
        )

    def lines(self) -> list[str]:
        """The result in a few lines for people."""
        depth = [f"depth from {self.depth}", *self.notes] if self.notes else []
        return [*(line for camera in self.cameras for line in _camera_lines(camera)), *self.unseen, *depth]

    def as_dict(self) -> dict[str, Any]:
        """What calibration.json holds."""
        cameras = {camera.after.name: camera.as_dict() for camera in self.cameras}
        return {
            "format_version": FORMAT_VERSION,
            "status": self.status,
            "depth": {"from": self.depth, "notes": list(self.notes)},
            "unseen": list(self.unseen),
            "cameras": cameras,
            "key_frames": [vars(c) | {"recording": self.recordings[c.recording]} for c in self.choices],
            "config": self.config,
        }


def write_calibration(result: CalibrationResult, path: Path) -> Path:
    """Write the camchain YAML at `path` and calibration.json beside it; returns the path of the latter.

    Both are on the disk before either takes its name. Raises CalibrationError where `path` cannot name a camchain,
    HeatNetError where the system refuses.
    """
    beside = path.parent / BESIDE
    refuse_output(path)
    with atomic_file(beside) as described:
        described.write_text(json.dumps(finite(result.as_dict()), indent=1, allow_nan=False))
        with atomic_file(path) as camchain:
            camchain.write_text(_warnings(result) + rig_text(result.rig))
    return beside


def _warnings(result: CalibrationResult) -> str:
    """Comments that warn of the cameras that did not convince."""
    doubtful = (c for c in result.cameras if c.status != "good")
    said = [f"{c.after.name} is {c.status}, do not use it: {c.reason}" for c in doubtful]
    return "".join(f"# {' '.join(line.split())}\n" for line in (*said, *result.unseen))


def refuse_output(path: Path) -> None:
    """Raise CalibrationError where `path` cannot name a camchain."""
    beside = path.parent / BESIDE
    if path.name == BESIDE:
        raise CalibrationError(f"{path}: {BESIDE} is written beside the camchain; name the camchain something.yaml")
    for output in (path, beside):
        if output.is_dir():
            raise CalibrationError(f"{output}: is a folder, where a file is to be written")
