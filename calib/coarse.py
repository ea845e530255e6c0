"""Where a thermal camera roughly looks: an exhaustive search over rotation, focal length and distortion.

Edges of both modalities are laid on a grid of longitude and latitude around the camera, where a rotation is nearly a
shift, as complex numbers of twice their angle: the real part of their correlation counts edges that agree in place and
direction whatever their sign, and random meetings cancel. One Fourier transform tries every shift at once.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from heatnet.calib.camera import Camera
from heatnet.calib.edges import gradient, noise_of
from heatnet.calib.landmarks import Landmarks
from heatnet.calib.parameters import Estimate
from heatnet.calib.rigid import Rigid, rotation_exp

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex64]


@dataclass(frozen=True)
class CoarseConfig:
    """The grid that is searched."""

    step_deg: float = 0.5
    half_width_deg: float = 48.0
    half_height_deg: float = 40.0
    reach_deg: float = 10.0  # of yaw and pitch
    rolls_deg: tuple[float, ...] = (-7.5, -5, -2.5, 0, 2.5, 5, 7.5)
    focal_steps: tuple[float, ...] = tuple(1.05**i for i in range(-3, 4))
    radial: tuple[float, ...] = (0.0, -0.15, -0.3, -0.45)  # where the guess knows no distortion, or no possible one
    candidates: int = 5


@dataclass(frozen=True)
class Sight:
    """One key frame for the search: its landmarks and the thermal image nearest to it."""

    landmarks: Landmarks
    pixels: NDArray[np.uint16]


def search_pose(scenes: Sequence[Sight], guess: Estimate, config: CoarseConfig) -> list[Estimate]:
    """The most promising estimates around the guess, best first."""
    cameras = cameras_tried(guess.camera, config)
    blurred = [cv2.GaussianBlur(s.pixels.astype(np.float32), (0, 0), 2.0) for s in scenes]
    thermal = [_thermal_spectra(blurred, camera, config) for camera in cameras]
    edges = {roll: [_edge_spectrum(s.landmarks, guess, roll, config) for s in scenes] for roll in config.rolls_deg}
    found: list[tuple[float, Estimate]] = []
    for (i, camera), roll in itertools.product(enumerate(cameras), config.rolls_deg):
        total = sum(t * np.conj(e) for t, e in zip(thermal[i], edges[roll], strict=True))
        surface = fft.ifft2(total).real
        score, pitch, yaw = _peak(surface, config)
        turn = rotation_exp(np.array([0, yaw, 0])) @ rotation_exp(np.array([pitch, 0, 0]))
        turn = turn @ rotation_exp(np.array([0, 0, np.deg2rad(roll)]))
        found.append((score, Estimate(camera, Rigid(turn, np.zeros(3)) @ guess.cam_from_cam0, guess.lag_s)))
    found.sort(key=lambda pair: -pair[0])
    return _distinct([estimate for _, estimate in found], config.candidates)


def lens(camera: Camera, k1: float) -> Camera:
    """The camera with the distortion of an ordinary lens of that k1: k2 is about its square."""
    coefficients = np.zeros_like(camera.distortion)
    if camera.model == "radtan":
        coefficients[:2] = k1, k1 * k1
    return replace(camera, distortion=coefficients)


def cameras_tried(camera: Camera, config: CoarseConfig) -> list[Camera]:
    """Every camera of the grid: of several focal lengths, and of several lenses where the guess knows no distortion."""
    known = (camera.model != "radtan" or bool(np.any(camera.distortion[:2]))) and not camera.rayless_share()
    lenses = [camera] if known else [lens(camera, k1) for k1 in config.radial]
    return [_zoomed(c, step) for c in lenses for step in (*config.focal_steps, *([] if known else _longer(c, config)))]


def _zoomed(camera: Camera, step: float) -> Camera:
    return replace(camera, intrinsics=camera.intrinsics * np.array([step, step, 1.0, 1.0]))


def _longer(camera: Camera, config: CoarseConfig) -> list[float]:
    """Further focal steps, for a guess that comes from a datasheet's field of view without the distortion.

    The field of view reaches to the edge of the image, where the lens shows everything smaller.
    """
    across = float(camera.intrinsics[2])
    edge = max(across, camera.resolution[0] - 1 - across) / camera.intrinsics[0]
    shrunk = float(camera.distort(np.array([[edge, 0.0]]))[0, 0])
    step, last = config.focal_steps[-1] / config.focal_steps[-2], config.focal_steps[-1]
    more = int(np.ceil(np.log(edge / shrunk / last) / np.log(step))) + 1
    return [last * step**i for i in range(1, more + 1)]


def _grid(config: CoarseConfig) -> tuple[Array, Array]:
    """Longitudes (W,) and latitudes (H,) in radians of the grid's pixels."""
    lon = np.deg2rad(np.arange(-config.half_width_deg, config.half_width_deg, config.step_deg))
    lat = np.deg2rad(np.arange(-config.half_height_deg, config.half_height_deg, config.step_deg))
    return lon, lat


