"""The calibration report: one HTML file that opens offline."""

import base64
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np

from heatnet.calib import figures
from heatnet.calib.overlay import Picture, grey, rgb_in_thermal, strokes
from heatnet.calib.parallel import side_by_side
from heatnet.calib.parameters import Estimate
from heatnet.calib.result import CalibrationResult, CameraResult
from heatnet.calib.scene import Scene
from heatnet.calib.views import View, Views
from heatnet.calib.words import MEANINGS
from heatnet.errors import CalibrationError
from heatnet.files import atomic_file

PICTURES = 4  # key frames shown a camera, of all recordings together
JPEG_QUALITY = 82
THUMBNAIL_WIDTH = 220
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
        depth=result.depth,
        notes=result.notes,
        candidates=views.candidates,
        dropped=views.dropped,
        used=_used(result),
        left_out=_left_out(result),
        cameras=side_by_side(lambda camera: _camera(result, camera), result.cameras, "Drawing the report"),
    )
    with atomic_file(path) as temporary:
        temporary.write_text(page)


def _camera(result: CalibrationResult, camera: CameraResult) -> dict[str, Any]:
    before = camera.before.cam_from_cam0.rotation
    turn = camera.after.cam_from_cam0.rotation @ before.T
    cosine = np.clip((np.trace(turn) - 1) / 2, -1, 1)
    covered = np.isfinite(figures.cell_counts(camera)).mean()
    return {
        "name": camera.after.name,
        "topic": camera.after.topic,
        "status": camera.status,
        "reason": camera.reason,
        "model": camera.after.camera.model,
        "size": camera.after.camera.resolution,
        "turn_deg": float(np.rad2deg(np.arccos(cosine))),
        "moved_px": _moved_px(camera),
        "stated": camera.stated_px,
        "lag": _lag(camera),
        "matches": len(camera.fit.matches),
        "tried": camera.fit.matches.tried,
        "checks": _checks(camera, result.config["limits"]),
        "rows": _rows(camera),
        "directions": camera.prior_directions(),
        "pictures": _pictures(result, camera),
        "residuals": figures.residuals(camera),
        "covered": float(covered),
        "coverage": figures.coverage(camera),
        "uncertainty": figures.uncertainty(camera, result.rig.rgb_left),
    }


def _moved_px(camera: CameraResult) -> float:
    """By how much the calibration moves the edges, on average over the alignment grid."""
    guess = Estimate(camera.before.camera, camera.before.cam_from_cam0)
    return float(np.linalg.norm(camera.grid.displacement(guess)[camera.grid.seen], axis=-1).mean())


def _lag(camera: CameraResult) -> dict[str, float]:
    last = -1  # the lag is the last parameter
    return {
        "ms": 1e3 * camera.estimate.lag_s,
        "half": 1e3 * float(camera.uncertainty.half_width[last]),
        "share": float(camera.uncertainty.prior_share[last]),
    }


def _checks(camera: CameraResult, limits: dict[str, float]) -> list[dict[str, Any]]:
    """What the verdict rests on: a question, the answer, what is needed, and whether that is met."""
    error, margin = limits["largest_error_px"], limits["least_margin"]
    views, least = len(camera.frames), int(limits["least_views"])
    return [
        _check(
            "Do the edges agree, judged by a second score?",
            f"margin {camera.score.margin:.2f} (0 chance, 1 perfect)",
            f"at least {margin:.2f}",
            camera.score.margin >= margin,
        ),
        _check(
            "Do the two halves of the drive give the same calibration?",
            f"{camera.split_half_px:.2f} px apart",
            f"less than {error:.1f} px",
            camera.split_half_px < error,
        ),
        _check(
            "How far off may it be, all told?",
            f"mean error below {camera.stated_px:.2f} px at 95 %",
            f"less than {error:.1f} px",
            camera.stated_px < error,
        ),
        _check(
            "Were there enough places and edges?",
            f"{views} key frames, {len(camera.fit.matches):,} edges",
            f"at least {least} and {int(limits['least_matches'])}",
            views >= least and len(camera.fit.matches) >= limits["least_matches"],
        ),
    ]


def _check(question: str, answer: str, needed: str, met: bool) -> dict[str, Any]:
    return {"question": question, "answer": answer, "needed": needed, "met": met}


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
        rows.append({"name": name, "means": MEANINGS.get(name, ""), "unit": unit, "share": float(share), **shown})
    return rows


def _pictures(result: CalibrationResult, camera: CameraResult) -> list[dict[str, Any]]:
    """A few key frames, the same number of every recording, spread over those that the camera saw."""
    seen = [s for s in result.scenes if s.view.thermal.get(camera.after.name)]
    recordings = sorted({s.view.recording for s in seen})
    chosen = []
    for recording in recordings:
        mine = [s for s in seen if s.view.recording == recording]
        places = np.linspace(0, len(mine) - 1, max(1, PICTURES // len(recordings)) + 2).round().astype(int)[1:-1]
        chosen += [mine[i] for i in np.unique(places)]
    return [_picture(scene, result, camera) for scene in chosen]


def _picture(scene: Scene, result: CalibrationResult, camera: CameraResult) -> dict[str, Any]:
    frame = scene.view.thermal[camera.after.name][0]
    guess = Estimate(camera.before.camera, camera.before.cam_from_cam0)
    return {
        "recording": result.recordings[scene.view.recording],
        "stamp": f"{scene.view.stamp_ns * 1e-9:.3f} s",
        "offset": f"{(frame.stamp_ns - scene.view.stamp_ns) * 1e-6:+.1f} ms",
        "thermal": _jpeg(grey(frame.pixels)),
        "rgb": _jpeg(rgb_in_thermal(scene, frame, camera.estimate, result.rig.rgb_left)),
        "before": strokes(scene, frame, guess).paths(),
        "after": strokes(scene, frame, camera.estimate).paths(),
    }


def _used(result: CalibrationResult) -> list[dict[str, Any]]:
    """The key frames that the calibration rests on, with why they were chosen and what each camera found in them."""
    reasons = {(c.recording, c.stamp_ns): c.reason for c in result.choices}
    found = {
        camera.after.name: {(f.recording, f.stamp_ns): f.matches for f in camera.frames} for camera in result.cameras
    }
    rows = []
    for scene in result.scenes:
        view = scene.view
        name = result.recordings[view.recording]
        rows.append(
            {
                "recording": name,
                "stamp": f"{view.stamp_ns * 1e-9:.3f} s",
                "reason": reasons.get((view.recording, view.stamp_ns), "given"),
                "edges": {camera: frames.get((name, view.stamp_ns), 0) for camera, frames in found.items()},
                "picture": _thumbnail(view),
            }
        )
    return rows


def _left_out(result: CalibrationResult) -> list[dict[str, str]]:
    """The key frames that were looked at and not used, with the reason."""
    return [
        {"recording": result.recordings[c.recording], "stamp": f"{c.stamp_ns * 1e-9:.3f} s", "reason": c.reason}
        for c in result.choices
        if not c.used
    ]


def _thumbnail(view: View) -> str:
    height, width = view.left.shape[:2]
    size = (THUMBNAIL_WIDTH, round(height * THUMBNAIL_WIDTH / width))
    return _jpeg(np.asarray(cv2.resize(view.left, size, interpolation=cv2.INTER_AREA), np.uint8))


def _jpeg(picture: Picture) -> str:
    """A picture (H, W) grey or (H, W, 3) RGB as a data URI."""
    colours = picture if picture.ndim == 2 else picture[..., ::-1]
    _, data = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
