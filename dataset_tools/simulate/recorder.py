"""Writes messages into a .bag or .mcap file."""

import shutil
from pathlib import Path
from types import TracebackType

from rosbags import rosbag1, rosbag2
from rosbags.interfaces import Connection
from rosbags.typesys.store import Typestore

from heatnet.dataset_tools.simulate.messages import Outgoing


class Recorder:
    """A recording being written, as a context manager; the file is whole after leaving it."""

    def __init__(self, path: Path, store: Typestore) -> None:
        self._path, self._store = path, store
        self._connections: dict[str, Connection] = {}
        self._folder = path.with_suffix(".writing")  # a rosbag2 writer makes a folder; its one file is all we keep
        self._writer: rosbag1.Writer | rosbag2.Writer
        if path.suffix == ".bag":
            self._writer = rosbag1.Writer(path)
        else:
            self._writer = rosbag2.Writer(self._folder, version=9, storage_plugin=rosbag2.StoragePlugin.MCAP)

    def __enter__(self) -> "Recorder":
        self._writer.open()
        return self

    def write(self, item: Outgoing) -> None:
        """Append one message; they should come in the order of their log times."""
        if item.topic not in self._connections:
            connection = self._writer.add_connection(item.topic, item.message_type, typestore=self._store)
            self._connections[item.topic] = connection
        encode = self._store.serialize_ros1 if self._path.suffix == ".bag" else self._store.serialize_cdr
        data = encode(item.message, item.message_type)
        self._writer.write(self._connections[item.topic], item.log_ns, data)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        if self._path.suffix != ".bag" and kind is None:
            next(self._folder.glob("*.mcap")).replace(self._path)
            shutil.rmtree(self._folder)
