"""MCAP files with messages of ROS 2 or ROS 1."""

from collections.abc import Iterator
from typing import BinaryIO
from zlib import crc32

from heatnet.dataset_tools.recording import mcap_records as records
from heatnet.dataset_tools.recording.chunked import ChunkedSource
from heatnet.dataset_tools.recording.chunks import Chunk, Entry, read_at
from heatnet.errors import RecordingError

_MAX_SUMMARY_BYTES = 1 << 28


class McapSource(ChunkedSource):
    """An MCAP file as bytes of messages, with or without chunks, plain, LZ4 or Zstandard."""

    format = "MCAP"
    magic = records.MAGIC

    def _read_index(self) -> None:
        self._schemas: dict[int, records.Schema] = {}
        start, footer = self._summary_start(), self._size - records.FOOTER_BYTES
        at, chunks = start, -1
        while at < footer:
            record = records.record_at(self._file, at)
            if record.kind == records.CHUNK_INDEX:
                self._chunks.append(_chunk_of(records.fields_of(self._file, record)))
            elif record.kind == records.STATISTICS:
                fields = records.fields_of(self._file, record)
                *_, chunks, _, _ = fields.unpack("QHIIIIQQ")
                self._counts.update(fields.table("HQ"))
            else:
                self._learn(self._file, record)
            at = record.end
        if chunks != len(self._chunks) or not self._counts.keys() <= self._found.keys() or not chunks:
            raise RecordingError(f"{len(self._chunks)} chunks and {len(self._found)} channels do not make one")

    def _summary_start(self) -> int:
        tail = read_at(self._file, max(0, self._size - records.FOOTER_BYTES), records.FOOTER_BYTES)
        if not tail.endswith(records.MAGIC) or tail[0] != records.FOOTER:
            raise RecordingError("the file has no end")
        start, _, checksum = records.Fields(tail[9:]).unpack("QQI")
        size = self._size - len(records.MAGIC) - 4 - start  # what the checksum speaks of
        if not start or not 0 < size <= _MAX_SUMMARY_BYTES:
            raise RecordingError(f"a summary at byte {start} of {self._size}")
        if checksum and crc32(read_at(self._file, start, size)) != checksum:
            raise RecordingError("its checksum is wrong")
        return start

    def _first_record(self) -> int:
        return len(self.magic)

    def _take(self, at: int) -> int:
        record = records.record_at(self._file, at)
        if record.kind in (records.CHUNK, records.MESSAGE):
            self._count(at)
        else:
            self._learn(self._file, record)
        return record.end if record.kind != records.FOOTER else self._size

    def _read_chunk(self, at: int) -> tuple[BinaryIO, Iterator[Entry]]:
        """A message outside of chunks counts as a chunk of one."""
        record = records.record_at(self._file, at)
        if record.kind == records.MESSAGE and record.end <= self._size:
            return self._file, iter([records.entry_of(self._file, record)])
        if record.kind != records.CHUNK:
            raise RecordingError(f"a record of kind {record.kind} and {record.size} bytes instead")
        stream = records.chunk_of(self._file, record, self._size)
        return stream, self._entries(stream)

    def _entries(self, stream: BinaryIO) -> Iterator[Entry]:
        for record in records.walk(stream):
            if record.kind == records.MESSAGE:
                yield records.entry_of(stream, record)
            else:
                self._learn(stream, record)

    def _learn(self, stream: BinaryIO, record: records.Record) -> None:
        if record.kind == records.SCHEMA:
            self._schemas.update([records.schema_of(records.fields_of(stream, record))])
        elif record.kind == records.CHANNEL:
            number, channel = records.channel_of(records.fields_of(stream, record), self._schemas)
            self._found.setdefault(number, channel)


def _chunk_of(fields: records.Fields) -> Chunk:
    start_ns, _, at, _ = fields.unpack("QQQQ")
    return Chunk(start_ns, at, frozenset(fields.table("HQ")))
