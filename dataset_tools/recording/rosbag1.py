"""ROS 1 bags, whole or not.

Chunks are found by the index at the end of the file or, where that is missing or damaged, by walking the file up to
its first unreadable byte. A chunk that cannot be read costs its own messages and no others.
"""

import io
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from heatnet.dataset_tools.recording import rosbag1_records as records
from heatnet.dataset_tools.recording.chunks import Chunk, Damage, Entry, Opened, in_log_order, read_at
from heatnet.dataset_tools.recording.source import Channel, RawMessage
from heatnet.errors import RecordingError

_MAGIC = b"#ROSBAG V2.0\n"
_FIRST_CHUNK = len(_MAGIC) + 4096  # recorders pad the bag's header to this


class Rosbag1Source:
    """A ROS 1 bag as bytes of messages. Every method raises RecordingError, nothing else."""

    format = "ROS 1 bag"

    def __init__(self, path: Path) -> None:
        self._path, self._damage = path, Damage()
        self.damage = self._damage.lines
        self._connections: dict[int, Channel] = {}
        self._counts: Counter[int] = Counter()
        self._chunks: list[Chunk] = []
        try:
            self._size = path.stat().st_size
            self._file = path.open("rb")
        except OSError as error:
            raise RecordingError(f"{path}: cannot be read ({error.strerror or error})") from error
        try:
            self._open()
        except RecordingError:
            self.close()
            raise
        self.channels = [replace(c, count=self._counts[number]) for number, c in self._connections.items()]

    def _open(self) -> None:
        magic = self._file.read(len(_MAGIC))
        if magic != _MAGIC:
            raise RecordingError(f"{self._path}: not a ROS 1 bag: it starts with {magic!r} instead of {_MAGIC!r}")
        try:
            self._read_index()
        except RecordingError as error:
            self._damage.note(f"{self._path}: no usable index ({error}); what can be read without it is read")
            self._scan()

    def _read_index(self) -> None:
        bag = records.record_at(self._file, len(_MAGIC))
        if bag.text(b"encryptor"):
            raise RecordingError(f"encrypted by {bag.text(b'encryptor')!r}")
        at = bag.number(b"index_pos", "<Q")
        if not len(_MAGIC) < at <= self._size:
            raise RecordingError(f"it should start at byte {at} of {self._size}")
        connections, chunks = bag.number(b"conn_count", "<I"), bag.number(b"chunk_count", "<I")
        found, infos = {}, []
        for number in range(connections + chunks):
            record = records.record_at(self._file, at)
            if record.kind != (records.CONNECTION if number < connections else records.CHUNK_INFO):
                raise RecordingError(f"record at byte {at} is of kind {record.kind}")
            if number < connections:
                key, channel = records.connection_of(self._file, record)
                found[key] = channel
            else:
                infos.append(self._chunk_info(record))
            at = record.end
        if at != self._size:
            raise RecordingError(f"it ends at byte {at} of {self._size}")
        self._connections = found
        self._chunks = [chunk for chunk, _ in infos]
        self._counts = sum((counts for _, counts in infos), Counter())

    def _chunk_info(self, record: records.Record) -> tuple[Chunk, Counter[int]]:
        data = read_at(self._file, record.at, record.size)
        if len(data) % 8:
            raise RecordingError(f"chunk information of {len(data)} bytes")
        counts = Counter(dict(struct.iter_unpack("<II", data)))
        start_ns = record.time_ns(b"start_time") if counts else 0
        return Chunk(start_ns, record.number(b"chunk_pos", "<Q"), frozenset(counts)), counts

    def _scan(self) -> None:
        """Find the chunks from the start of the file on."""
        at = len(_MAGIC)
        while at < self._size:
            try:
                at = self._scan_record(at)
            except RecordingError as error:
                if at == len(_MAGIC):
                    at = _FIRST_CHUNK
                    continue
                self._damage.note(f"{self._path}: nothing can be read from byte {at} of {self._size} on ({error})")
                break
        if not self._chunks:
            raise RecordingError(f"{self._path}: a ROS 1 bag of {self._size} bytes in which no message can be read")

    def _scan_record(self, at: int) -> int:
        """Take in the record at byte `at`; the byte after it."""
        record = records.record_at(self._file, at)
        if record.kind == records.CONNECTION:
            self._learn(self._file, record)
        if record.kind == records.CHUNK:
            entries = self._load(Chunk(0, at, frozenset())).entries
            counts = Counter(entry.channel for entry in entries)
            start_ns = min((entry.log_ns for entry in entries), default=0)
            self._chunks.append(Chunk(start_ns, at, frozenset(counts)))
            self._counts.update(counts)
        return record.end

    def _load(self, chunk: Chunk) -> Opened:
        """The chunk's messages, as far as they can be read; where that ends early, it is noted."""
        entries: list[Entry] = []
        stream: BinaryIO = self._file
        try:
            stream, inner = records.chunk_at(self._file, chunk.at)
            for record in inner:
                if record.kind == records.MESSAGE:
                    entries.append(Entry(record.time_ns(b"time"), record.number(b"conn", "<I"), record.at, record.size))
                elif record.kind == records.CONNECTION:
                    self._learn(stream, record)
        except RecordingError as error:
            self._damage.note(
                f"{self._path}: chunk at byte {chunk.at} is damaged after {len(entries)} messages ({error})"
            )
        return Opened(stream, entries, 0 if stream is self._file else stream.seek(0, io.SEEK_END))

    def _learn(self, stream: BinaryIO, record: records.Record) -> None:
        number, channel = records.connection_of(stream, record)
        self._connections.setdefault(number, channel)

    def read(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of `topics` in the order of the log."""
        channels = {i: c for i, c in zip(self._connections, self.channels, strict=True) if c.topic in topics}
        for entry, data in in_log_order(self._chunks, self._load, frozenset(channels)):
            yield RawMessage(channels[entry.channel], entry.log_ns, data)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
