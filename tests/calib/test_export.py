"""What is exported reads the same in OpenCV and ROS, and projects to the same pixels."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from calib_corridor import true_rig

from heatnet.calib.camera import Camera
from heatnet.calib.export import export_rig
from heatnet.calib.rig import Rig, RigCamera
from heatnet.errors import CalibrationError

RAYS = np.array([[x, y, 1.0] for x in np.linspace(-0.5, 0.5, 7) for y in np.linspace(-0.4, 0.4, 5)])


def with_lens(model: str, coefficients: list[float]) -> tuple[Rig, RigCamera]:
    rig = true_rig()
    lens = Camera(model, rig["cam2"].camera.intrinsics, np.array(coefficients), (320, 256))  # type: ignore[arg-type]
    changed = replace(rig["cam2"], camera=lens)
    return rig.with_camera(changed), changed


LENSES = [
    ("radtan", [-0.4, 0.17, 0.0005, -0.0003]),
    ("radtan", [-0.4, 0.17, 0.0005, -0.0003, -0.02]),
    ("equidistant", [-0.03, 0.01, -0.004, 0.001]),
    ("none", []),
]


@pytest.mark.parametrize(("model", "coefficients"), LENSES)
def test_opencv_reads_what_is_written_and_projects_alike(tmp_path: Path, model: str, coefficients: list[float]) -> None:
    rig, entry = with_lens(model, coefficients)
    paths = export_rig(rig, tmp_path / "rig.yaml", ["opencv"])
    assert sorted(p.name for p in paths) == [f"rig_cam{i}_opencv.yaml" for i in range(4)]
    storage = cv2.FileStorage(str(tmp_path / "rig_cam2_opencv.yaml"), cv2.FILE_STORAGE_READ)
    matrix, distortion = (storage.getNode(n).mat() for n in ("camera_matrix", "distortion_coefficients"))
    assert storage.getNode("image").string() == "raw"
    assert (storage.getNode("image_width").real(), storage.getNode("image_height").real()) == (320, 256)
    assert np.array_equal(storage.getNode("T_cam_cam0").mat(), entry.cam_from_cam0.matrix)
    project = cv2.fisheye.projectPoints if storage.getNode("distortion_model").string() == "fisheye" else None
    if project:
        pixels, _ = project(RAYS[:, None], np.zeros(3), np.zeros(3), matrix, distortion)
    else:
        pixels, _ = cv2.projectPoints(RAYS[:, None], np.zeros(3), np.zeros(3), matrix, distortion)
    assert np.allclose(pixels.reshape(-1, 2), entry.camera.project(RAYS)[0], atol=1e-9)
    assert "T_cam_cam0 maps points of cam0" in (tmp_path / "rig_cam2_opencv.yaml").read_text()


@pytest.mark.parametrize(("model", "coefficients"), LENSES)
def test_camera_info_has_the_fields_and_sizes_that_ros_reads(
    tmp_path: Path, model: str, coefficients: list[float]
) -> None:
    rig, entry = with_lens(model, coefficients)
    export_rig(rig, tmp_path / "rig.yaml", ["ros"])
    text = (tmp_path / "rig_cam2_ros.yaml").read_text()
    said = yaml.safe_load(text)
    assert (said["image_width"], said["image_height"], said["camera_name"]) == (320, 256, "ir_left")
    for key, shape in (("camera_matrix", (3, 3)), ("rectification_matrix", (3, 3)), ("projection_matrix", (3, 4))):
        assert (said[key]["rows"], said[key]["cols"]) == shape
        assert len(said[key]["data"]) == shape[0] * shape[1]
    assert np.array_equal(np.reshape(said["camera_matrix"]["data"], (3, 3)), entry.camera.matrix)
    assert said["distortion_model"] == ("equidistant" if model == "equidistant" else "plumb_bob")
    expected = coefficients if model == "equidistant" else [*coefficients, *[0.0] * 5][:5]
    assert said["distortion_coefficients"]["data"] == expected
    assert "raw image" in text
    assert "maps points of cam0 (left RGB) into cam2" in text


def test_an_export_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="ros, opencv"):
        export_rig(true_rig(), tmp_path / "rig.yaml", ["matlab"])
    assert list(tmp_path.iterdir()) == []
