"""A corridor of coloured, warm and cold panels, seen by a small rig: rendered exactly, in a second.

Every surface is cut into panels; a panel has one colour and one temperature, drawn from a hash of its place. Both
modalities so see the same edges, and nothing else.
"""

import functools
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.rig import Body, Rig, RigCamera
from heatnet.calib.rigid import Rigid, rotation_exp
from heatnet.calib.trajectory import Trajectory
from heatnet.calib.views import ThermalFrame, View, Views

SECOND = 1_000_000_000
SPEED_M_S = 6.0
HALF_WIDTH_M, GROUND_M, CEILING_M, BACK_M = 5.0, 1.6, -5.0, 60.0
SUPERSAMPLING = 2


def camera(width: int, height: int, focal: float, k1: float, k2: float) -> Camera:
    intrinsics = np.array([focal, focal * 1.001, width / 2 - 2.0, height / 2 + 1.5])
    return Camera("radtan", intrinsics, np.array([k1, k2, 0.0005, -0.0003]), (width, height))


def true_rig() -> Rig:
    """Two RGB cameras and two thermal ones, at half the resolution of a common rig."""
    rgb = camera(720, 300, 380.0, -0.2, 0.07)
    thermal = camera(320, 256, 252.0, -0.4, 0.17)
    places = {
        "cam0": ("/rgb_left", rgb, [0, 0, 0], [0, 0, 0]),
        "cam1": ("/rgb_right", rgb, [0.5, 0, 0], [0.002, -0.004, 0.003]),
        "cam2": ("/ir_left", thermal, [0.07, 0.01, -0.01], [0.012, -0.008, 0.01]),
        "cam3": ("/ir_right", thermal, [0.57, 0.0, 0.01], [-0.01, 0.006, -0.008]),
    }
    cameras = []
    for name, (topic, model, centre, turn) in places.items():
        rotation = rotation_exp(np.array(turn, float))
        pose = Rigid(rotation, -rotation @ np.array(centre, float))
        cameras.append(RigCamera(name, model, topic, "ir" in topic, pose))
    axes = Rigid(np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]], float), np.zeros(3))
    return Rig(tuple(cameras), None, Body("/tf", "odom", "base_link", axes))


def rough(rig: Rig, turn_deg: tuple[float, float, float], focal_share: float = 1.0) -> Rig:
    """The rig as its owner knows it: thermal cameras turned, of another focal length, without distortion."""
    for entry in rig.thermal:
        width, height = entry.camera.resolution
        focal = entry.camera.intrinsics[0] * focal_share
        guess = replace(
            entry.camera,
            intrinsics=np.array([focal, focal, (width - 1) / 2, (height - 1) / 2]),
            distortion=np.zeros(4),
        )
        rotation = rotation_exp(np.deg2rad(turn_deg)) @ entry.cam_from_cam0.rotation
        centre = entry.cam_from_cam0.inverse().translation + np.array([0.005, -0.005, 0.004])
        rig = rig.with_camera(replace(entry, camera=guess, cam_from_cam0=Rigid(rotation, -rotation @ centre)))
    return rig


