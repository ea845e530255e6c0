"""Records of an MCAP file (mcap.dev/spec): a code, a length, and fields of fixed order."""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple
from zlib import crc32

from heatnet.dataset_tools.recording.chunks import Entry, decompress, read_at
from heatnet.dataset_tools.recording.source import Channel, is_stamped
from heatnet.dataset_tools.recording.wire import Wire
from heatnet.errors import RecordingError

MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, CHUNK_INDEX, STATISTICS = 2, 3, 4, 5, 6, 8, 11
FOOTER_BYTES = 9 + 20 + len(MAGIC)
_MESSAGE_HEAD = struct.Struct("<HIQQ")  # channel, sequence, time of the log, time of publishing
_CHUNK_HEAD_BYTES = 1 << 10  # more than the times, sizes and the name of the compression take
_MAX_FIELDS_BYTES = 1 << 24  # of all records that are neither messages nor chunks
_WIRES: dict[str, Wire] = {"cdr": "cdr", "ros1": "ros1"}


class Record(NamedTuple):
    """Where one record lies in its stream."""

    kind: int
    at: int  # byte of its fields
    size: int

    @property
    def end(self) -> int:
        """Byte after the record."""
        return self.at + self.size


class Schema(NamedTuple):
    """A message type: its name and its definition."""

    name: str
    definition: str


class Fields:
    """Reads the fields of a record in turn."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def unpack(self, code: str) -> tuple[int, ...]:
        """Integers by their struct codes."""
        return struct.unpack("<" + code, self.octets(struct.calcsize("<" + code)))

    def octets(self, size: int) -> bytes:
        """The next `size` bytes."""
        part = self._data[self.at : self.at + size]
        if len(part) != size:
            raise RecordingError(f"{size} bytes needed at {self.at} of a record of {len(self._data)}")
        self.at += size
        return part

    def sized(self) -> bytes:
        """Bytes with their length before them."""
        return self.octets(self.unpack("I")[0])

    def text(self) -> str:
        """A string."""
        return self.sized().decode("utf-8", "replace")

    def table(self, code: str) -> dict[int, int]:
        """A map from integers to integers."""
        data = self.sized()
        if len(data) % struct.calcsize("<" + code):
            raise RecordingError(f"a map of {len(data)} bytes")
        return dict(struct.iter_unpack("<" + code, data))


def record_at(stream: BinaryIO, at: int) -> Record:
    """The record at byte `at`; its fields are not read and may lie beyond the end of the stream."""
    kind, size = struct.unpack("<BQ", read_at(stream, at, 9))
    return Record(kind, at + 9, size)


def fields_of(stream: BinaryIO, record: Record) -> Fields:
    """The fields of a short record."""
    if record.size > _MAX_FIELDS_BYTES:
        raise RecordingError(f"a record of kind {record.kind} and {record.size} bytes")
    return Fields(read_at(stream, record.at, record.size))


def walk(stream: BinaryIO) -> Iterator[Record]:
    """The records of a decompressed chunk."""
    at, end = 0, stream.seek(0, io.SEEK_END)
    while at < end:
        record = record_at(stream, at)
        if record.end > end:
            raise RecordingError(f"a record of {record.size} bytes at byte {at} leaves the chunk")
        yield record
        at = record.end


def entry_of(stream: BinaryIO, record: Record) -> Entry:
    """Where the data of a message lie, when and by which channel it came."""
    channel, _, log_ns, _ = _MESSAGE_HEAD.unpack(read_at(stream, record.at, _MESSAGE_HEAD.size))
    if record.size < _MESSAGE_HEAD.size or log_ns >= 1 << 63:
        raise RecordingError(f"a message of {record.size} bytes, logged at {log_ns} ns")
    return Entry(log_ns, channel, record.at + _MESSAGE_HEAD.size, record.size - _MESSAGE_HEAD.size)


def schema_of(fields: Fields) -> tuple[int, Schema]:
    """The number of a schema, and the schema."""
    (number,) = fields.unpack("H")
    name, _encoding = fields.text(), fields.text()
    return number, Schema(name, fields.text())


def channel_of(fields: Fields, schemas: dict[int, Schema]) -> tuple[int, Channel]:
    """The number of a channel, and the channel; encodings other than CDR and ROS 1 become types nobody knows."""
    number, schema_number = fields.unpack("HH")
    topic, encoding = fields.text(), fields.text()
    schema = schemas.get(schema_number, Schema("unknown", ""))
    if encoding not in _WIRES:
        return number, Channel(topic, f"{schema.name} ({encoding})", 0, "cdr", False)
    package, _, name = schema.name.rpartition("/")
    message_type = f"{package.split('/')[0]}/msg/{name}"
    return number, Channel(topic, message_type, 0, _WIRES[encoding], is_stamped(message_type, schema.definition))


def chunk_of(stream: BinaryIO, record: Record, file_bytes: int) -> BinaryIO:
    """The records of a chunk as a stream; raises RecordingError where its checksum is not theirs."""
    head = Fields(read_at(stream, record.at, min(record.size, _CHUNK_HEAD_BYTES, file_bytes - record.at)))
    *_, size, checksum = head.unpack("QQQI")
    compression = head.text()
    (packed_bytes,) = head.unpack("Q")
    at = record.at + head.at
    if at + packed_bytes > record.end:
        raise RecordingError(f"{packed_bytes} bytes leave the chunk")
    plain = decompress(read_at(stream, at, min(packed_bytes, file_bytes - at)), compression, size)
    if checksum and at + packed_bytes <= file_bytes and crc32(plain.getbuffer()) != checksum:
        raise RecordingError("its checksum is wrong")
    return plain
