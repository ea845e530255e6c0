"""Cameras: pinhole with radial-tangential, equidistant or no distortion.

Models as in OpenCV and Kalibr: "radtan" (Brown 1971; k1 k2 p1 p2, optionally k3), "equidistant" (Kannala and Brandt
2006; k1..k4) and "none". Camera axes: x right, y down, z forward. Pixel (0, 0) is the centre of the top-left pixel.
"""

import functools
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Model = Literal["radtan", "equidistant", "none"]
MODELS: tuple[str, ...] = get_args(Model)
COEFFICIENTS = {"radtan": (4, 5), "equidistant": (4,)}
UNPROJECT_STEPS = 20


@dataclass(frozen=True)
class Camera:
    """Intrinsics of one camera, speaking of the image as the sensor gives it (raw)."""

    model: Model
    intrinsics: Array  # (4,) fx fy cx cy, pixels
    distortion: Array  # (4,) k1 k2 p1 p2, (5,) with k3, or k1..k4; (0,) for none
    resolution: tuple[int, int]  # width, height

    @property
    def matrix(self) -> Array:
        """The (3, 3) camera matrix."""
        fx, fy, cx, cy = self.intrinsics
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])

    def project(self, points: Array) -> tuple[Array, Mask]:
        """Pixels (N, 2) of points (N, 3) in the camera frame, and which are real.

        A point is real when it lies in front of the camera and inside the radius at which the distortion folds over;
        whether it falls inside the image is for `sees` to say.
        """
        fx, fy, cx, cy = self.intrinsics
        x, y, z = np.ascontiguousarray(points.T)  # column by column: several times faster than along so short an axis
        with np.errstate(divide="ignore", invalid="ignore"):
            xy = np.stack([x / z, y / z])
            real = (z > 1e-9) & (xy[0] ** 2 + xy[1] ** 2 < self.fold_radius() ** 2)
            u, v = self.distort(xy.T).T
            u, v = fx * u + cx, fy * v + cy
        return np.stack([u, v], 1), real & np.isfinite(u) & np.isfinite(v)

    def unproject(self, pixels: Array) -> tuple[Array, Mask]:
        """Rays (N, 3) with z = 1 of pixels (N, 2), and which could be found (Newton's method on the distortion)."""
        target = (np.asarray(pixels, dtype=np.float64) - self.intrinsics[2:]) / self.intrinsics[:2]
        xy = target.copy()
        with np.errstate(all="ignore"):
            for _ in range(UNPROJECT_STEPS if self.model != "none" else 0):
                error = self.distort(xy) - target
                if np.abs(error).max(initial=0.0) < 1e-13:
                    break
                xy = xy - np.einsum("nij,nj->ni", _inverse2(self.distort_jacobian(xy)), error)
            found = (np.abs(self.distort(xy) - target).max(axis=1) < 1e-8) & (np.hypot(*xy.T) < self.fold_radius())
        return np.concatenate([xy, np.ones((len(xy), 1))], axis=1), found

    def sees(self, pixels: Array, margin_px: float = 0.0) -> Mask:
        """Which pixels (N, 2) fall inside the image, at least `margin_px` from the centres of its border pixels."""
        width, height = self.resolution
        u, v = pixels.T
        m = margin_px
        return (u >= m) & (u <= width - 1 - m) & (v >= m) & (v <= height - 1 - m)

    def rayless_share(self, columns: int = 32, rows: int = 24) -> float:
        """The share of the image's pixels to which no ray leads, since the distortion folds over within the image."""
        width, height = self.resolution
        axes = np.linspace(0, width - 1, columns), np.linspace(0, height - 1, rows)
        return 1 - float(self.unproject(np.stack(np.meshgrid(*axes), -1).reshape(-1, 2))[1].mean())

    def fold_radius(self) -> float:
        """The normalised radius (tangent of the angle) beyond which the distortion is no longer one-to-one."""
        return self._fold_radius

    @functools.cached_property
    def _fold_radius(self) -> float:
        if self.model == "none":
            return float("inf")
        k = self._radial()
        slope = np.concatenate([[1.0], k * (2 * np.arange(1, len(k) + 1) + 1)])[::-1]
        roots = np.roots(slope)
        real = roots[(np.abs(roots.imag) < 1e-12) & (roots.real > 0)].real
        limit = float(np.sqrt(real.min())) if len(real) else float("inf")
        if self.model == "equidistant":
            return float(np.tan(limit)) if limit < np.pi / 2 else float("inf")
        return limit

    def distort(self, xy: Array) -> Array:
        """Distorted normalised coordinates (N, 2) of ideal ones (N, 2)."""
        if self.model == "none":
            return xy
        if self.model == "equidistant":
            return xy * _equidistant_scale(xy, self.distortion)[:, None]
        x, y = xy.T
        r2 = x * x + y * y
        p1, p2 = self.distortion[2:4]
        g = 1 + r2 * _polynomial(r2, self._radial())
        g += 2 * (p1 * y + p2 * x)
        return np.stack([x * g + p2 * r2, y * g + p1 * r2]).T

    def distort_jacobian(self, xy: Array) -> Array:
        """Derivative (N, 2, 2) of `distort` by the ideal coordinates."""
        x, y = xy.T
        if self.model == "none":
            return np.broadcast_to(np.eye(2), (len(xy), 2, 2))
        if self.model == "equidistant":
            g, slope = _equidistant_scale(xy, self.distortion), _equidistant_slope(xy, self.distortion)
            return np.stack([g + x * x * slope, x * y * slope, x * y * slope, g + y * y * slope], -1).reshape(-1, 2, 2)
        r2 = x * x + y * y
        k = self._radial()
        p1, p2 = self.distortion[2:4]
        g = 1 + r2 * _polynomial(r2, k)
        slope = 2 * _polynomial(r2, k * np.arange(1, len(k) + 1))  # (dg/dr) / r
        cross = x * y * slope + 2 * p1 * x + 2 * p2 * y
        xx = g + x * x * slope + 2 * p1 * y + 6 * p2 * x
        yy = g + y * y * slope + 6 * p1 * y + 2 * p2 * x
        return np.stack([xx, cross, cross, yy], -1).reshape(-1, 2, 2)

    def coefficient_jacobian(self, xy: Array) -> Array:
        """Derivative (N, 2, K) of `distort` by the K distortion coefficients."""
        if self.model == "none":
            return np.zeros((len(xy), 2, len(self.distortion)))
        x, y = xy.T
        r2 = x * x + y * y
        if self.model == "equidistant":
            r = np.sqrt(r2)
            theta = np.arctan(r)
            with np.errstate(invalid="ignore", divide="ignore"):
                powers = theta[:, None] ** np.array([3, 5, 7, 9]) / r[:, None]
            return xy[:, :, None] * np.where(r[:, None] > 1e-8, powers, 0.0)[:, None, :]
        cross = 2 * x * y
        tangential = [np.stack([cross, r2 + 2 * y * y], 1), np.stack([r2 + 2 * x * x, cross], 1)]
        radial = [xy * (r2**power)[:, None] for power in (1, 2, 3)]
        return np.stack([*radial[:2], *tangential, *radial[2:]], -1)[:, :, : len(self.distortion)]

    def scaled(self, width: int, height: int) -> "Camera":
        """The same camera after its image was resized to `width` x `height`."""
        scale = np.array([width / self.resolution[0], height / self.resolution[1]])
        centre = (self.intrinsics[2:] + 0.5) * scale - 0.5
        return replace(
            self, intrinsics=np.concatenate([self.intrinsics[:2] * scale, centre]), resolution=(width, height)
        )

    def cropped(self, left: int, top: int, width: int, height: int) -> "Camera":
        """The same camera after its image was cut to the window that starts at pixel (left, top)."""
        intrinsics = self.intrinsics - np.array([0.0, 0.0, left, top])
        return replace(self, intrinsics=intrinsics, resolution=(width, height))

    def undistorted(self) -> "Camera":
        """A camera with the same matrix and resolution and no distortion."""
        return replace(self, model="none", distortion=np.zeros(0))

    def _radial(self) -> Array:
        if self.model == "equidistant":
            return self.distortion
        return np.concatenate([self.distortion[:2], self.distortion[4:5]])


