"""Which reader a path needs."""

from pathlib import Path

from heatnet.dataset_tools.recording.reader import Recording
from heatnet.errors import RecordingError

_FORMATS = {".bag": "ROS 1 bag", ".mcap": "MCAP", ".db3": "SQLite rosbag2"}


def open_recording(path: Path) -> Recording:
    """Open a .bag, .mcap, .db3, a rosbag2 folder, or a folder of images with a stamp a file.

    Use it as a context manager. Raises RecordingError where there is nothing, or nothing readable, at `path`.
    """
    if not path.exists():
        raise RecordingError(f"{path}: no such file or folder; a .bag, .mcap, .db3 or a folder is needed")
    from heatnet.dataset_tools.recording.bag import BagRecording
    from heatnet.dataset_tools.recording.rosbags_source import RosbagsSource

    if path.is_dir():
        return BagRecording(path, RosbagsSource(path, "rosbag2 folder"))
    if path.suffix not in _FORMATS:
        raise RecordingError(f"{path}: not a recording; a .bag, .mcap, .db3 or a folder is needed")
    return BagRecording(path, RosbagsSource(path, _FORMATS[path.suffix]))
