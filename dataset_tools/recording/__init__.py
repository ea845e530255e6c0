"""Recordings of every format behind one interface."""

from heatnet.dataset_tools.recording.messages import Fix, Image, Message, PointCloud, Pose, Topic
from heatnet.dataset_tools.recording.opening import open_recording
from heatnet.dataset_tools.recording.reader import Recording
from heatnet.dataset_tools.recording.rig_topics import (
    read_recorded_rig,
    read_trajectory,
    resolve_topic,
    thermal_cameras,
)
from heatnet.dataset_tools.recording.salvage import open_whole, refuse_doubles

__all__ = [
    "Fix",
    "Image",
    "Message",
    "PointCloud",
    "Pose",
    "Recording",
    "Topic",
    "open_recording",
    "open_whole",
    "read_recorded_rig",
    "read_trajectory",
    "refuse_doubles",
    "resolve_topic",
    "thermal_cameras",
]
