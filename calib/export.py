"""A rig for other programs: ROS camera_info YAML and OpenCV YAML, a file a camera.

ROS: the format of camera_calibration_parsers; plumb_bob is radtan with k3, equidistant has the same name. OpenCV: what
cv2.FileStorage reads; equidistant is the model of cv2.fisheye. All of it speaks of raw images, and pixel (0, 0) is the
centre of the top-left pixel in both.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.rig import Rig, RigCamera
from heatnet.errors import CalibrationError
from heatnet.files import atomic_file

Array = NDArray[np.float64]


def export_rig(rig: Rig, camchain: Path, kinds: Iterable[str]) -> list[Path]:
    """Write every camera of `rig` beside `camchain`, as each of `kinds` (EXPORTS) wants it; returns the paths.

    Raises CalibrationError for a kind that is not known, HeatNetError where the system refuses.
    """
    paths = []
    for kind in dict.fromkeys(kinds):
        if kind not in EXPORTS:
            raise CalibrationError(f"export {kind!r}; one of {', '.join(EXPORTS)} is needed")
        for entry in rig.cameras:
            path = camchain.with_name(f"{camchain.stem}_{entry.name}_{kind}.yaml")
            with atomic_file(path) as temporary:
                temporary.write_text(EXPORTS[kind](entry))
            paths.append(path)
    return paths


def ros_text(entry: RigCamera) -> str:
    """The camera_info YAML of a camera. It has no place for the pose, which stands in comments."""
    camera = entry.camera
    model, coefficients = _ros_distortion(camera)
    document = {
        "image_width": camera.resolution[0],
        "image_height": camera.resolution[1],
        "camera_name": entry.topic.strip("/").replace("/", "_"),
        "camera_matrix": _matrix(camera.matrix),
        "distortion_model": model,
        "distortion_coefficients": _matrix(coefficients[None]),
        "rectification_matrix": _matrix(np.eye(3)),
        "projection_matrix": _matrix(np.hstack([camera.matrix, np.zeros((3, 1))])),
    }
    lines = [*_said(entry), "T_cam_cam0:", *(f"  {row}" for row in np.round(entry.cam_from_cam0.matrix, 9).tolist())]
    return "".join(f"# {line}\n" for line in lines) + yaml.safe_dump(document, sort_keys=False, default_flow_style=None)


def opencv_text(entry: RigCamera) -> str:
    """The YAML of a camera for cv2.FileStorage."""
    camera = entry.camera
    storage = cv2.FileStorage(".yaml", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    for line in _said(entry):
        storage.writeComment(line)
    storage.write("name", entry.name)
    storage.write("rostopic", entry.topic)
    storage.write("image", "raw")
    storage.write("image_width", camera.resolution[0])
    storage.write("image_height", camera.resolution[1])
    storage.write("camera_matrix", camera.matrix)
    storage.write("distortion_model", "fisheye" if camera.model == "equidistant" else "pinhole")
    storage.write("distortion_coefficients", _ros_distortion(camera)[1][None])
    storage.write("T_cam_cam0", entry.cam_from_cam0.matrix)
    return str(storage.releaseAndGetString())


EXPORTS: dict[str, Callable[[RigCamera], str]] = {"ros": ros_text, "opencv": opencv_text}


def _said(entry: RigCamera) -> list[str]:
    """What image this speaks of, and which way the pose points."""
    topic = " ".join(entry.topic.split())
    return [
        f"{entry.name} {topic}: intrinsics and distortion of the raw image, as the camera gives it",
        f"T_cam_cam0 maps points of cam0 (left RGB) into {entry.name}: x_{entry.name} = T_cam_cam0 x_cam0, metres",
    ]


def _ros_distortion(camera: Camera) -> tuple[str, Array]:
    """The name of the model and its coefficients: k1 k2 p1 p2 k3, or the four of equidistant."""
    if camera.model == "equidistant":
        return "equidistant", camera.distortion
    coefficients = np.zeros(5)
    if camera.model == "radtan":
        coefficients[: len(camera.distortion)] = camera.distortion
    return "plumb_bob", coefficients


def _matrix(values: Array) -> dict[str, object]:
    return {"rows": values.shape[0], "cols": values.shape[1], "data": [float(v) for v in values.reshape(-1)]}
