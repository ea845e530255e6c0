"""From what a rig file names to what a recording has."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from heatnet.calib.camchain import read_rig
from heatnet.calib.rig import Body, Rig
from heatnet.calib.trajectory import Trajectory
from heatnet.dataset_tools.recording.decode import IMAGES, ODOMETRY, TRANSFORMS
from heatnet.dataset_tools.recording.messages import Image, Pose
from heatnet.dataset_tools.recording.opening import open_recording
from heatnet.dataset_tools.recording.reader import Recording

_TRANSPORTS = ("", "/compressed", "/image_raw", "/image_raw/compressed")


def resolve_topic(recording: Recording, rostopic: str) -> str | None:
    """The topic of `recording` that a rig file means by `rostopic`: itself, or with an image-transport suffix."""
    name = "/" + rostopic.strip("/")
    bases = (name, name.removesuffix("/compressed"))
    candidates = [base + suffix for base in bases for suffix in _TRANSPORTS]
    return next((c for c in candidates if c in recording.topics), None)


def thermal_cameras(recording: Recording, rig: Rig) -> tuple[str, ...]:
    """Names of the rig's cameras whose first image in `recording` has 16 bits: these are thermal."""
    names = {topic: camera.name for camera in rig.cameras if (topic := resolve_topic(recording, camera.topic))}
    return tuple(name for topic, name in names.items() if _is_16_bit(recording, topic))


def read_recorded_rig(rig_file: Path, recording: Path, thermal_topics: Iterable[str] = ()) -> Rig:
    """The rig of a file; thermal are the topics of `thermal_topics`, of thermal names, and of 16-bit images."""
    extra = set(thermal_topics)
    rig = read_rig(rig_file, extra)
    with open_recording(recording) as opened:
        found = {rig[name].topic for name in thermal_cameras(opened, rig)}
    known = found <= {camera.topic for camera in rig.thermal}
    return rig if known else read_rig(rig_file, extra | found)


def _is_16_bit(recording: Recording, topic: str) -> bool:
    if recording.topics[topic].message_type not in IMAGES:
        return False
    first = next(islice(recording.messages([topic], skipped=[]), 1), None)
    return first is not None and isinstance(first[1], Image) and first[1].pixels.dtype == np.uint16


def read_trajectory(recording: Recording, body: Body) -> Trajectory | None:
    """The motion of `body.child_frame` in `body.parent_frame`, from the rig's odometry topic; None where absent.

    Without that topic in the recording, the tf or odometry topic that says most about these frames is taken: two
    estimates are never mixed. An odometry message with empty frames counts as the body's own.
    """
    named = resolve_topic(recording, body.odometry_topic)
    kinds = (*TRANSFORMS, ODOMETRY)
    topics = [named] if named else [t.name for t in recording.topics.values() if t.message_type in kinds]
    poses: dict[str, list[Pose]] = {topic: [] for topic in topics}
    for topic, message in recording.messages(topics, skipped=[]):
        if isinstance(message, Pose) and _speaks_of(message, body):
            poses[topic].append(message)
    best = max(poses.values(), key=len, default=[])
    if not best:
        return None
    stamps = np.array([p.stamp_ns for p in best], np.int64)
    return Trajectory.from_samples(
        stamps, np.array([p.quaternion for p in best]), np.array([p.translation for p in best])
    )


def _speaks_of(pose: Pose, body: Body) -> bool:
    parent, child = body.parent_frame.removeprefix("/"), body.child_frame.removeprefix("/")
    return pose.parent_frame in (parent, "") and pose.child_frame in (child, "")
