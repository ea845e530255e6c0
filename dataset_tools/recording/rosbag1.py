"""ROS 1 bags, format 2.0."""

import struct
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from heatnet.dataset_tools.recording import rosbag1_records as records
from heatnet.dataset_tools.recording.chunked import ChunkedSource
from heatnet.dataset_tools.recording.chunks import Chunk, Entry
from heatnet.errors import RecordingError

_PADDED_HEADER_BYTES = 4096  # recorders leave room to come back and write the place of the index


class Rosbag1Source(ChunkedSource):
    """A ROS 1 bag as bytes of messages, plain, LZ4 or BZ2."""

    format = "ROS 1 bag"
    magic = b"#ROSBAG V2.0\n"

    def _read_index(self) -> None:
        bag = records.record_at(self._file, len(self.magic))
        if bag.text(b"encryptor"):
            raise RecordingError(f"encrypted by {bag.text(b'encryptor')!r}")
        at = bag.number(b"index_pos", "<Q")
        if not len(self.magic) < at <= self._size:
            raise RecordingError(f"it should start at byte {at} of {self._size}")
        for kind, count in ((records.CONNECTION, b"conn_count"), (records.CHUNK_INFO, b"chunk_count")):
            for _ in range(bag.number(count, "<I")):
                at = self._take_index_record(at, kind)
        if at != self._size:
            raise RecordingError(f"it ends at byte {at} of {self._size}")

    def _take_index_record(self, at: int, kind: int) -> int:
        record = records.record_at(self._file, at)
        if record.kind != kind:
            raise RecordingError(f"the record at byte {at} is of kind {record.kind}, not {kind}")
        if kind == records.CONNECTION:
            self._learn(self._file, record)
        else:
            chunk, counts = self._chunk_info(record)
            self._chunks.append(chunk)
            self._counts.update(counts)
        return record.end

    def _chunk_info(self, record: records.Record) -> tuple[Chunk, Counter[int]]:
        data = records.data_of(self._file, record)
        if len(data) % 8:
            raise RecordingError(f"chunk information of {len(data)} bytes")
        counts = Counter(dict(struct.iter_unpack("<II", data)))
        start_ns = record.time_ns(b"start_time") if counts else 0
        return Chunk(start_ns, record.number(b"chunk_pos", "<Q"), frozenset(counts)), counts

    def _first_record(self) -> int:
        try:
            return records.record_at(self._file, len(self.magic)).end
        except RecordingError:
            return len(self.magic) + _PADDED_HEADER_BYTES

    def _take(self, at: int) -> int:
        record = records.record_at(self._file, at)
        if record.kind == records.CONNECTION:
            self._learn(self._file, record)
        elif record.kind == records.CHUNK:
            self._count(at)
        return record.end

    def _read_chunk(self, at: int) -> tuple[BinaryIO, Iterator[Entry]]:
        stream, inner = records.chunk_at(self._file, at)
        return stream, self._entries(stream, inner)

    def _entries(self, stream: BinaryIO, inner: Iterator[records.Record]) -> Iterator[Entry]:
        for record in inner:
            if record.kind == records.MESSAGE:
                yield Entry(record.time_ns(b"time"), record.number(b"conn", "<I"), record.at, record.size)
            elif record.kind == records.CONNECTION:
                self._learn(stream, record)

    def _learn(self, stream: BinaryIO, record: records.Record) -> None:
        number, channel = records.connection_of(stream, record)
        self._found.setdefault(number, channel)
