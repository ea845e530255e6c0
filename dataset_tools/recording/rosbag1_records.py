"""Records of a ROS 1 bag: a header of named fields, then data (wiki.ros.org/Bags/Format/2.0)."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from heatnet.dataset_tools.recording.chunks import decompress, read_at
from heatnet.dataset_tools.recording.source import Channel, is_stamped
from heatnet.errors import RecordingError

MESSAGE, BAG, CHUNK, CHUNK_INFO, CONNECTION = 2, 3, 5, 6, 7
_MAX_HEADER_BYTES = 1 << 16  # a header holds a few names and numbers; long texts stand in the data
_MAX_INDEX_BYTES = 1 << 26  # of one record


@dataclass(frozen=True)
class Record:
    """One record: its named fields, and where its data lie in the stream."""

    fields: dict[bytes, bytes]
    at: int
    size: int

    @property
    def kind(self) -> int:
        """The op code."""
        return self.number(b"op", "<B")

    @property
    def end(self) -> int:
        """Byte after the record."""
        return self.at + self.size

    def number(self, name: bytes, code: str) -> int:
        """An integer field by its struct code."""
        try:
            (value,) = struct.unpack(code, self.fields[name])
        except (KeyError, struct.error) as error:
            raise RecordingError(f"record before byte {self.at} has no proper field {name.decode()!r}") from error
        return int(value)

    def time_ns(self, name: bytes) -> int:
        """A time field: seconds, then nanoseconds."""
        both = self.number(name, "<Q")
        return (both & 0xFFFFFFFF) * 1_000_000_000 + (both >> 32)

    def text(self, name: bytes) -> str:
        """A text field, empty where it is absent."""
        return self.fields.get(name, b"").decode("utf-8", "replace")


def record_at(stream: BinaryIO, at: int) -> Record:
    """The record whose header starts at byte `at`; its data are not read and may lie beyond the end of the stream."""
    (length,) = struct.unpack("<I", read_at(stream, at, 4))
    if length > _MAX_HEADER_BYTES:
        raise RecordingError(f"record at byte {at} has a header of {length} bytes")
    header = read_at(stream, at + 4, length + 4)
    return Record(fields_of(header[:-4]), at + 8 + length, int.from_bytes(header[-4:], "little"))


def data_of(stream: BinaryIO, record: Record) -> bytes:
    """The data of a record that is part of the index."""
    if record.size > _MAX_INDEX_BYTES:
        raise RecordingError(f"a record of kind {record.kind} and {record.size} bytes")
    return read_at(stream, record.at, record.size)


def chunk_at(stream: BinaryIO, at: int) -> tuple[BinaryIO, Iterator[Record]]:
    """The chunk whose record starts at byte `at`: a stream, and the records in it by their places there.

    A plain chunk is read from the file itself, so that one of any size needs no memory.
    """
    chunk = record_at(stream, at)
    if chunk.kind != CHUNK:
        raise RecordingError(f"a record of kind {chunk.kind} instead")
    compression = chunk.text(b"compression")
    if compression == "none":
        return stream, _walk(stream, chunk.at, chunk.end)
    size = chunk.number(b"size", "<I")
    packed_bytes = min(chunk.size, stream.seek(0, io.SEEK_END) - chunk.at)
    plain = decompress(read_at(stream, chunk.at, packed_bytes), compression, size)
    return plain, _walk(plain, 0, size)


def _walk(stream: BinaryIO, at: int, end: int) -> Iterator[Record]:
    stream_end = stream.seek(0, io.SEEK_END)
    while at < end:
        record = record_at(stream, at)
        if record.end > min(end, stream_end):
            raise RecordingError(f"{record.size} bytes at byte {record.at} leave the chunk or the file")
        yield record
        at = record.end


def fields_of(header: bytes) -> dict[bytes, bytes]:
    """The fields `name=value` of a header, each with its length before it."""
    fields, at = {}, 0
    while at < len(header):
        end = at + 4 + int.from_bytes(header[at : at + 4], "little")
        name, equals, value = header[at + 4 : end].partition(b"=")
        if end > len(header) or not equals:
            raise RecordingError(f"a header field of {end - at - 4} bytes cannot be read")
        fields[name] = value
        at = end
    return fields


def connection_of(stream: BinaryIO, record: Record) -> tuple[int, Channel]:
    """The id and the topic that a connection record describes."""
    description = Record(fields_of(data_of(stream, record)), record.at, record.size)
    topic = "/" + "/".join(part for part in record.text(b"topic").split("/") if part)
    package, _, name = description.text(b"type").rpartition("/")
    message_type = f"{package.split('/')[0]}/msg/{name}"
    stamped = is_stamped(message_type, description.text(b"message_definition"))
    return record.number(b"conn", "<I"), Channel(topic, message_type, 0, "ros1", stamped)
