"""The calibration report: one HTML file that opens offline."""

import base64
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np

from heatnet.calib import figures
from heatnet.calib.overlay import Picture, overlay
from heatnet.calib.parameters import Estimate
from heatnet.calib.result import CalibrationResult, CameraResult
from heatnet.calib.scene import Scene
from heatnet.calib.views import Views
from heatnet.errors import CalibrationError
from heatnet.files import atomic_file

PICTURES = 3  # key frames shown a camera
JPEG_QUALITY = 82
UNITS = {
    "rotation": ("°", 180 / np.pi, 3),
    "translation": ("cm", 100.0, 2),
    "f": ("px", 1.0, 2),
    "c": ("px", 1.0, 2),
    "lag": ("ms", 1000.0, 2),
}


def write_report(result: CalibrationResult, views: Views, path: Path) -> None:
    """Write the report of a calibration on `views` to `path`, whole or not at all."""
    if not result.scenes:
        raise CalibrationError(f"{path}: the result holds no key frames to show")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("heatnet.calib", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html").render(
        recordings=views.names(),
        status=result.status,
        key_frames=len(views.views),
        candidates=views.candidates,
        dropped=views.dropped,
        cameras=[_camera(result, camera) for camera in result.cameras],
    )
    with atomic_file(path) as temporary:
        temporary.write_text(page)


def _camera(result: CalibrationResult, camera: CameraResult) -> dict[str, Any]:
    before = camera.before.cam_from_cam0.rotation
    turn = camera.after.cam_from_cam0.rotation @ before.T
    cosine = np.clip((np.trace(turn) - 1) / 2, -1, 1)
    return {
        "name": camera.after.name,
        "topic": camera.after.topic,
        "status": camera.status,
        "reason": camera.reason,
        "model": camera.after.camera.model,
        "turn_deg": float(np.rad2deg(np.arccos(cosine))),
        "stated": camera.stated_px,
        "halves": camera.split_half_px,
        "held_out": camera.held_out_px,
        "margin": camera.score.margin,
        "matches": len(camera.fit.matches),
        "tried": camera.fit.matches.tried,
        "rows": _rows(camera),
        "directions": camera.prior_directions(),
        "frames": camera.frames,
        "pictures": _pictures(result.scenes, camera),
        "residuals": figures.residuals(camera),
        "coverage": figures.coverage(camera),
        "uncertainty": figures.uncertainty(camera, result.rig.rgb_left),
    }


def _rows(camera: CameraResult) -> list[dict[str, Any]]:
    """The parameters as people read them."""
    uncertainty = camera.uncertainty
    before = camera.values(Estimate(camera.before.camera, camera.before.cam_from_cam0))
    columns = (camera.estimate.names, before, camera.values(), uncertainty.half_width, uncertainty.prior_share)
    rows = []
    for name, guess, value, half, share in zip(*columns, strict=True):
        unit, factor, digits = next((u for start, u in UNITS.items() if name.startswith(start)), ("", 1.0, 4))
        numbers = {"guess": guess, "value": value, "half": half}
        shown = {key: f"{number * factor:.{digits}f}" for key, number in numbers.items()}
        rows.append({"name": name, "unit": unit, "share": float(share), **shown})
    return rows


def _pictures(scenes: tuple[Scene, ...], camera: CameraResult) -> list[dict[str, Any]]:
    """Before and after on a few key frames, spread over those that the camera saw."""
    seen = [s for s in scenes if s.view.thermal.get(camera.after.name)]
    chosen = np.unique(np.linspace(0, len(seen) - 1, PICTURES + 2).round().astype(int)[1:-1])
    guess = Estimate(camera.before.camera, camera.before.cam_from_cam0)
    pictures = []
    for scene in (seen[i] for i in chosen):
        frame = scene.view.thermal[camera.after.name][0]
        pictures.append(
            {
                "stamp": f"{scene.view.stamp_ns * 1e-9:.3f} s",
                "offset": f"{(frame.stamp_ns - scene.view.stamp_ns) * 1e-6:+.1f} ms",
                "before": _jpeg(overlay(scene, frame, guess)),
                "after": _jpeg(overlay(scene, frame, camera.estimate)),
            }
        )
    return pictures


def _jpeg(picture: Picture) -> str:
    """A picture (H, W, 3) RGB as a data URI."""
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
