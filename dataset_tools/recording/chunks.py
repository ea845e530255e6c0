"""Messages of a bag's chunks in the order of the log, with few chunks in memory at a time."""

import bz2
import heapq
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from heatnet.errors import RecordingError

MAX_CHUNK_BYTES = 1 << 28  # recorders write chunks of some MiB; a larger compressed one is taken for damage
_BUDGET_BYTES = 1 << 28
_MAX_LINES = 50


@dataclass(frozen=True)
class Chunk:
    """Where a chunk lies in its file and what it says of itself."""

    start_ns: int  # log time of its first message
    at: int  # byte of the chunk's record
    channels: frozenset[int]  # ids of the channels that have messages in it


class Entry(NamedTuple):
    """One message in a chunk."""

    log_ns: int
    channel: int
    at: int  # byte of its data in the chunk's stream
    size: int


@dataclass(frozen=True)
class Opened:
    """A chunk ready to be read."""

    stream: BinaryIO
    entries: list[Entry]
    held_bytes: int  # memory that it holds: nothing where the stream is the file itself


class Damage:
    """What could not be read, each told once in `lines`."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        """Remember `line` unless it is known, or there are too many to read."""
        if line in self.lines or len(self.lines) > _MAX_LINES:
            return
        self.lines.append(line if len(self.lines) < _MAX_LINES else "there is more damage than is listed here")


def in_log_order(
    chunks: Iterable[Chunk], load: Callable[[Chunk], Opened], wanted: frozenset[int]
) -> Iterator[tuple[Entry, BinaryIO]]:
    """Entries of the `wanted` channels and the streams they lie in, merged over chunks that overlap in time.

    Where more than 256 MiB of chunks overlap, order gives way to memory: what is open is emptied first.
    """
    heap: list[tuple[int, int, int, Entry, BinaryIO]] = []
    held = 0
    for number, chunk in enumerate(sorted(chunks, key=lambda c: (c.start_ns, c.at))):
        if not chunk.channels & wanted:
            continue
        while heap and (heap[0][0] < chunk.start_ns or held > _BUDGET_BYTES):
            yield heapq.heappop(heap)[3:]
        held = held if heap else 0
        opened = load(chunk)
        held += opened.held_bytes
        for order, entry in enumerate(opened.entries):
            if entry.channel in wanted:
                heapq.heappush(heap, (entry.log_ns, number, order, entry, opened.stream))
    while heap:
        yield heapq.heappop(heap)[3:]


def read_at(stream: BinaryIO, at: int, size: int) -> bytes:
    """`size` bytes from `at`; raises RecordingError where the stream ends before, or the disk does not give them."""
    try:
        stream.seek(at)
        data = stream.read(size)
    except (OSError, OverflowError, MemoryError) as error:
        raise RecordingError(f"{size} bytes at byte {at} cannot be read ({error})") from error
    if len(data) != size:
        raise RecordingError(f"cut off: {size} bytes needed at byte {at}, {len(data)} there")
    return data


def decompress(data: bytes, compression: str, size: int) -> io.BytesIO:
    """The chunk's `size` bytes as a stream, fewer where `data` are cut off; raises RecordingError on damage."""
    if size > MAX_CHUNK_BYTES:
        raise RecordingError(f"a chunk of {size} bytes, {MAX_CHUNK_BYTES} is the most that is read")
    try:
        plain = _decompress(data, compression, size)
    except (OSError, RuntimeError, ValueError, EOFError, MemoryError, zstd.ZstdError) as error:
        raise RecordingError(f"{compression} does not decompress: {error}") from error
    return io.BytesIO(plain)


def _decompress(data: bytes, compression: str, size: int) -> bytes:
    """At most `size` bytes, whatever `data` would make."""
    if compression in ("", "none"):
        return data
    if compression == "bz2":
        return bz2.BZ2Decompressor().decompress(data, size)
    if compression == "lz4":
        return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data, size))
    if compression == "zstd":
        return zstd.ZstdDecompressor().decompress(data, size)
    raise ValueError("an unknown compression")
