"""Bags through the rosbags library: SQLite, and rosbag2 folders whose files or messages are compressed one by one."""

from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from heatnet.dataset_tools.recording.chunks import Damage
from heatnet.dataset_tools.recording.source import Channel, RawMessage, is_stamped
from heatnet.errors import RecordingError


class RosbagsSource:
    """A rosbag2 that the library can open. No method raises anything but RecordingError."""

    def __init__(self, path: Path, form: str) -> None:
        self.format = form
        self._path, self._damage = path, Damage()
        self.damage = self._damage.lines
        # The library raises whatever the damage leads to: struct.error, AssertionError, IndexError, MemoryError, ...
        try:
            self._reader = Reader(path)
            self._reader.open()
        except Exception as error:
            raise RecordingError(f"{path}: not a readable {form} ({_line(error)})") from error
        self._channels = {id(c): self._channel(c) for c in self._reader.connections}
        self.channels = list(self._channels.values())

    def _channel(self, connection: Connection) -> Channel:
        stamped = is_stamped(connection.msgtype, connection.msgdef.data)
        return Channel(connection.topic, connection.msgtype, connection.msgcount, "cdr", stamped)

    def read(self, topics: Collection[str], log_ns: NDArray[np.int64] | None = None) -> Iterator[RawMessage]:
        """Messages of `topics` in the order of the log, up to the first that cannot be read: see Source."""
        connections = [c for c in self._reader.connections if c.topic in topics]
        if not connections or (log_ns is not None and not len(log_ns)):
            return
        start, stop = (None, None) if log_ns is None else (int(log_ns[0]), int(log_ns[-1]) + 1)
        messages = self._reader.messages(connections, start, stop)
        while True:
            try:
                connection, at_ns, data = next(messages)
            except StopIteration:
                return
            except Exception as error:
                self._damage.note(f"{self._path}: nothing can be read from here on ({_line(error)})")
                return
            yield RawMessage(self._channels[id(connection)], at_ns, len(data), partial(_first, data))

    def close(self) -> None:
        """Let go of the file."""
        if self._reader.is_open:
            self._reader.close()


def _first(data: bytes, size: int) -> bytes:
    return data[:size]


def _line(error: BaseException) -> str:
    """One line about an error of a library."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200].rstrip(".")
