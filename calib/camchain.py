"""Rig files: Kalibr camchain YAML with the optional blocks `lidar0` and `body`, in and out.

`T_cn_cnm1` maps points of the previous camera into this one; `T_cam0_lidar` and `T_cam0_body` map points of the LiDAR
and of the body into cam0. Intrinsics speak of raw images.
"""

import copy
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from heatnet.calib.camera import COEFFICIENTS, MODELS, Camera
from heatnet.calib.plain_yaml import plain_yaml
from heatnet.calib.rig import Body, Lidar, Rig, RigCamera
from heatnet.calib.rigid import Rigid, is_rotation, nearest_rotation
from heatnet.errors import RigError
from heatnet.files import atomic_file

THERMAL_TOPIC = re.compile(r"(^|[^a-z0-9])(ir|lwir|thermal)([^a-z0-9]|$)|thermal|lwir")
MAXIMUM_BYTES = 1 << 20
FARTHEST_M = 100.0  # from one sensor of a rig to the next
FOCAL_LENGTHS = (0.01, 100.0)  # of the larger side of the image: from 179 degrees to half a degree
LARGEST_COEFFICIENT = 1e6  # of distortion: long lenses have large ones
SAID = """\
# Kalibr camchain. intrinsics (fx fy cx cy, pixels) and distortion_coeffs speak of raw images, as the cameras give them.
# T_cn_cnm1 maps points of the previous camera into this one; T_cam0_lidar and T_cam0_body map points of the LiDAR and
# of the body into cam0; metres.
"""


def read_rig(path: Path, thermal_topics: Iterable[str] = ()) -> Rig:
    """Read a rig file; topics in `thermal_topics` count as thermal besides those whose name says so.

    Raises RigError naming the file, the block and the key for anything missing or impossible.
    """
    document = _load(path)
    names = [f"cam{i}" for i in range(sum(1 for key in document if re.fullmatch(r"cam\d+", key)))]
    if not names:
        raise RigError(f"{path}: no camera; a Kalibr camchain has blocks cam0, cam1, ...")
    extra = frozenset(thermal_topics)
    cameras: list[RigCamera] = []
    for name in names:
        cameras.append(_camera(path, document, name, cameras[-1] if cameras else None, extra))
    _refuse_shared_topics(path, cameras)
    return Rig(tuple(cameras), _lidar(path, document), _body(path, document), document)


def write_rig(path: Path, rig: Rig) -> None:
    """Write a rig file that `read_rig` and Kalibr read; keys this package does not know come out as they came in."""
    with atomic_file(path) as temporary:
        temporary.write_text(rig_text(rig))


