"""What a recording will become, before one image is decoded: its sets, their domains, splits and shards."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.rig import Lidar, Rig, RigCamera
from heatnet.calib.trajectory import Trajectory
from heatnet.dataset_tools.align import nearest_thermal
from heatnet.dataset_tools.digests import recording_digest
from heatnet.dataset_tools.labels import LabelFile, find_labels
from heatnet.dataset_tools.recording import Fix, Recording, open_whole, read_trajectory, resolve_topic
from heatnet.dataset_tools.rhythm import Rhythm, rhythm
from heatnet.dataset_tools.splits import MARGIN
from heatnet.dataset_tools.sun import DomainConfig, Place, domain_of
from heatnet.dataset_tools.sweeps import choose_sweeps
from heatnet.dataset_tools.sync import Sets, synchronise
from heatnet.dataset_tools.writer import plain_name
from heatnet.errors import DatasetError, RecordingError

Need = Literal["no", "if there", "yes"]  # if there: one of the rig's depth sensors does, whichever a recording has
NO_SWEEP = -1  # in place of a stamp
NAVSATFIX = "sensor_msgs/msg/NavSatFix"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweeps:
    """The LiDAR sweep of each set."""

    lidar: Lidar
    topic: str
    stamps_ns: NDArray[np.int64]  # (N,) NO_SWEEP where there is none near enough


@dataclass(frozen=True)
class RecordingPlan:
    """The sets of one recording and what is known of each; arrays have one entry a set, in order of time."""

    path: Path
    digest: str  # of the recording's content
    topics: dict[str, str]  # by role: rgb, thermal, right
    stamps_ns: dict[str, NDArray[np.int64]]  # by role
    elevations_deg: NDArray[np.float64]
    domains: NDArray[np.str_]
    splits: NDArray[np.str_]
    labelled: NDArray[np.bool_]
    labels: LabelFile | None
    trajectory: Trajectory | None
    thermal_lag_ns: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    state: tuple[int, int, int] = (0, 0, 0)  # see recording_state
    tolerance_ns: int = 0  # that frames of a set may be apart
    rhythms: dict[str, Rhythm] = field(default_factory=dict)  # by role
    sweeps: Sweeps | None = None  # of the LiDAR, where depth is asked of it

    def refuse_change(self) -> None:
        """Raise RecordingError where the recording is not as it was when this was planned."""
        if recording_state(self.path) != self.state:
            raise RecordingError(f"{self.path}: was removed or changed while it was read; build again when it is whole")

    @property
    def depth_from(self) -> list[str]:
        """What sensors there are to measure depth."""
        return ["stereo"] * ("right" in self.topics) + ["lidar"] * (self.sweeps is not None)

    @property
    def sequence(self) -> str:
        """The drive's name: that of the recording."""
        return plain_name(self.path.stem)

    @property
    def range_ns(self) -> tuple[int, int]:
        """First and last stamp."""
        stamps = self.stamps_ns["rgb"]
        return int(stamps.min()), int(stamps.max())

    def kept(self, keep: NDArray[np.bool_], drops: Mapping[str, int]) -> "RecordingPlan":
        """Only the sets (N,) to `keep`; `drops` says why the others are left out."""
        stamps = {role: values[keep] for role, values in self.stamps_ns.items()}
        counted = Counter(self.drops) + Counter(drops)
        arrays: dict[str, Any] = {
            n: getattr(self, n)[keep] for n in ("elevations_deg", "domains", "splits", "labelled")
        }
        sweeps = None if self.sweeps is None else replace(self.sweeps, stamps_ns=self.sweeps.stamps_ns[keep])
        return replace(self, stamps_ns=stamps, drops=dict(counted), sweeps=sweeps, **arrays)

    def with_splits(self, splits: NDArray[np.str_]) -> "RecordingPlan":
        """The sets with their splits (N,), without those in the margin between two."""
        margin = splits == MARGIN
        return replace(self, splits=splits).kept(~margin, {"margin between two splits": int(margin.sum())})


