"""The rig that is simulated: the published numbers of the real one, its thermal cameras a little different by seed.

Sources: the front stereo and thermal camchain files that the authors of HeatNet published with their rig.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heatnet.calib.camera import Camera
from heatnet.calib.rig import Body, Lidar, Rig, RigCamera
from heatnet.calib.rigid import Rigid, nearest_rotation, rotation_exp
from heatnet.dataset_tools.simulate.config import SimulationConfig

RGB_SIZE, THERMAL_SIZE = (1920, 650), (640, 512)
RGB_LEFT = ((1017.8272, 1016.6098, 969.2854, 300.0874), (-0.20206924, 0.07036801, 0.00026516, 0.00027611))
RGB_RIGHT = ((1015.6535, 1014.9876, 961.7921, 312.2339), (-0.19385059, 0.06142957, 0.00013586, -0.00055854))
RIGHT_FROM_LEFT = (
    (0.9996124438, -0.002693536964, 0.02770752888, -0.5015200831),
    (0.002418475792, 0.9999475128, 0.009956033695, -0.002879372773),
    (-0.02773289153, -0.009885165184, 0.9995664912, 0.01359658669),
)
THERMAL_LEFT = ((508.44505, 508.26823, 313.48484, 250.79618), (-0.43301338, 0.18707614, 0.00196324, 0.00034973))
THERMAL_RIGHT = ((508.91024, 509.12464, 301.23044, 242.73314), (-0.43016756, 0.18113817, 0.00124773, -0.00082525))
THERMAL_LEFT_FROM_RGB = (
    (0.9998617370, 0.0128690150, 0.0105306608, -0.0614954033),
    (-0.0131114567, 0.9996428897, 0.0232848168, 0.0009927010),
    (-0.0102272471, -0.0234196696, 0.9996734079, 0.0137102265),
)
THERMAL_RIGHT_FROM_LEFT = (
    (0.9999765540, -0.0030036047, 0.0061538548, -0.5020901592),
    (0.0029661765, 0.9999771041, 0.0060821906, 0.0038693393),
    (-0.0061719824, -0.0060637945, 0.9999625678, 0.0125054838),
)
AXES = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # camera axes from body or LiDAR axes
TOPICS = ("/rgb_fl_burst", "/rgb_fr_burst", "/ir_left_burst", "/ir_right_burst")
GUESSED_FOCAL_PX = 480.0


@dataclass(frozen=True)
class SimulatedRig:
    """The true rig, and what its owner knows of it."""

    true: Rig
    rough: Rig


def simulated_rig(config: SimulationConfig) -> SimulatedRig:
    """The rig of a seed: RGB known exactly, thermal cameras by tape measure with a guessed focal length."""
    rng = np.random.default_rng([config.cameras_seed, 1])
    right_from_left = _rigid(RIGHT_FROM_LEFT)
    left_thermal = _jolted(_rigid(THERMAL_LEFT_FROM_RGB), 0.8, 0.008, rng)
    right_thermal = _jolted(_rigid(THERMAL_RIGHT_FROM_LEFT) @ left_thermal, 0.8, 0.008, rng)
    rgb = [_camera(*RGB_LEFT, RGB_SIZE, config), _camera(*RGB_RIGHT, RGB_SIZE, config)]
    thermal = [_camera(*_lens(THERMAL_LEFT, rng), THERMAL_SIZE, config)]
    thermal.append(_camera(*_lens(THERMAL_RIGHT, rng), THERMAL_SIZE, config))
    poses = (Rigid.identity(), right_from_left, left_thermal, right_thermal)
    cameras = tuple(
        RigCamera(f"cam{i}", camera, TOPICS[i], i > 1, poses[i]) for i, camera in enumerate([*rgb, *thermal])
    )
    lidar = Lidar("/top_velodyne/points", _jolted(Rigid(AXES, np.array([0, -0.35, -0.9])), 0.3, 0, rng))
    body = Body("/tf", "odom_combined", "base_link", Rigid(AXES, np.zeros(3)))
    true = Rig(cameras, lidar, body)
    return SimulatedRig(true, _rough(true, config, rng))


def _rough(true: Rig, config: SimulationConfig, rng: np.random.Generator) -> Rig:
    width, height = THERMAL_SIZE
    guess = ((GUESSED_FOCAL_PX, GUESSED_FOCAL_PX, width / 2, height / 2), (0.0, 0.0, 0.0, 0.0))
    cameras = tuple(
        replace(
            c, camera=_camera(*guess, THERMAL_SIZE, config), cam_from_cam0=_jolted(c.cam_from_cam0, 1.2, 0.012, rng)
        )
        if c.thermal
        else c
        for c in true.cameras
    )
    assert true.lidar is not None
    lidar = replace(true.lidar, cam0_from_lidar=_jolted(true.lidar.cam0_from_lidar, 0.05, 0.005, rng))
    return replace(true, cameras=cameras, lidar=lidar)


def _camera(intrinsics: ArrayLike, distortion: ArrayLike, size: tuple[int, int], config: SimulationConfig) -> Camera:
    camera = Camera("radtan", np.array(intrinsics, float), np.array(distortion, float), size)
    if config.scale == 1:
        return camera
    width, height = (2 * round(side * config.scale / 2) for side in size)  # even: the Bayer pattern is 2x2
    return camera.scaled(width, height)


def _lens(nominal: tuple[ArrayLike, ArrayLike], rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    intrinsics, distortion = (np.array(v, float) for v in nominal)
    intrinsics[:2] *= 1 + rng.normal(0, 0.008)
    intrinsics[2:] += rng.normal(0, 3.5, 2)
    distortion[:2] += rng.normal(0, (0.015, 0.003))
    distortion[2:] += rng.normal(0, 0.00005, 2)
    return intrinsics, distortion


def _jolted(nominal: Rigid, sigma_deg: float, sigma_m: float, rng: np.random.Generator) -> Rigid:
    turn = np.radians(np.clip(rng.normal(0, sigma_deg, 3), -2 * sigma_deg, 2 * sigma_deg))
    shift = np.clip(rng.normal(0, sigma_m, 3), -2 * sigma_m, 2 * sigma_m) if sigma_m else np.zeros(3)
    return Rigid(rotation_exp(turn) @ nominal.rotation, nominal.translation + shift)


def _rigid(rows: ArrayLike) -> Rigid:
    rigid = Rigid.from_matrix(rows)
    return Rigid(nearest_rotation(rigid.rotation), rigid.translation)
