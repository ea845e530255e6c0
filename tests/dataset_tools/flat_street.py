"""A small rig before a wall with a board in front of it: every pixel of every camera is known in closed form."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recording_writers import Stamped, cloud, fix, image, transform, write_recording

from heatnet.calib.camchain import write_rig
from heatnet.calib.camera import Camera
from heatnet.calib.rig import Body, Lidar, Rig, RigCamera
from heatnet.calib.rigid import Rigid, rotation_exp

Array = NDArray[np.float64]
WALL_M, BOARD_M = 12.0, 4.0
BOARD = (-0.6, 0.5, -0.7, 0.6)  # left, right, top, bottom in metres
NOON_NS, MIDNIGHT_NS = 1_565_263_800 * 10**9, 1_565_308_800 * 10**9  # Freiburg, 2019-08-08
FREIBURG = (48.0135, 7.8331)
CAM0_FROM_BODY = Rigid(np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]), np.zeros(3))


CAM0_FROM_LIDAR = Rigid(np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]), np.array([0.1, -0.2, -0.1]))


def make_rig(thermal: bool = True, right: bool = True, lidar: bool = False) -> Rig:
    """Left and right RGB of 240x80, thermal of 240x96, all of the distortions of the real rig."""
    rgb = Camera("radtan", np.array([150.0, 149.0, 121.0, 38.0]), np.array([-0.2, 0.07, 2e-4, 3e-4]), (240, 80))
    warm = Camera("radtan", np.array([140.0, 140.5, 118.0, 50.0]), np.array([-0.40, 0.18, 2e-3, 4e-4]), (240, 96))
    cameras = [RigCamera("cam0", rgb, "/rgb_left", False, Rigid.identity())]
    if right:
        cameras.append(RigCamera("cam1", rgb, "/rgb_right", False, Rigid(np.eye(3), np.array([-0.5, 0, 0]))))
    if thermal:
        place = Rigid(rotation_exp(np.array([0.01, -0.02, 0.01])), np.array([-0.30, 0.02, -0.02]))
        cameras.append(RigCamera(f"cam{len(cameras)}", warm, "/ir_left", True, place))
    body = Body("/tf", "odom", "base_link", CAM0_FROM_BODY)
    return Rig(tuple(cameras), Lidar("/points", CAM0_FROM_LIDAR) if lidar else None, body)


@dataclass(frozen=True)
class Seen:
    """What one camera sees, by pixel."""

    points: Array  # (H, W, 3) metres in the left camera frame of the moment
    board: NDArray[np.bool_]  # (H, W)


def look(camera: RigCamera, moved: Array) -> Seen:
    """Cast the pixels of a camera; the rig stands `moved` (metres, left camera axes) from where the scene is known."""
    width, height = camera.camera.resolution
    pixels = np.stack(np.meshgrid(np.arange(float(width)), np.arange(float(height))), -1).reshape(-1, 2)
    back = camera.cam_from_cam0.inverse()
    rays, origin = camera.camera.unproject(pixels)[0] @ back.rotation.T, back.translation + moved
    on_board = origin + rays * ((BOARD_M - origin[2]) / rays[:, 2])[:, None]
    on_wall = origin + rays * ((WALL_M - origin[2]) / rays[:, 2])[:, None]
    x, y = on_board[:, 0], on_board[:, 1]
    board = (x > BOARD[0]) & (x < BOARD[1]) & (y > BOARD[2]) & (y < BOARD[3])
    points = np.where(board[:, None], on_board, on_wall)
    return Seen(points.reshape(height, width, 3), board.reshape(height, width))


def colours(seen: Seen) -> NDArray[np.uint8]:
    """A texture that stereo can match: sums of waves, others on the board."""
    x, y = seen.points[..., 0], seen.points[..., 1]
    waves = sum(np.sin(x * k + y * m + k * m) for k, m in ((3, 1), (1, 4), (7, 2), (2, 9), (13, 5), (5, 17)))
    grey = 120 + 18 * waves + np.where(seen.board, 15 * np.sin(40 * x) * np.cos(33 * y), 0)
    return np.clip(np.stack([grey, 0.8 * grey, 0.6 * grey + 40], -1), 0, 255).astype(np.uint8)


def counts(seen: Seen) -> Array:
    """Thermal counts: a smooth ramp, so that a pixel's value says what point it shows; the board is warm."""
    x, y = seen.points[..., 0], seen.points[..., 1]
    return np.where(seen.board, 24_000 + 200 * x + 100 * y, 22_000 + 40 * x + 30 * y)


