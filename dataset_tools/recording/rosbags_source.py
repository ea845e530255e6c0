"""Bags through the rosbags library: ROS 1 bags, MCAP, SQLite, and rosbag2 folders of the latter two."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag2 import Reader as Reader2

from heatnet.dataset_tools.recording.source import Channel, RawMessage, is_stamped
from heatnet.dataset_tools.recording.wire import Wire
from heatnet.errors import RecordingError

_WIRES: dict[str, Wire] = {"cdr": "cdr", "ros1": "ros1"}


class RosbagsSource:
    """A bag with an index that the library can read."""

    def __init__(self, path: Path, form: str) -> None:
        self.format = form
        self.damage: list[str] = []
        self._path = path
        # The library raises whatever the damage leads to: struct.error, AssertionError, IndexError, MemoryError, ...
        try:
            self._reader: Any = Reader1(path) if path.suffix == ".bag" else Reader2(path)
            self._reader.open()
        except Exception as error:
            raise RecordingError(f"{path}: not a readable {form} ({describe(error)})") from error
        self._channels = {id(c): self._channel(c) for c in self._reader.connections}
        self.channels = list(self._channels.values())

    def _channel(self, connection: Connection) -> Channel:
        wire = _WIRES.get(getattr(connection.ext, "serialization_format", "ros1"), "cdr")
        stamped = is_stamped(connection.msgtype, connection.msgdef.data)
        return Channel(connection.topic, connection.msgtype, connection.msgcount, wire, stamped)

    def read(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of `topics` in the order of the log; raises RecordingError where the file is damaged."""
        connections = [c for c in self._reader.connections if c.topic in topics]
        if not connections:
            return
        messages = self._reader.messages(connections=connections)
        while True:
            try:
                connection, log_ns, data = next(messages)
            except StopIteration:
                return
            except Exception as error:
                raise RecordingError(f"{self._path}: damaged ({describe(error)})") from error
            yield RawMessage(self._channels[id(connection)], log_ns, data)

    def close(self) -> None:
        """Let go of the file."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def describe(error: BaseException) -> str:
    """One line about an error of a library."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200].rstrip(".")
