"""What is known of a simulated drive because it was made: rig, poses, classes and depth."""

import csv
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.rigid import Rigid, quaternion_from_rotation

DEPTH_BITS = 15  # of the mantissa: 0.3 mm at 10 m, and the file stays small


@dataclass(frozen=True)
class PoseRow:
    """Where the car was when a sensor saw the world."""

    topic: str
    stamp_ns: int  # as the message says
    seen_ns: int  # when it truly was
    world_from_body: Rigid


def write_rig_truth(path: Path, rig: Rig) -> None:
    """truth.json: each thermal camera's K, D and pose from the left RGB camera, and the LiDAR's pose."""
    left, right = rig.thermal
    truth: dict[str, Any] = {"left": _camera(left), "right": _camera(right)}
    assert rig.lidar is not None
    truth["T_rgb_fl_velodyne"] = rig.lidar.cam0_from_lidar.matrix.tolist()
    path.write_text(json.dumps(truth, indent=1))


def write_poses(path: Path, rows: Iterable[PoseRow]) -> None:
    """poses.csv: a line for every message of a sensor."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["topic", "stamp_ns", "seen_ns", "x", "y", "z", "qx", "qy", "qz", "qw"])
        for row in rows:
            quaternion = quaternion_from_rotation(row.world_from_body.rotation)
            numbers = [f"{v:.9g}" for v in (*row.world_from_body.translation, *quaternion)]
            out.writerow([row.topic, row.stamp_ns, row.seen_ns, *numbers])


class ArrayFile:
    """An .npz that is written array by array, the same bytes every time."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w")

    def __enter__(self) -> "ArrayFile":
        return self

    def write(self, key: str, array: NDArray) -> None:
        """Append one array."""
        entry = zipfile.ZipInfo(f"{key}.npy")  # its date is fixed: 1980
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry._compresslevel = 4  # type: ignore[attr-defined]
        with self._zip.open(entry, "w") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()


def rounded_depth(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """Depth with the last bits of its mantissa zeroed; inf stays inf."""
    drop = 23 - DEPTH_BITS
    bits = np.ascontiguousarray(depth_m).view(np.uint32)
    half = np.where(np.isfinite(depth_m), np.uint32(1 << (drop - 1)), np.uint32(0))
    return (((bits + half) >> np.uint32(drop)) << np.uint32(drop)).view(np.float32)


def _camera(entry: RigCamera) -> dict[str, Any]:
    camera = entry.camera
    return {
        "K": camera.intrinsics.tolist(),
        "D": camera.distortion.tolist(),
        "T_cam_rgb_fl": entry.cam_from_cam0.matrix.tolist(),
    }
