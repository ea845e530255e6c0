"""What is estimated of a thermal camera, how its pixels move with it, and what is known beforehand.

The vector of a camera is (rotation 3 [rad], translation 3 [m], fx, fy, cx, cy [px], distortion K, lag [s]). Rotation
and translation are steps in the thermal camera's frame: x_new = exp(rotation) x + translation, so that a translation
moves the camera's centre and a rotation does not.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.rigid import Rigid, rotation_exp, rotation_log, skew

Array = NDArray[np.float64]
POSE = ("rotation_x", "rotation_y", "rotation_z", "translation_x", "translation_y", "translation_z")
INTRINSICS = ("fx", "fy", "cx", "cy")
COEFFICIENT_NAMES = {
    "radtan": ("k1", "k2", "p1", "p2", "k3"),
    "equidistant": ("k1", "k2", "k3", "k4"),
    "none": (),
}


@dataclass(frozen=True)
class Estimate:
    """One thermal camera as the calibration sees it at some step."""

    camera: Camera
    cam_from_cam0: Rigid
    lag_s: float = 0.0  # how much later than its stamp says a frame was exposed

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, in the order of every vector and matrix here."""
        coefficients = COEFFICIENT_NAMES[self.camera.model][: len(self.camera.distortion)]
        return (*POSE, *INTRINSICS, *coefficients, "lag")

    def moved(self, step: Array) -> "Estimate":
        """The estimate after a step (P,) of its parameters."""
        turn = Rigid(rotation_exp(step[:3]), step[3:6])
        camera = replace(
            self.camera,
            intrinsics=self.camera.intrinsics + step[6:10],
            distortion=self.camera.distortion + step[10:-1],
        )
        return Estimate(camera, turn @ self.cam_from_cam0, self.lag_s + float(step[-1]))

    def difference(self, other: "Estimate") -> Array:
        """The step (P,) that leads from `other` here, to first order: the camera's centre tells the translation."""
        rotation = self.cam_from_cam0.rotation
        turn = rotation_log(rotation @ other.cam_from_cam0.rotation.T)
        shift = rotation @ (other.cam_from_cam0.inverse().translation - self.cam_from_cam0.inverse().translation)
        return np.concatenate(
            [
                turn,
                shift,
                self.camera.intrinsics - other.camera.intrinsics,
                self.camera.distortion - other.camera.distortion,
                [self.lag_s - other.lag_s],
            ]
        )

    def place(self, points: Array, velocities: Array) -> Array:
        """Points (N, 3) of cam0 at the frame's stamp, moving at `velocities` (N, 3) m/s, in the thermal camera."""
        return self.cam_from_cam0.apply(points + self.lag_s * velocities)

    def jacobian(self, placed: Array, velocities: Array) -> Array:
        """Derivative (N, 2, P) of the pixels of `placed` points (N, 3) by the parameters."""
        z = placed[:, 2:]
        xy = placed[:, :2] / z
        by_xy = self.camera.distort_jacobian(xy) * self.camera.intrinsics[:2, None]
        n = len(placed)
        by_point = np.empty((n, 2, 3))
        by_point[:, :, :2] = by_xy / z[:, :, None]
        by_point[:, :, 2] = -np.einsum("nij,nj->ni", by_xy, xy) / z
        out = np.zeros((n, 2, len(self.names)))
        out[:, :, :3] = -by_point @ skew(placed)
        out[:, :, 3:6] = by_point
        distorted = self.camera.distort(xy)
        out[:, 0, 6], out[:, 1, 7] = distorted.T
        out[:, 0, 8] = out[:, 1, 9] = 1.0
        focal = self.camera.intrinsics[:2, None]
        out[:, :, 10:-1] = self.camera.coefficient_jacobian(xy) * focal
        out[:, :, -1] = np.einsum("nij,nj->ni", by_point, velocities @ self.cam_from_cam0.rotation.T)
        return out


@dataclass(frozen=True)
class Prior:
    """How well each part of the guess is known: one standard deviation of each, around the guess."""

    rotation_rad: float = np.deg2rad(6.0)
    translation_m: float = 0.025  # a tape measure to the middle of the lens
    focal_share: float = 0.15
    aspect: float = 0.004  # fx over fy
    centre_px: float = 12.0
    radial: tuple[float, ...] = (0.4, 0.3, 0.1, 0.1)
    tangential: float = 0.002
    lag_s: float = 0.010

    def held(self) -> "Prior":
        """The same with little freedom for what only fine matches tell: wrong ones bend it to their taste."""
        return replace(self, aspect=self.aspect / 20, tangential=self.tangential / 10, centre_px=self.centre_px / 12)

    def rows(self, guess: Estimate) -> Array:
        """Square root (P, P) of the information of the prior: rows @ (estimate - guess) has unit variance."""
        names = guess.names
        sigma = dict.fromkeys(names[:3], self.rotation_rad) | dict.fromkeys(names[3:6], self.translation_m)
        sigma |= {"cx": self.centre_px, "cy": self.centre_px, "p1": self.tangential, "p2": self.tangential}
        radial = [name for name in names if name.startswith("k")]
        sigma |= dict(zip(radial, self.radial, strict=False))
        sigma |= {"lag": self.lag_s, "fx": np.inf, "fy": np.inf}
        rows = np.diag([1 / sigma[name] for name in names])
        fx, fy = names.index("fx"), names.index("fy")
        focal = float(guess.camera.intrinsics[:2].mean())
        rows[fx, [fx, fy]] = 0.5 / (self.focal_share * focal)
        rows[fy, [fx, fy]] = 1 / (self.aspect * focal), -1 / (self.aspect * focal)
        return rows
