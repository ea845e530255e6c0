"""A drive from configuration to a folder: the recording and its truth."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.camchain import write_rig
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.rigid import Rigid
from heatnet.dataset_tools.simulate.cameras import SimulatedRig, simulated_rig
from heatnet.dataset_tools.simulate.config import SimulationConfig
from heatnet.dataset_tools.simulate.infrared import InfraredShader
from heatnet.dataset_tools.simulate.lidar import scan
from heatnet.dataset_tools.simulate.messages import Messages, Outgoing
from heatnet.dataset_tools.simulate.recorder import Recorder
from heatnet.dataset_tools.simulate.render import Picture, RayField, render
from heatnet.dataset_tools.simulate.scene import Moment, World, make_world
from heatnet.dataset_tools.simulate.schedule import KeyFrame, Schedule, make_schedule, odometry_stamps
from heatnet.dataset_tools.simulate.sensors import THERMAL_BLUR_PX, ColourSensor, ThermalSensor, colour_sensor
from heatnet.dataset_tools.simulate.truth import ArrayFile, PoseRow, rounded_depth, write_poses, write_rig_truth
from heatnet.dataset_tools.simulate.visible import VisibleShader
from heatnet.dataset_tools.simulate.weather import ALTITUDE_M, LATITUDE_DEG, LONGITUDE_DEG, METRES_A_DEGREE
from heatnet.files import atomic_folder
from heatnet.progress import track

__all__ = ["SimulationConfig", "Studio", "simulate"]
FIX_TOPIC = "/applanix/fix"
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Segment:
    """All that belongs to one key frame."""

    messages: tuple[Outgoing, ...]
    poses: tuple[PoseRow, ...]
    labels: NDArray[np.uint8]  # (H, W)
    depth_m: NDArray[np.float32]  # (H, W)
    rgb_ns: int


def simulate(out_dir: Path, config: SimulationConfig) -> dict[str, Any]:
    """Write a recording and its truth into `out_dir`, which must not exist or be empty; return a summary.

    Files: day.bag or night.bag (or .mcap), rough_camchain.yaml (what the rig's owner knows), truth_camchain.yaml,
    truth.json, labels.npz and depth.npz (per RGB stamp, in the raw left RGB image), poses.csv and simulation.json.
    Raises HeatNetError where `out_dir` is in use or cannot be written.
    """
    with atomic_folder(out_dir) as folder:
        steps = track(range(config.frames + 1), f"simulating {config.name}")
        next(steps)  # the bar stands while the street is built
        studio = Studio.build(config)
        summary = _record(folder, studio, steps)
        write_rig(folder / "rough_camchain.yaml", studio.rig.rough)
        write_rig(folder / "truth_camchain.yaml", studio.rig.true)
        write_rig_truth(folder / "truth.json", studio.rig.true)
        (folder / "simulation.json").write_text(json.dumps({"config": asdict(config), **summary}, indent=1))
    return {"recording": str(out_dir / f"{config.name}.{config.format}"), **summary}


def _record(folder: Path, studio: "Studio", steps: Iterator[int]) -> dict[str, Any]:
    config, poses, counts = studio.config, list[PoseRow](), Counter[str]()
    recorder = Recorder(folder / f"{config.name}.{config.format}", studio.messages.store)
    with recorder, ArrayFile(folder / "labels.npz") as labels, ArrayFile(folder / "depth.npz") as depth:
        segments = _in_order(studio.segment, studio.schedule.keys, config.workers)
        for _, segment in zip(steps, segments, strict=True):
            for item in sorted(segment.messages, key=lambda m: m.log_ns):
                recorder.write(item)
                counts[item.topic] += 1
            labels.write(str(segment.rgb_ns), segment.labels)
            depth.write(str(segment.rgb_ns), segment.depth_m)
            poses += segment.poses
    write_poses(folder / "poses.csv", poses)
    weather = studio.world.weather
    return {
        "key_frames": config.frames,
        "messages": dict(sorted(counts.items())),
        "sun_elevation_deg": round(weather.sun_elevation_deg, 3),
        "air_c": round(weather.air_c, 2),
        "driven_m": round(float(studio.world.drive.along((config.frames - 1) * config.interval_s)), 1),
    }


@dataclass(frozen=True)
class Studio:
    """World, rig and sensors of a simulation: renders one key frame at a time, in any order."""

    config: SimulationConfig
    world: World
    rig: SimulatedRig
    schedule: Schedule
    rays: dict[str, RayField]
    colour: ColourSensor
    thermal: dict[str, ThermalSensor]
    messages: Messages

    @staticmethod
    def build(config: SimulationConfig) -> "Studio":
        """Everything that is made once."""
        world, rig = make_world(config), simulated_rig(config)
        rays = {entry.name: RayField.of(entry.camera) for entry in rig.true.cameras}
        thermal = {
            entry.name: ThermalSensor.make(entry.camera.resolution, np.random.default_rng([config.cameras_seed, 7, i]))
            for i, entry in enumerate(rig.true.thermal)
        }
        schedule = make_schedule(config, world.weather.start_ns)
        messages = Messages(config.format == "bag", config.compress)
        return Studio(config, world, rig, schedule, rays, _exposure(world, rig.true), thermal, messages)

    def segment(self, key: KeyFrame) -> Segment:
        """Everything of one key frame."""
        sent, poses = self._odometry(key), []
        moment = self.world.at(self.schedule.seconds(key.rgb_ns))
        left, right = (self._colour(entry, moment, key.rgb_ns) for entry in self.rig.true.rgb)
        sent += [left[0], right[0], self._fix(key.rgb_ns, moment)]
        poses.append(PoseRow(left[0].topic, key.rgb_ns, key.rgb_ns, moment.world_from_body))
        for stamp in key.thermal_ns:
            seen = stamp - round(self.config.thermal_lag_ms * 1e6)
            moment = self.world.at(self.schedule.seconds(seen))
            images = [self._thermal(entry, moment, stamp) for entry in self.rig.true.thermal]
            sent += images
            poses += [PoseRow(image.topic, stamp, seen, moment.world_from_body) for image in images]
        cloud, pose = self._cloud(key.lidar_ns)
        picture = left[1]
        labels = self.world.columns.label[picture.material]
        return Segment(tuple([*sent, cloud]), (*poses, pose), labels, rounded_depth(picture.depth_m), key.rgb_ns)

    def _colour(self, entry: RigCamera, moment: Moment, stamp_ns: int) -> tuple[Outgoing, Picture]:
        picture = self.picture(entry, moment)
        rgb = self.colour.develop(picture.radiance, self._rng(entry, stamp_ns))
        return self.messages.colour(entry.topic, stamp_ns, rgb), picture

    def _thermal(self, entry: RigCamera, moment: Moment, stamp_ns: int) -> Outgoing:
        picture = self.picture(entry, moment)
        blur = THERMAL_BLUR_PX * max(self.config.scale, 0.5)
        counts = self.thermal[entry.name].develop(picture.radiance[..., 0], blur, self._rng(entry, stamp_ns))
        return self.messages.thermal(entry.topic, stamp_ns, counts)

    def picture(self, entry: RigCamera, moment: Moment) -> Picture:
        """What one of the cameras sees, before optics and sensor."""
        shader = InfraredShader(self.world) if entry.thermal else VisibleShader(self.world)
        cam_from_body = entry.cam_from_cam0 @ _cam0_from_body(self.rig.true)
        return render(moment, self.rays[entry.name], cam_from_body, shader, self.config.edge_samples)

    def _cloud(self, stamp_ns: int) -> tuple[Outgoing, PoseRow]:
        moment, lidar = self.world.at(self.schedule.seconds(stamp_ns)), self.rig.true.lidar
        assert lidar is not None
        body_from_lidar = _cam0_from_body(self.rig.true).inverse() @ lidar.cam0_from_lidar
        rng = np.random.default_rng([self.config.seed, 8, stamp_ns])
        points = scan(moment, body_from_lidar, self.world.columns, self.config.scale, rng)
        row = PoseRow(lidar.topic, stamp_ns, stamp_ns, moment.world_from_body)
        return self.messages.cloud(lidar.topic, stamp_ns, points), row

    def _odometry(self, key: KeyFrame) -> list[Outgoing]:
        body = self.rig.true.body
        assert body is not None
        return [
            self.messages.transform(
                body.odometry_topic,
                int(stamp),
                body.parent_frame,
                body.child_frame,
                self.world.drive.pose(self.schedule.seconds(int(stamp))),
            )
            for stamp in odometry_stamps(key)
        ]

    def _fix(self, stamp_ns: int, moment: Moment) -> Outgoing:
        north, west, up = moment.world_from_body.translation
        latitude = LATITUDE_DEG + north / METRES_A_DEGREE
        longitude = LONGITUDE_DEG - west / (METRES_A_DEGREE * np.cos(np.radians(LATITUDE_DEG)))
        return self.messages.fix(FIX_TOPIC, stamp_ns, float(latitude), float(longitude), ALTITUDE_M + float(up))

    def _rng(self, entry: RigCamera, stamp_ns: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, 9, int(entry.name[3:]), stamp_ns])


def _exposure(world: World, rig: Rig) -> ColourSensor:
    """What automatic exposure settles on: the median light of a small first picture."""
    camera = rig.rgb_left.camera.scaled(240, 82)
    picture = render(world.at(0.0), RayField.of(camera), _cam0_from_body(rig), VisibleShader(world), 1)
    return colour_sensor(world.weather.night, float(np.median(picture.radiance.mean(-1))))


def _cam0_from_body(rig: Rig) -> Rigid:
    assert rig.body is not None
    return rig.body.cam0_from_body


def _in_order(work: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[Result]:
    """Results in the order of the tasks, worked on by threads that run ahead only a little."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
