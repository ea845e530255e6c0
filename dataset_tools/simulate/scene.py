"""The whole world of a seed, and how it stands at a moment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.rigid import Rigid
from heatnet.dataset_tools.simulate.bake import moving_body, static_body
from heatnet.dataset_tools.simulate.config import SimulationConfig
from heatnet.dataset_tools.simulate.drive import Drive, make_drive
from heatnet.dataset_tools.simulate.layout import Site, furnish
from heatnet.dataset_tools.simulate.materials import MaterialColumns, MaterialTable
from heatnet.dataset_tools.simulate.mesh import join
from heatnet.dataset_tools.simulate.movers import Mover, make_movers, moving_mesh, near
from heatnet.dataset_tools.simulate.raycast import Body, Exposure
from heatnet.dataset_tools.simulate.street import Markings, make_ground, make_markings, make_sides
from heatnet.dataset_tools.simulate.textures import Atlas, make_atlas
from heatnet.dataset_tools.simulate.vehicles import HEADLIGHT_M
from heatnet.dataset_tools.simulate.weather import Weather, make_weather

EGO_LIGHT = (1.9, 0.0, -0.98)  # between the car's own headlights, from the left camera, in body axes


@dataclass(frozen=True)
class Headlight:
    """A lamp that shines along the road."""

    place: NDArray[np.float32]  # (3,)
    direction: NDArray[np.float32]  # (3,) unit


@dataclass(frozen=True)
class Moment:
    """The world at one time, as a renderer needs it."""

    exposure: Exposure
    world_from_body: Rigid
    headlights: tuple[Headlight, ...]


@dataclass(frozen=True)
class World:
    """Everything that does not depend on time, and the rules of what does."""

    drive: Drive
    weather: Weather
    markings: Markings
    atlas: Atlas
    columns: MaterialColumns
    static: Body
    lamps: NDArray[np.float32]  # (N, 3)
    movers: tuple[Mover, ...]

    def at(self, t: float) -> Moment:
        """The world at a time of the drive, in seconds."""
        mesh = moving_mesh(self.movers, self.drive, t)
        moving = moving_body(mesh, self.columns, self.weather) if len(mesh.triangles) else None
        pose = self.drive.pose(t)
        return Moment(Exposure(self.static, moving), pose, self._headlights(t, pose))

    def _headlights(self, t: float, pose: Rigid) -> tuple[Headlight, ...]:
        if not self.weather.night:
            return ()
        ahead = [Headlight(*_beam(pose, np.array(EGO_LIGHT), -0.035))]
        here = float(self.drive.along(t))
        others = [m for m in near(self.movers, self.drive, t) if m.headlights and m.place(t)[0] > here - 5]
        for mover in sorted(others, key=lambda m: m.place(t)[0])[:2]:
            frame = self.drive.street.frame(*mover.place(t), z=mover.z)
            ahead.append(Headlight(*_beam(frame, np.array([2.4, 0, HEADLIGHT_M[1]]), -0.035)))
        return tuple(ahead)


def make_world(config: SimulationConfig) -> World:
    """Build street, houses, traffic and weather of a seed."""
    drive, weather = make_drive(config), make_weather(config)
    table, rng = MaterialTable(), np.random.default_rng([config.seed, 6, int(config.night)])
    sides = make_sides(rng)
    markings = make_markings(drive.street, sides, rng)
    site = Site(drive.street, markings, table, config.night, rng)
    furnished = [furnish(site, side) for side in sides]
    mesh = join([make_ground(drive.street, sides, table, rng), *(f.mesh for f in furnished)])
    movers = make_movers(drive, sides, markings, table, config, rng)
    columns = table.columns()
    return World(
        drive,
        weather,
        markings,
        make_atlas(config.seed),
        columns,
        static_body(mesh, columns, weather),
        np.concatenate([f.lamps for f in furnished]).astype(np.float32),
        tuple(movers),
    )


def _beam(frame: Rigid, place: NDArray, pitch: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    direction = frame.rotation @ np.array([np.cos(pitch), 0, np.sin(pitch)])
    return frame.apply(place).astype(np.float32), direction.astype(np.float32)
