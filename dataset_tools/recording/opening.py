"""Which reader a path needs.

A build opens a recording several times: for its rig, its stamps, its counts, its images. What was learnt of the last
few files, index and messages, is shared as long as they stay as they are.
"""

import time
from collections.abc import Callable
from pathlib import Path

from heatnet.dataset_tools.recording.bag import BagRecording
from heatnet.dataset_tools.recording.chunked import ChunkedSource
from heatnet.dataset_tools.recording.folder import FolderRecording
from heatnet.dataset_tools.recording.mcap import McapSource
from heatnet.dataset_tools.recording.reader import Recording
from heatnet.dataset_tools.recording.rosbag1 import Rosbag1Source
from heatnet.dataset_tools.recording.rosbag2_folder import FORMAT, Rosbag2Folder, is_compressed
from heatnet.dataset_tools.recording.source import Source
from heatnet.errors import RecordingError

# A recorder that was killed leaves drive.bag.active.
_SOURCES: dict[str, Callable[[Path], ChunkedSource]] = {
    ".bag": Rosbag1Source,
    ".active": Rosbag1Source,
    ".mcap": McapSource,
}
_KNOWN_FILES = 4
_SETTLED_NS = 2_000_000_000  # what was written to later than this ago may change again and keep its time (as in git)
_State = tuple[Path, int, int, int]
_known: dict[_State, ChunkedSource] = {}  # the latest last


def open_recording(path: Path) -> Recording:
    """Open a .bag, .mcap, .db3, a rosbag2 folder, or a folder of images with a stamp a file.

    Use it as a context manager. Raises RecordingError where there is nothing, or nothing readable, at `path`.
    """
    try:
        return _open(path)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror or error})") from error


def _open(path: Path) -> Recording:
    if not path.exists():
        raise RecordingError(f"{path}: no such file or folder; a .bag, .mcap, .db3 or a folder is needed")
    if path.is_dir() and not _is_rosbag2(path):
        return FolderRecording(path)
    if path.suffix in (".mcap", ".db3") and path.is_file() and is_compressed(path.parent):
        raise RecordingError(
            f"{path}: its messages are compressed as the metadata.yaml beside it says; name the folder"
        )
    if path.is_dir() or path.suffix == ".db3":
        return BagRecording(path, _through_rosbags(path))
    if path.suffix not in _SOURCES or not path.is_file():
        raise RecordingError(f"{path}: not a recording; a .bag, .mcap, .db3 or a folder is needed")
    return BagRecording(path, _chunked(path))


def _chunked(path: Path) -> ChunkedSource:
    try:
        stat = path.stat()
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror or error})") from error
    state = path.absolute(), stat.st_ino, stat.st_size, stat.st_mtime_ns
    known = _known.pop(state, None)
    source = _SOURCES[path.suffix](path) if known is None else known.again()
    if time.time_ns() - stat.st_mtime_ns > _SETTLED_NS:
        _known[state] = source
        for oldest in list(_known)[:-_KNOWN_FILES]:
            del _known[oldest]
    return source


def _through_rosbags(path: Path) -> Source:
    from heatnet.dataset_tools.recording.rosbags_source import RosbagsSource  # importing it takes 0.3 s

    if path.is_file():
        return RosbagsSource(path, "SQLite rosbag2")
    if is_compressed(path):
        return RosbagsSource(path, FORMAT)
    return Rosbag2Folder(path, lambda f: _chunked(f) if f.suffix in _SOURCES else RosbagsSource(f, "SQLite rosbag2"))


def _is_rosbag2(folder: Path) -> bool:
    return any(file.name == "metadata.yaml" or file.suffix in (".mcap", ".db3") for file in folder.iterdir())