def _polynomial(x: Array, coefficients: Array) -> Array:
    """Value (N,) of c0 + c1 x + c2 x^2 + ... (Horner's scheme)."""
    value = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value *= x
        value += coefficient
    return value


def _equidistant_scale(xy: Array, k: Array) -> Array:
    r = np.hypot(*xy.T)
    theta = np.arctan(r)
    s = theta * theta
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = theta * (1 + s * _polynomial(s, k)) / r
    return np.where(r > 1e-8, scale, 1.0)


def _equidistant_slope(xy: Array, k: Array) -> Array:
    """Derivative of the scale by the radius, over the radius (N,)."""
    r = np.hypot(*xy.T)
    theta = np.arctan(r)
    s = theta * theta
    by_theta = 1 + s * _polynomial(s, k * (2 * np.arange(1, len(k) + 1) + 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (by_theta / (1 + r * r) - _equidistant_scale(xy, k)) / (r * r)
    return np.where(r > 1e-5, slope, 2 * k[0] - 2 / 3)


def _inverse2(m: Array) -> Array:
    """Inverses of (N, 2, 2) matrices; infinite where singular."""
    a, b, c, d = m[:, 0, 0], m[:, 0, 1], m[:, 1, 0], m[:, 1, 1]
    return np.stack([d, -b, -c, a], -1).reshape(-1, 2, 2) / (a * d - b * c)[:, None, None]
