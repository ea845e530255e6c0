"""Folders of images with a stamp a file.

Every subfolder with images is a topic, named by its path below the recording (`left/rgb` is topic `/left/rgb`); images
beside the subfolders have the folder's own name. A file is called `<prefix>_<sec>_<nsec>`, `<prefix>_<ns>` or `<ns>`,
with the ending .png, .jpg or .jpeg; the prefix may hold anything, the numbers need no leading zeros.
"""

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from heatnet.dataset_tools.recording.compressed import decode_compressed
from heatnet.dataset_tools.recording.decode import COMPRESSED_IMAGE
from heatnet.dataset_tools.recording.messages import Image, Message, Topic
from heatnet.dataset_tools.recording.reader import Recording, Timeline
from heatnet.errors import RecordingError

_ENDINGS = {".png", ".jpg", ".jpeg"}
_MAX_FILE_BYTES = 1 << 28
_SECOND_NS = 1_000_000_000


class FolderRecording(Recording):
    """Images of one or more cameras as files. The order of the log is the order of the stamps."""

    format = "image folder"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unnamed: list[str] = []
        self._files = {topic: sorted(files) for topic, files in sorted(self._find().items())}
        if not self._files:
            bags = [file.name for file in path.glob("*.bag")]
            hint = f"it holds {', '.join(bags)}: name the file" if bags else "nor a rosbag2"
            raise RecordingError(f"{path}: a folder without images named as left_<sec>_<nsec>.png is; {hint}")
        self.topics = {topic: Topic(topic, COMPRESSED_IMAGE, len(files)) for topic, files in self._files.items()}

    def _find(self) -> dict[str, list[tuple[int, Path]]]:
        found: dict[str, list[tuple[int, Path]]] = defaultdict(list)
        for folder, _, names in os.walk(self.path):
            images = [Path(folder, name) for name in names if Path(name).suffix.lower() in _ENDINGS]
            stamped = [(stamp, file) for file in images if (stamp := stamp_of(file.stem)) is not None]
            if len(stamped) < len(images):
                self._unnamed.append(f"{folder}: {len(images) - len(stamped)} images have no stamp in their name")
            if stamped:
                found[self._topic(Path(folder))] = stamped
        return dict(found)

    def _topic(self, folder: Path) -> str:
        return "/" + (folder.relative_to(self.path).as_posix() if folder != self.path else self.path.resolve().name)

    @property
    def damage(self) -> list[str]:
        """See Recording."""
        return self._unnamed

    def timelines(self, topics: Collection[str]) -> dict[str, Timeline]:
        """See Recording."""
        self.require(topics)
        stamps = {topic: np.array([stamp for stamp, _ in self._files[topic]], np.int64) for topic in topics}
        return {topic: Timeline(array, array) for topic, array in stamps.items()}

    def messages(
        self,
        topics: Collection[str],
        wanted: Mapping[str, Collection[int]] | None = None,
        skipped: list[RecordingError] | None = None,
        mosaics: bool = False,
    ) -> Iterator[tuple[str, Message]]:
        """See Recording; files are no mosaics."""
        chosen = self.wanted(topics, wanted)
        frames = sorted((stamp, topic, file) for topic in set(topics) for stamp, file in self._files[topic])
        for stamp, topic, file in frames:
            if not chosen.holds(topic, lambda stamp=stamp: stamp):  # type: ignore[misc]
                continue
            try:
                yield topic, _read(file, stamp, topic)
            except RecordingError as error:
                if skipped is None:
                    raise
                skipped.append(error)

    def close(self) -> None:
        """Nothing stays open between two images."""


def stamp_of(stem: str) -> int | None:
    """The stamp (ns) in a file name without its ending; None where there is none, or none that an int64 can hold."""
    parts = stem.split("_")
    if not (parts[-1].isascii() and parts[-1].isdigit()):
        return None
    last = int(parts[-1][:20])
    if len(parts) > 1 and last < _SECOND_NS:  # seconds stand before it: a count of ns would be the year 1970
        if not (parts[-2].isascii() and parts[-2].isdigit()):
            return None
        last += int(parts[-2][:20]) * _SECOND_NS
    return last if last < 1 << 63 else None


def _read(file: Path, stamp_ns: int, topic: str) -> Image:
    try:
        if file.stat().st_size > _MAX_FILE_BYTES:
            raise RecordingError(f"{file}: {file.stat().st_size} bytes are too many for an image")
        data = file.read_bytes()
    except OSError as error:
        raise RecordingError(f"{file}: cannot be read ({error.strerror or error})") from error
    try:
        return Image(stamp_ns, topic.strip("/"), file.suffix[1:].lower(), decode_compressed(data))
    except RecordingError as error:
        raise RecordingError(f"{file}: {error}") from error
