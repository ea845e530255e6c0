"""The street's centre line and the car's way along it.

The world is `odom_combined`: x north, y west, z up, metres, the road's surface at z = 0. Places along the street are
(s, d): metres along the centre line and metres to its left. The body `base_link` (x forward, y left, z up) lies at the
left RGB camera.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from heatnet.calib.rigid import Rigid, rotation_exp
from heatnet.dataset_tools.simulate.config import SimulationConfig
from heatnet.dataset_tools.simulate.mesh import place

Array = NDArray[np.float64]
CAMERA_HEIGHT_M = 1.64
LANE_M = -1.75  # middle of the right lane
BEHIND_M = 45.0  # street before the first place of the car


@dataclass(frozen=True)
class Street:
    """A gently winding centre line."""

    start_m: float
    end_m: float
    line: CubicSpline  # s -> x, y

    def at(self, s: ArrayLike, d: ArrayLike = 0.0) -> Array:
        """Points (..., 2) of places along the street."""
        s, d = np.broadcast_arrays(np.asarray(s, float), np.asarray(d, float))
        tangent = self._tangent(s)
        return self.line(s) + d[..., None] * np.stack([-tangent[..., 1], tangent[..., 0]], -1)

    def heading(self, s: ArrayLike) -> Array:
        """Direction of the centre line in radians from x towards y."""
        tangent = self._tangent(np.asarray(s, float))
        return np.arctan2(tangent[..., 1], tangent[..., 0])

    def frame(self, s: float, d: float, turn_rad: float = 0.0, z: float = 0.0) -> Rigid:
        """world_from_object of an object that faces along the street (turned by `turn_rad`)."""
        x, y = self.at(s, d)
        return place(float(x), float(y), float(self.heading(s)) + turn_rad, z)

    def _tangent(self, s: Array) -> Array:
        tangent = self.line(s, 1)
        return tangent / np.linalg.norm(tangent, axis=-1, keepdims=True)


@dataclass(frozen=True)
class Drive:
    """Where the car is at any time, smooth in time; time 0 is the first key frame."""

    street: Street
    speed_mps: float
    swing: Array  # (2, 3) amplitude m, rate rad/s, phase of the speed changes
    weave: Array  # (2, 3) amplitude m, rate, phase of the way across the lane
    nod: Array  # (2, 3) amplitude rad, rate, phase of pitch and roll

    def along(self, t: ArrayLike) -> Array:
        """Metres along the street at times in seconds."""
        t = np.asarray(t, float)
        return self.speed_mps * t + _waves(self.swing, t) - _waves(self.swing, np.zeros(()))

    def across(self, t: ArrayLike) -> Array:
        """Metres left of the centre line."""
        return LANE_M + _waves(self.weave, np.asarray(t, float))

    def pose(self, t: float) -> Rigid:
        """world_from_body at a time in seconds."""
        step = 1e-3
        s, d = self.along([t - step, t, t + step]), self.across([t - step, t, t + step])
        points = self.street.at(s, d)
        direction = points[2] - points[0]
        yaw = np.arctan2(direction[1], direction[0])
        pitch, roll = (float(a * np.sin(w * t + p)) for a, w, p in self.nod)
        rotation = rotation_exp(np.array([0, 0, yaw])) @ rotation_exp(np.array([0, pitch, 0]))
        height = CAMERA_HEIGHT_M + 0.5 * np.sin(self.nod[0, 1] * t) * self.nod[0, 0]
        return Rigid(rotation @ rotation_exp(np.array([roll, 0, 0])), np.array([*points[1], height]))


def make_drive(config: SimulationConfig) -> Drive:
    """The street and the drive of a seed, long enough for every key frame."""
    rng = np.random.default_rng([config.seed, 2])
    swing = np.array([[rng.uniform(2.0, 3.0), 0.45, rng.uniform(0, 6)], [0.6, 1.1, rng.uniform(0, 6)]])
    swing[:, 0] *= config.speed_mps / 8
    length = config.frames * config.interval_s * config.speed_mps + 2 * swing[:, 0].sum()
    street = _winding(-BEHIND_M, length + config.view_m, rng)
    weave = np.array([[0.15, 0.5, rng.uniform(0, 6)], [0.05, 1.3, rng.uniform(0, 6)]])
    nod = np.array([[0.004, 5.1, rng.uniform(0, 6)], [0.005, 3.7, rng.uniform(0, 6)]])
    return Drive(street, config.speed_mps, swing, weave, nod)


def _winding(start_m: float, end_m: float, rng: np.random.Generator) -> Street:
    s = np.arange(start_m - 5, end_m + 5, 0.25)
    lengths = rng.uniform((120, 260), (170, 400))
    angles = rng.uniform((0.12, 0.1), (0.26, 0.3))
    heading = np.zeros_like(s)
    for length, angle, phase in zip(lengths, angles, rng.uniform(0, 2 * np.pi, 2), strict=True):
        heading += angle * (np.sin(2 * np.pi * s / length + phase) - np.sin(phase))
    x, y = (0.25 * np.cumsum(f(heading)) for f in (np.cos, np.sin))
    origin = int(np.argmin(np.abs(s)))
    return Street(start_m, end_m, CubicSpline(s, np.stack([x - x[origin], y - y[origin]], 1)))


def _waves(waves: Array, t: Array) -> Array:
    return np.asarray(sum(a * np.sin(w * t + p) for a, w, p in waves))