@dataclass(frozen=True)
class PlanConfig:
    """Which frames belong together, and what they are taken for."""

    tolerance_ns: int | None = None  # None: half the frame interval
    domain: str | None = None  # day or night for all, whatever the sun says
    sun: DomainConfig = field(default_factory=DomainConfig)
    stereo: Need = "yes"  # whether a set needs a right RGB image, for the depth
    thermal_lag_ns: int = 0  # how much later than its stamp says a thermal image was exposed
    thermal_camera: str | None = None  # name in the rig file; None: the one nearest to the left RGB camera
    salvage: bool = False  # use what can be read of a damaged recording
    lidar: Need = "no"  # whether a set needs a LiDAR sweep, for the depth


def chosen_thermal(rig: Rig, name: str | None) -> RigCamera:
    """The thermal camera of that name, or the nearest. Raises DatasetError where there is none."""
    chosen = nearest_thermal(rig) if name is None else next((c for c in rig.thermal if c.name == name), None)
    if chosen is None:
        raise DatasetError(f"the rig has no thermal camera {name}; it has {', '.join(c.name for c in rig.thermal)}")
    return chosen


def plan_recording(path: Path, rig: Rig, config: PlanConfig) -> RecordingPlan:
    """Read stamps, places and poses of a recording, and decide which frames make a sample.

    Raises RecordingError where a topic is missing, no frames belong together, or the recording is damaged and not to be
    salvaged; DatasetError where it cannot be known
    whether it is day or night.
    """
    state = recording_state(path)
    with open_whole(path, config.salvage) as recording:
        topics = _topics(recording, rig, config)
        timelines = recording.timelines(list(topics.values()))
        frames = {role: timelines[topic] for role, topic in topics.items()}
        sets = synchronise(frames, config.tolerance_ns, {"thermal": -config.thermal_lag_ns})
        stamps = sets.stamps_ns["rgb"]
        if not len(stamps):
            raise RecordingError(f"{path}: no frames that belong together ({_reasons(sets, topics)})")
        place = _place(recording)
        trajectory = None if rig.body is None else read_trajectory(recording, rig.body)
        excused = config.lidar == "if there" and (rig.lidar is None or "right" in topics)
        sweeps = None if config.lidar == "no" else _sweeps(recording, rig, stamps, trajectory, excused)
    elevations = np.array([place.sun_elevation_deg(int(stamp)) for stamp in stamps])
    labels = find_labels(path)
    labelled = _labelled(labels, stamps, path)
    unknown = np.full(len(stamps), "", dtype="U6")
    plan = RecordingPlan(
        path, recording_digest(path), topics, sets.stamps_ns, elevations, unknown, unknown, labelled, labels,
        trajectory, config.thermal_lag_ns, sets.drops, state, sets.tolerance_ns,
        {role: rhythm(frame.stamps_ns, frame.log_ns) for role, frame in frames.items()}, sweeps,
    )  # fmt: skip
    if sweeps is not None and config.lidar == "yes":
        found = sweeps.stamps_ns != NO_SWEEP
        plan = plan.kept(found, {"no LiDAR sweep near": int((~found).sum())})
    return _with_domains(plan, config)


def _labelled(labels: LabelFile | None, stamps_ns: NDArray[np.int64], path: Path) -> NDArray[np.bool_]:
    """Which of the sets (N,) of a recording have a label; it is logged where a file of labels has none for any."""
    labelled = np.array([labels is not None and int(stamp) in labels.stamps_ns for stamp in stamps_ns])
    if labels is not None and not labelled.any():
        _LOG.warning(
            "%s: none of its %d label maps has the stamp of one of the %d sets of %s, which stays without labels",
            labels.path, len(labels.stamps_ns), len(stamps_ns), path.name,
        )  # fmt: skip
    return labelled


