"""The LiDAR on the roof: 64 rings, one turn taken at one moment."""

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.rigid import Rigid
from heatnet.dataset_tools.simulate.materials import MaterialColumns
from heatnet.dataset_tools.simulate.scene import Moment

RINGS, COLUMNS = 64, 1800
ELEVATION_DEG = (-24.8, 2.0)
RANGE_M = (1.5, 100.0)
NOISE_M = 0.015
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("ring", "<u2")])


def scan(
    moment: Moment, body_from_lidar: Rigid, columns: MaterialColumns, scale: float, rng: np.random.Generator
) -> NDArray:
    """Points (N,) of type POINT in the LiDAR's frame, ring by ring; beams without an echo are left out."""
    turns = max(90, round(COLUMNS * scale))
    azimuth = np.arange(turns) * 2 * np.pi / turns
    height = np.radians(np.linspace(*ELEVATION_DEG, RINGS))
    beams = np.stack(
        [
            np.cos(height)[:, None] * np.cos(azimuth),
            np.cos(height)[:, None] * np.sin(azimuth),
            np.sin(height)[:, None] + 0 * azimuth,
        ],
        -1,
    ).reshape(-1, 3)
    world_from_lidar = moment.world_from_body @ body_from_lidar
    origin = world_from_lidar.translation.astype(np.float32)
    directions = (beams @ world_from_lidar.rotation.T).astype(np.float32)
    hits = moment.exposure.hit(origin, directions)
    points = moment.exposure.points(hits, origin, directions)
    slope = np.abs(np.einsum("ij,ij->i", points.normal, points.direction))
    albedo = columns.colour[points.material].mean(1)
    echo = (hits.triangle >= 0) & (points.distance > RANGE_M[0]) & (points.distance < RANGE_M[1])
    echo &= rng.random(len(echo)) < 0.15 + 4 * slope  # grazing beams are lost
    distance = points.distance + rng.normal(0, NOISE_M, len(echo))
    result = np.zeros(len(echo), POINT)
    result["x"], result["y"], result["z"] = (beams * distance[:, None]).T
    result["intensity"] = np.clip(255 * albedo * (0.3 + 0.7 * slope) + rng.normal(0, 2, len(echo)), 0, 255)
    result["ring"] = np.repeat(np.arange(RINGS), turns)
    return result[echo]