def _thermal_spectra(images: Sequence[NDArray[Any]], camera: Camera, config: CoarseConfig) -> list[Spectrum]:
    lon, lat = np.meshgrid(*_grid(config))
    rays = np.stack([np.sin(lon) * np.cos(lat), np.sin(lat), np.cos(lon) * np.cos(lat)], -1)
    places, real = camera.project(rays.reshape(-1, 3))
    inside = (real & camera.sees(places, 2.0)).reshape(lon.shape)
    columns, rows = np.where(inside, places.T.reshape(2, *lon.shape), -1).astype(np.float32)
    inside = ndimage.binary_erosion(inside, iterations=3)
    spectra = []
    for image in images:
        seen = cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        x, y = gradient(np.asarray(seen, np.float32), 0.7)
        spectra.append(_spectrum(_doubled(x, y) * inside))
    return spectra


def _doubled(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Gradient with twice its angle; its length saturates, so that a few hot bodies do not outshout the street."""
    magnitude = np.hypot(x, y)
    level = 6 * noise_of(magnitude)
    weight = magnitude / (magnitude + level) / np.maximum(magnitude, 1e-9) ** 2
    return ((x + 1j * y) ** 2 * weight).astype(np.complex64)


def _edge_spectrum(landmarks: Landmarks, guess: Estimate, roll_deg: float, config: CoarseConfig) -> Spectrum:
    turn = rotation_exp(np.array([0, 0, np.deg2rad(roll_deg)]))
    here, there = (_angles(guess.cam_from_cam0.apply(p) @ turn.T) for p in (landmarks.points, landmarks.along))
    along = there - here
    along = along / np.maximum(np.hypot(*along.T), 1e-12)[:, None]
    values = (along[:, 1] - 1j * along[:, 0]) ** 2  # the normal, with twice its angle
    lon, lat = _grid(config)
    at = np.rint((here - [lon[0], lat[0]]) / np.deg2rad(config.step_deg)).astype(np.int64)
    inside = (at >= 0).all(1) & (at[:, 0] < len(lon)) & (at[:, 1] < len(lat))
    flat = at[inside, 1] * len(lon) + at[inside, 0]
    size = len(lon) * len(lat)
    plane = np.bincount(flat, values[inside].real, size) + 1j * np.bincount(flat, values[inside].imag, size)
    return _spectrum(plane.reshape(len(lat), len(lon)))


def _angles(points: Array) -> Array:
    x, y, z = points.T
    return np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], 1)


def _spectrum(plane: NDArray[np.complexfloating]) -> Spectrum:
    return np.asarray(fft.fft2(plane.astype(np.complex64)), np.complex64)


def _peak(surface: Array, config: CoarseConfig) -> tuple[float, float, float]:
    """Height, pitch and yaw (radians, as rotations about x and y) of the best shift within reach."""
    reach = int(config.reach_deg / config.step_deg)
    window = np.roll(surface, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    row, column = np.unravel_index(int(np.argmax(window)), window.shape)
    down, right = np.deg2rad(config.step_deg) * (np.array([row, column]) - reach)
    return float(window[row, column]), -float(down), float(right)


def _distinct(estimates: list[Estimate], count: int) -> list[Estimate]:
    """The first `count` that differ from each other by a degree, or by more than a step of focal length or lens."""
    kept: list[Estimate] = []
    for candidate in estimates:
        differences = [candidate.difference(k) for k in kept]
        focal = candidate.camera.intrinsics[0]
        if all(np.linalg.norm(d[:3]) > 0.017 or abs(d[6]) > 0.06 * focal or abs(d[10]) > 0.2 for d in differences):
            kept.append(candidate)
        if len(kept) == count:
            break
    return kept