def _sweeps(
    recording: Recording, rig: Rig, stamps_ns: NDArray[np.int64], trajectory: Trajectory | None, excused: bool
) -> Sweeps | None:
    """The sweep of each set; none where there is no LiDAR and that is `excused`."""
    lidar = rig.lidar
    topic = None if lidar is None else resolve_topic(recording, lidar.topic)
    if excused and topic is None:
        return None
    if lidar is None or topic is None:
        found = "the rig file has no lidar0" if lidar is None else f"no LiDAR topic {lidar.topic}"
        raise RecordingError(f"{recording.path}: {found}; --depth stereo, plane or infinite need none")
    all_ns = np.unique(recording.stamps([topic])[topic])
    chosen = [(*choose_sweeps(all_ns, int(stamp), trajectory), NO_SWEEP)[0] for stamp in stamps_ns]
    return Sweeps(lidar, topic, np.array(chosen, np.int64))


def recording_state(path: Path) -> tuple[int, int, int]:
    """Files, bytes and latest change (ns) of a recording: what changes with it, asked for in no time; zeros where it is
    gone.
    """
    try:
        files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        states = [file.stat() for file in files]
    except OSError:
        return 0, 0, 0
    return len(states), sum(s.st_size for s in states), max((s.st_mtime_ns for s in states), default=0)


def _topics(recording: Recording, rig: Rig, config: PlanConfig) -> dict[str, str]:
    roles = {"rgb": rig.rgb_left.topic, "thermal": chosen_thermal(rig, config.thermal_camera).topic}
    if len(rig.rgb) > 1 and config.stereo != "no":
        instead = config.stereo == "if there" and rig.lidar is not None and resolve_topic(recording, rig.lidar.topic)
        if not instead or resolve_topic(recording, rig.rgb[1].topic):
            roles["right"] = rig.rgb[1].topic
    topics = {}
    for role, wanted in roles.items():
        topic = resolve_topic(recording, wanted)
        if topic is None:
            have = ", ".join(recording.topics) or "none"
            raise RecordingError(f"{recording.path}: no {role} topic {wanted}; it has: {have}")
        topics[role] = topic
    return topics


def _reasons(sets: Sets, topics: Mapping[str, str]) -> str:
    named = ", ".join(f"{role} is {topic}" for role, topic in topics.items())
    named = f"the tolerance is {sets.tolerance_ns / 1e6:.1f} ms; {named}"
    return "; ".join([f"{count} {reason}" for reason, count in sets.drops.items()] + [named])


def _place(recording: Recording) -> Place:
    topics = [topic.name for topic in recording.topics.values() if topic.message_type == NAVSATFIX]
    fixes = [m for _, m in recording.messages(topics, skipped=[]) if isinstance(m, Fix) and m.valid]
    fixes.sort(key=lambda fix: fix.stamp_ns)
    return Place(
        np.array([fix.stamp_ns for fix in fixes], np.int64),
        np.array([fix.latitude_deg for fix in fixes], np.float64),
        np.array([fix.longitude_deg for fix in fixes], np.float64),
    )


def _with_domains(plan: RecordingPlan, config: PlanConfig) -> RecordingPlan:
    if config.domain is not None:
        return replace(plan, domains=np.full(len(plan.domains), config.domain, dtype="U6"))
    unknown = np.isnan(plan.elevations_deg)
    if unknown.all():
        raise DatasetError(
            f"{plan.path}: day or night cannot be told, for it has no valid GNSS fix (sensor_msgs/NavSatFix) or stamps "
            "that are no UTC; say which it is with --domain day or --domain night"
        )
    plan = plan.kept(~unknown, {"stamp is no UTC time": int(unknown.sum())})
    domains = np.array([domain_of(float(e), config.sun) or "" for e in plan.elevations_deg], dtype="U6")
    dropped = domains == ""
    return replace(plan, domains=domains).kept(~dropped, {"twilight": int(dropped.sum())})