def rig_text(rig: Rig) -> str:
    """The YAML of a rig file."""
    document = copy.deepcopy(rig.document)
    previous = Rigid.identity()
    for entry in rig.cameras:
        document[entry.name] = _camera_document(entry, previous)
        previous = entry.cam_from_cam0
    if rig.lidar is not None:
        document["lidar0"] = {**document.get("lidar0", {}), "rostopic": rig.lidar.topic}
        _put_transform(document["lidar0"], "T_cam0_lidar", rig.lidar.cam0_from_lidar)
    if rig.body is not None:
        document["body"] = {**document.get("body", {}), **_body_document(rig.body)}
        _put_transform(document["body"], "T_cam0_body", rig.body.cam0_from_body)
    return SAID + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=200)


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise RigError(f"{path}: {path.stat().st_size} bytes; a rig file has a few thousand")
        document = plain_yaml(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise RigError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or 'not text'}); a camchain YAML is needed"
        ) from error
    except ValueError as error:
        raise RigError(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise RigError(
            f"{path}: holds {type(document).__name__}, not a mapping; a Kalibr camchain has blocks cam0, cam1, ..."
        )
    return document


def _camera(
    path: Path, document: dict[str, Any], name: str, previous: RigCamera | None, extra: frozenset[str]
) -> RigCamera:
    if name not in document:
        raise RigError(f"{path}: no block {name}; cameras are numbered cam0, cam1, ... without a gap")
    block = _block(path, document, name)
    if block.get("camera_model", "pinhole") != "pinhole":
        raise RigError(f"{path}: {name}: camera_model is {block['camera_model']!r}; only pinhole is supported")
    model = _need(path, name, block, "distortion_model")
    if model not in MODELS:
        raise RigError(f"{path}: {name}: distortion_model is {model!r}; one of {', '.join(MODELS)} is needed")
    resolution = _resolution(path, name, block)
    camera = Camera(
        model, _intrinsics(path, name, block, resolution), _distortion(path, name, block, model), resolution
    )
    chain = Rigid.identity()
    if previous is not None:
        chain = _transform(path, name, block, "T_cn_cnm1") @ previous.cam_from_cam0
    topic = str(_need(path, name, block, "rostopic"))
    thermal = topic in extra or bool(THERMAL_TOPIC.search(topic.lower()))
    return RigCamera(name, camera, topic, thermal, chain, block)


def _refuse_shared_topics(path: Path, cameras: Iterable[RigCamera]) -> None:
    first: dict[str, RigCamera] = {}
    for camera in cameras:
        other = first.setdefault(camera.topic.strip("/"), camera)
        if other is not camera:
            raise RigError(
                f"{path}: {other.name} and {camera.name}: both have rostopic {camera.topic}; each has its own"
            )


def _block(path: Path, document: dict[str, Any], name: str) -> dict[str, Any]:
    block = document[name]
    if not isinstance(block, dict):
        raise RigError(f"{path}: {name} holds {type(block).__name__}, not a mapping")
    return block


def _need(path: Path, name: str, block: dict[str, Any], key: str) -> Any:
    if block.get(key) is None:
        raise RigError(f"{path}: {name}: key {key} is missing")
    return block[key]


def _numbers(path: Path, name: str, key: str, value: Any, sizes: tuple[int, ...], what: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.full(1, np.nan)
    if array.ndim != 1 or len(array) not in sizes or not np.isfinite(array).all():
        raise RigError(f"{path}: {name}: {key} is {str(value)[:80]}; {what} needed")
    return array


def _intrinsics(path: Path, name: str, block: dict[str, Any], resolution: tuple[int, int]) -> NDArray[np.float64]:
    value = _need(path, name, block, "intrinsics")
    array = _numbers(path, name, "intrinsics", value, (4,), "four numbers fx fy cx cy are")
    if (array[:2] <= 0).any():
        raise RigError(f"{path}: {name}: focal lengths are {array[0]:g} and {array[1]:g} px; positive ones are needed")
    least, most = (share * max(resolution) for share in FOCAL_LENGTHS)
    if (array[:2] < least).any() or (array[:2] > most).any():
        said = f"focal lengths are {array[0]:g} and {array[1]:g} px"
        raise RigError(f"{path}: {name}: {said}; for such an image, {least:g} to {most:g} px are possible")
    middle = array[2:] / resolution
    if np.abs(middle - 0.5).max() > 1.5:  # an image cut from a larger one may lie beside it
        said = f"the principal point is {array[2]:g} {array[3]:g} px"
        raise RigError(f"{path}: {name}: {said}; it may lie at most {resolution[0]}x{resolution[1]} beside the image")
    return array


def _distortion(path: Path, name: str, block: dict[str, Any], model: str) -> NDArray[np.float64]:
    if model == "none":
        given = block.get("distortion_coeffs") or []
        if not isinstance(given, list) or any(given):
            raise RigError(f"{path}: {name}: distortion_model is none, but distortion_coeffs are {given}")
        return np.zeros(0)
    value = _need(path, name, block, "distortion_coeffs")
    what = "k1 k2 p1 p2, optionally k3, are" if model == "radtan" else "k1 k2 k3 k4 are"
    array = _numbers(path, name, "distortion_coeffs", value, COEFFICIENTS[model], what)
    if np.abs(array).max() > LARGEST_COEFFICIENT:
        raise RigError(f"{path}: {name}: distortion_coeffs are {array.tolist()}; {LARGEST_COEFFICIENT:g} is the most")
    return array


def _resolution(path: Path, name: str, block: dict[str, Any]) -> tuple[int, int]:
    value = _need(path, name, block, "resolution")
    width, height = _numbers(path, name, "resolution", value, (2,), "width and height in pixels are")
    if not (8 <= width <= 1 << 16 and 8 <= height <= 1 << 16 and width == int(width) and height == int(height)):
        raise RigError(f"{path}: {name}: resolution is {value}; width and height in whole pixels are needed")
    return int(width), int(height)


def _transform(path: Path, name: str, block: dict[str, Any], key: str) -> Rigid:
    value = _need(path, name, block, key)
    try:
        matrix = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise RigError(f"{path}: {name}: {key} is not a 4x4 homogeneous matrix with last row 0 0 0 1")
    if not is_rotation(matrix[:3, :3]):
        off = float(np.abs(matrix[:3, :3] @ matrix[:3, :3].T - np.eye(3)).max())
        handed = f"determinant {np.linalg.det(matrix[:3, :3]):.3g}"
        raise RigError(f"{path}: {name}: the rotation in {key} is not orthonormal (off by {off:.2g}, {handed})")
    if np.abs(matrix[:3, 3]).max() > FARTHEST_M:
        said = " ".join(f"{value:g}" for value in matrix[:3, 3])
        raise RigError(f"{path}: {name}: the translation in {key} is {said} m; {FARTHEST_M:g} m are the most")
    return _meant(matrix)


def _lidar(path: Path, document: dict[str, Any]) -> Lidar | None:
    if "lidar0" not in document:
        return None
    block = _block(path, document, "lidar0")
    return Lidar(str(_need(path, "lidar0", block, "rostopic")), _transform(path, "lidar0", block, "T_cam0_lidar"))


def _body(path: Path, document: dict[str, Any]) -> Body | None:
    if "body" not in document:
        return None
    block = _block(path, document, "body")
    topic, parent, child = (str(_need(path, "body", block, key)) for key in ("odometry", "parent_frame", "child_frame"))
    return Body(topic, parent, child, _transform(path, "body", block, "T_cam0_body"))


def _camera_document(entry: RigCamera, previous: Rigid) -> dict[str, Any]:
    camera = entry.camera
    document = {
        **entry.document,
        "camera_model": "pinhole",
        "distortion_coeffs": _floats(camera.distortion),
        "distortion_model": camera.model,
        "intrinsics": _floats(camera.intrinsics),
        "resolution": list(camera.resolution),
        "rostopic": entry.topic,
    }
    if entry.name != "cam0":
        _put_transform(document, "T_cn_cnm1", entry.cam_from_cam0 @ previous.inverse())
    return document


def _body_document(body: Body) -> dict[str, Any]:
    return {"odometry": body.odometry_topic, "parent_frame": body.parent_frame, "child_frame": body.child_frame}


def _put_transform(block: dict[str, Any], key: str, transform: Rigid) -> None:
    """Write a transform, unless the block already says it: what was not changed keeps the digits it was read with."""
    old = block.get(key)
    if old is None or np.abs(_meant(np.asarray(old, dtype=np.float64)).matrix - transform.matrix).max() > 1e-8:
        block[key] = [_floats(row) for row in transform.matrix]


def _meant(matrix: NDArray[np.float64]) -> Rigid:
    """The rigid motion that a (4, 4) matrix of a few digits stands for."""
    return Rigid(nearest_rotation(matrix[:3, :3]), matrix[:3, 3])


def _floats(values: NDArray[np.float64]) -> list[float]:
    return [float(v) for v in values]


class _Dumper(yaml.SafeDumper):
    """Rows of numbers on one line, as Kalibr writes them."""


def _represent_list(dumper: yaml.SafeDumper, data: list[Any]) -> yaml.Node:
    flat = all(isinstance(item, int | float | str) for item in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flat)


_Dumper.add_representer(list, _represent_list)