def labels(seen: Seen) -> NDArray[np.uint8]:
    return np.where(seen.board, 5, 2).astype(np.uint8)


def make_recording(
    folder: Path,
    frames: int = 4,
    start_ns: int = NOON_NS,
    interval_ns: int = 500_000_000,
    lag_ns: int = 4_000_000,
    stamped_lag_ns: int | None = None,
    speed_m_s: float = 0.05,
    gnss: bool = True,
    booted: bool = False,
    rig: Rig | None = None,
    labelled: bool = True,
    kind: str = "bag",
    silent: tuple[str, ...] = (),
) -> Path:
    """Write a drive to the right along the wall, with its labels; topics in `silent` are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    rig = rig or make_rig()
    messages: list[Stamped] = []
    maps: dict[str, NDArray[np.uint8]] = {}
    for i in range(-1, frames + 1):
        stamp = start_ns + i * interval_ns
        if 0 <= i < frames:
            stamped = lag_ns if stamped_lag_ns is None else stamped_lag_ns
            messages += _frame(rig, stamp, start_ns, (lag_ns, stamped), speed_m_s, gnss)
            maps[str(stamp)] = labels(look(rig.rgb_left, _moved(stamp, start_ns, speed_m_s)))
        pose = transform(stamp, "odom", "base_link", _in_body(_moved(stamp, start_ns, speed_m_s)), (0, 0, 0, 1))
        messages.append(("/tf", "tf2_msgs/msg/TFMessage", {"transforms": [pose]}, stamp))
    if booted:  # a first frame whose stamps count from the computer's start
        first = _frame(rig, 5 * 10**9, 5 * 10**9, (lag_ns, lag_ns), speed_m_s, gnss)
        messages += [(*message[:3], start_ns - interval_ns) for message in first]
    if labelled:
        np.savez_compressed(folder / "labels.npz", **maps)  # type: ignore[arg-type]
    spoken = [m for m in sorted(messages, key=lambda m: m[3]) if m[0] not in silent]
    return write_recording(folder, kind, spoken)


def _moved(stamp_ns: int, start_ns: int, speed_m_s: float) -> Array:
    return np.array([speed_m_s * (stamp_ns - start_ns) * 1e-9, 0, 0])


def _in_body(moved: Array) -> Array:
    return CAM0_FROM_BODY.rotation.T @ moved


def _frame(rig: Rig, stamp: int, start: int, lags: tuple[int, int], speed: float, gnss: bool) -> list[Stamped]:
    """Messages of one moment; thermal images are exposed by the first of `lags` later, and stamped by the second."""
    made: list[Stamped] = []
    for camera in rig.cameras:
        seen = look(camera, _moved(stamp + lags[0] if camera.thermal else stamp, start, speed))
        at = stamp + lags[1] if camera.thermal else stamp
        pixels: Any = np.rint(counts(seen)).astype(np.uint16) if camera.thermal else colours(seen)
        fields = image(at, pixels, "mono16" if camera.thermal else "rgb8")
        made.append((camera.topic, "sensor_msgs/msg/Image", fields, at + 1_000_000))
    if rig.lidar is not None:
        at = stamp + 7_000_000
        made.append((rig.lidar.topic, "sensor_msgs/msg/PointCloud2", cloud(at, _sweep(_moved(at, start, speed))), at))
    if gnss:
        made.append(("/fix", "sensor_msgs/msg/NavSatFix", fix(stamp, *FREIBURG), stamp))
    return made


def _sweep(moved: Array) -> Any:
    """What a LiDAR sees: points (64, 360) of its own frame."""
    wide = Camera("none", np.array([220.0, 110.0, 179.5, 31.5]), np.zeros(0), (360, 64))
    eye = RigCamera("lidar", wide, "", False, Rigid(np.eye(3), -CAM0_FROM_LIDAR.translation))
    points = CAM0_FROM_LIDAR.inverse().apply(look(eye, moved).points.reshape(-1, 3) - moved)
    return points.astype("<f4").view([("x", "<f4"), ("y", "<f4"), ("z", "<f4")]).reshape(64, 360)


def write_calibration(path: Path, rig: Rig | None = None) -> Path:
    write_rig(path, rig or make_rig())
    return path
