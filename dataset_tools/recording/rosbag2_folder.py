"""rosbag2 folders: one or more storage files, and a metadata.yaml that a recorder writes only when it ends well."""

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from heatnet.dataset_tools.recording.chunks import Damage
from heatnet.dataset_tools.recording.source import Channel, RawMessage, Source
from heatnet.errors import RecordingError

_MAX_METADATA_BYTES = 1 << 24
FORMAT = "rosbag2 folder"


class Rosbag2Folder:
    """The storage files of a folder, one after another, as bytes of messages."""

    format = FORMAT

    def __init__(self, folder: Path, open_file: Callable[[Path], Source]) -> None:
        damage = Damage()
        files = sorted((f for f in folder.iterdir() if f.suffix in (".mcap", ".db3")), key=_number)
        for missing in _listed(metadata_of(folder)) - {file.name for file in files}:
            damage.note(f"{folder}: {missing} is listed in metadata.yaml and not there")
        self._sources: list[Source] = []
        for file in files:
            try:
                self._sources.append(open_file(file))
            except RecordingError as error:
                damage.note(str(error))
        if not self._sources:
            raise RecordingError(f"{folder}: a rosbag2 folder without a readable file: {'; '.join(damage.lines)}")
        self._own_damage = damage.lines
        self.channels: list[Channel] = [channel for source in self._sources for channel in source.channels]

    @property
    def damage(self) -> list[str]:
        """What could not be read."""
        return [*self._own_damage, *(line for source in self._sources for line in source.damage)]

    def read(self, topics: Collection[str], log_ns: NDArray[np.int64] | None = None) -> Iterator[RawMessage]:
        """Messages of `topics` in the order of the log within each file: see Source."""
        for source in self._sources:
            yield from source.read(topics, log_ns)

    def close(self) -> None:
        """Let go of the files."""
        for source in self._sources:
            source.close()


def metadata_of(folder: Path) -> dict[str, Any]:
    """What metadata.yaml says; empty where it is missing or cannot be read."""
    file = folder / "metadata.yaml"
    try:
        if file.stat().st_size > _MAX_METADATA_BYTES:
            return {}
        information = yaml.safe_load(file.read_text(errors="replace"))["rosbag2_bagfile_information"]
        return dict(information)
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError):
        return {}


def is_compressed(folder: Path) -> bool:
    """Whether files or messages were compressed one by one, beside what the storage does itself."""
    return str(metadata_of(folder).get("compression_mode") or "none").lower() in ("file", "message")


def _listed(metadata: dict[str, Any]) -> set[str]:
    names = metadata.get("relative_file_paths")
    return {Path(str(name)).name for name in names} if isinstance(names, list) else set()


def _number(file: Path) -> tuple[int, str]:
    """drive_2 stands before drive_10."""
    numbers = re.findall(r"\d+", file.stem)
    return int(numbers[-1][:18]) if numbers else 0, file.name
