"""What a surface knows of its surroundings once and for all: how much sky it sees, and how warm the sun has made it."""

import numpy as np
import open3d as o3d
from numpy.typing import NDArray

from heatnet.dataset_tools.simulate.materials import VEGETATION, MaterialColumns
from heatnet.dataset_tools.simulate.mesh import Mesh
from heatnet.dataset_tools.simulate.raycast import Body, scene_of, tensor
from heatnet.dataset_tools.simulate.weather import Weather

Floats = NDArray[np.float32]
DIRECTIONS = 20
LIFT_M = 0.03
CELL_M, LEAF_CELL_M = 0.25, 0.8  # vertices of like orientation within such a cell share one answer


def static_body(mesh: Mesh, columns: MaterialColumns, weather: Weather) -> Body:
    """The street, with the sky's share and the heat of each vertex by ray casting."""
    scene = scene_of(mesh)
    chosen, share = _representatives(mesh, columns.label[mesh.vertex_material()] == VEGETATION)
    normals = mesh.normals[chosen]
    start = mesh.vertices[chosen] + LIFT_M * normals
    sky = _sky_share(scene, start, normals)[share]
    load = _sun_load(scene, start, normals, weather)[share]
    return Body(mesh, sky, heat_of(columns, mesh.vertex_material(), sky, load, weather))


def moving_body(mesh: Mesh, columns: MaterialColumns, weather: Weather) -> Body:
    """Things on the move, taken as free-standing on open ground."""
    up = mesh.normals[:, 2]
    near_ground = np.clip(mesh.vertices[:, 2] / 0.5, 0.25, 1)  # it is dark below a car
    sky = ((0.5 + 0.45 * up) * near_ground).astype(np.float32)
    load = np.clip(mesh.normals @ weather.sun.astype(np.float32), 0, 1) * weather.sun_gain
    return Body(mesh, sky, heat_of(columns, mesh.vertex_material(), sky, load, weather))


def heat_of(columns: MaterialColumns, material: NDArray, sky: Floats, load: Floats, weather: Weather) -> Floats:
    """Kelvins above the air (N,) of surfaces with a share of the sky and a load of sun, both 0 to 1."""
    kept = columns.kept_k[material] if weather.night else columns.gain_k[material] * load
    heat = columns.warmth_k[material] + kept - columns.cooling_k[material] * weather.sky_gain * sky
    return heat.astype(np.float32)


def _representatives(mesh: Mesh, leafy: NDArray[np.bool_]) -> tuple[NDArray, NDArray]:
    """Vertices to ask (M,), and for each vertex (V,) which of them answers for it."""
    size = np.where(leafy, np.float32(LEAF_CELL_M), np.float32(CELL_M))
    cell = np.round(mesh.vertices / size[:, None]).astype(np.int64)
    cell -= cell.min(0)
    facing = np.round(mesh.normals * np.where(leafy, np.float32(0.8), np.float32(1.2))[:, None]).astype(np.int64) + 2
    key = leafy.astype(np.int64)
    for column in (*cell.T, *facing.T):
        key = key * (int(column.max()) + 1) + column
    _, chosen, share = np.unique(key, return_index=True, return_inverse=True)
    return chosen, share.ravel()


def _sky_share(scene: o3d.t.geometry.RaycastingScene, start: Floats, normals: Floats) -> Floats:
    """Cosine-weighted share of the hemisphere over each vertex that is open sky."""
    index = np.arange(DIRECTIONS) + 0.5
    height, turn = np.sqrt(1 - index / DIRECTIONS), index * np.pi * (1 + 5**0.5)
    radius = np.sqrt(1 - height**2)
    local = np.stack([radius * np.cos(turn), radius * np.sin(turn), height], 1).astype(np.float32)
    helper = np.where(np.abs(normals[:, 2:]) < 0.9, [[0, 0, 1]], [[1, 0, 0]]).astype(np.float32)
    first = np.cross(helper, normals)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-6)
    second = np.cross(normals, first)
    open_sky = np.zeros(len(start), np.float32)
    for x, y, z in local:
        direction = x * first + y * second + z * normals
        open_sky += (direction[:, 2] > 0) & ~_blocked(scene, start, direction)
    return open_sky / np.float32(DIRECTIONS)


def _sun_load(scene: o3d.t.geometry.RaycastingScene, start: Floats, normals: Floats, weather: Weather) -> Floats:
    """How much the sun has warmed each vertex lately, 1 for full sun straight on."""
    load = np.zeros(len(start), np.float32)
    if not weather.sun_gain:
        return load
    weights = np.array([0.45, 0.27, 0.17, 0.11])
    for weight, sun in zip(weights, weather.recent_suns.astype(np.float32), strict=True):
        if sun[2] <= 0.02:
            continue
        facing = np.clip(normals @ sun, 0, 1)
        strength = np.float32(weight * min(1.0, 0.35 + float(sun[2])))
        load += strength * facing * ~_blocked(scene, start, np.broadcast_to(sun, start.shape))
    return load * np.float32(weather.sun_gain)


def _blocked(scene: o3d.t.geometry.RaycastingScene, start: Floats, direction: Floats) -> NDArray[np.bool_]:
    rays = np.concatenate([start, direction], 1).astype(np.float32)
    return scene.test_occlusions(tensor(rays), 0.0, 80.0).numpy()