@dataclass(frozen=True)
class Corridor:
    """What can be seen, and how it is spoiled."""

    rig: Rig
    seed: int = 0
    frames: int = 5
    thermal_noise: float = 6.0
    thermal_contrast: float = 400.0  # counts; 0: the lens is covered
    panels: bool = True  # False: bare walls
    thermal_late_s: float = 0.004

    def views(self) -> Views:
        """The key frames, a second apart, and the odometry."""
        views = tuple(self._view(SECOND * (10 + i)) for i in range(self.frames))
        stamps = np.arange(9 * SECOND, (12 + self.frames) * SECOND, SECOND // 20)
        places = np.stack([self._place(int(s)) for s in stamps])
        turns = np.tile([0.0, 0, 0, 1], (len(stamps), 1))
        return Views(views, ("corridor",), (Trajectory(stamps, turns, places),), len(views))

    def _place(self, stamp_ns: int) -> NDArray[np.float64]:
        """Where the body is: x is forward."""
        return np.array([SPEED_M_S * (stamp_ns / SECOND - 10), 0.0, 0.0])

    def _view(self, stamp_ns: int) -> View:
        left, right, *thermal = self.rig.cameras
        late = stamp_ns + int(self.thermal_late_s * SECOND)
        frames = {c.name: (ThermalFrame(late, self._thermal(c, late)),) for c in thermal}
        return View(0, stamp_ns, self._rgb(left, stamp_ns), self._rgb(right, stamp_ns), frames)

    def _rgb(self, entry: RigCamera, stamp_ns: int) -> NDArray[np.uint8]:
        values = self._values(entry, stamp_ns)
        colours = np.stack([40 + 180 * hashed(values, self.seed + k) for k in range(3)], -1)
        noise = np.random.default_rng((stamp_ns + len(entry.topic)) % 2**32).normal(0, 1.5, colours.shape)
        image = self._shrunk(entry, colours + noise * SUPERSAMPLING)
        return np.clip(image, 0, 255).astype(np.uint8)

    def _thermal(self, entry: RigCamera, stamp_ns: int) -> NDArray[np.uint16]:
        counts = 23000 + self.thermal_contrast * hashed(self._values(entry, stamp_ns), self.seed + 7)
        image = cv2.GaussianBlur(self._shrunk(entry, counts), (0, 0), 0.5)
        noise = np.random.default_rng((stamp_ns + len(entry.topic) + 1) % 2**32).normal(
            0, self.thermal_noise, image.shape
        )
        return (image + noise).astype(np.uint16)

    def _shrunk(self, entry: RigCamera, image: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.resize(image, entry.camera.resolution, interpolation=cv2.INTER_AREA))

    def _values(self, entry: RigCamera, stamp_ns: int) -> NDArray[np.int64]:
        """The number of the panel behind every subpixel."""
        directions = rays_of(entry.name)
        centre = entry.cam_from_cam0.inverse().translation
        along = self._place(stamp_ns)[0]
        with np.errstate(divide="ignore"):
            reach = np.stack(
                [
                    (np.sign(directions[:, 0]) * HALF_WIDTH_M - centre[0]) / directions[:, 0],
                    (np.where(directions[:, 1] > 0, GROUND_M, CEILING_M) - centre[1]) / directions[:, 1],
                    (BACK_M - along - centre[2]) / directions[:, 2],
                ]
            )
        hit = np.argmin(np.where(reach > 0, reach, np.inf), axis=0)
        points = centre + directions * reach[hit, np.arange(len(hit))][:, None]
        points[:, 2] += along
        surface = hit * 2 + (directions[np.arange(len(hit)), hit] > 0)
        numbers = surface * 1_000_003 + panel(points, hit) if self.panels else np.zeros(len(hit), np.int64)
        width, height = entry.camera.resolution
        return numbers.reshape(height * SUPERSAMPLING, width * SUPERSAMPLING)


@functools.cache
def rays_of(name: str) -> NDArray[np.float64]:
    """Rays (N, 3) in cam0 of the subpixels of a camera of the true rig."""
    entry = true_rig()[name]
    width, height = entry.camera.resolution
    fine = entry.camera.scaled(width * SUPERSAMPLING, height * SUPERSAMPLING)
    pixels = np.stack(np.meshgrid(*(np.arange(float(n)) for n in fine.resolution)), -1).reshape(-1, 2)
    return fine.unproject(pixels)[0] @ entry.cam_from_cam0.rotation


def panel(points: NDArray[np.float64], hit: NDArray[np.int64]) -> NDArray[np.int64]:
    """Panels of about 1.3 m, cut along the two axes in the surface."""
    cells = np.floor(points / [1.3, 1.1, 1.7]).astype(np.int64)
    cells[np.arange(len(hit)), hit] = 0
    return cells @ np.array([7919, 104_729, 15_485_863])


def hashed(numbers: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Random numbers in 0..1, one for each different number."""
    bits = (numbers.astype(np.uint64) + np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
    bits ^= bits >> np.uint64(29)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray((bits >> np.uint64(40)) / 2.0**24)


def alignment_error(truth: RigCamera, found: RigCamera, left: RigCamera) -> float:
    """Mean distance in pixels over what both see of the left image at 5 to 50 m."""
    width, height = left.camera.resolution
    axes = np.linspace(0, width - 1, 24), np.linspace(0, height - 1, 12)
    rays, _ = left.camera.unproject(np.stack(np.meshgrid(*axes), -1).reshape(-1, 2))
    points = np.concatenate([rays * z for z in (5.0, 10.0, 20.0, 50.0)])
    expected, real = truth.camera.project(truth.cam_from_cam0.apply(points))
    pixels, _ = found.camera.project(found.cam_from_cam0.apply(points))
    inside = real & truth.camera.sees(expected)
    return float(np.linalg.norm(pixels - expected, axis=1)[inside].mean())
