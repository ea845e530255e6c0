"""What bags made of chunks have in common: an index that may be missing, and chunks that may be damaged."""

import copy
import io
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.recording.chunks import Chunk, Damage, Entry, Opened, in_log_order, read_at
from heatnet.dataset_tools.recording.source import Channel, RawMessage
from heatnet.errors import RecordingError

_KEPT_ENTRIES = 1 << 16  # some 15 MB: most recordings are walked through once


class _Walked:
    """The messages of chunks that were walked through, by the chunks' bytes, as long as there is room."""

    def __init__(self) -> None:
        self.entries: dict[int, list[Entry]] = {}
        self._room = _KEPT_ENTRIES

    def keep(self, at: int, entries: list[Entry]) -> None:
        """Remember the messages of the chunk at byte `at` where there is room for them."""
        if len(entries) <= self._room:
            self.entries[at] = entries
            self._room -= len(entries)


class ChunkedSource(ABC):
    """A bag as bytes of messages. Every method raises RecordingError, nothing else.

    Chunks are found by the index or, where that is missing or damaged, by walking the file up to its first unreadable
    byte. A chunk that cannot be read costs its own messages and no others. What was lost stands in `damage`.
    """

    format: str
    magic: bytes

    def __init__(self, path: Path) -> None:
        self._path, self._damage = path, Damage()
        self.damage = self._damage.lines
        self._found: dict[int, Channel] = {}  # by number in the file
        self._counts: Counter[int] = Counter()
        self._chunks: list[Chunk] = []
        self._spans: dict[int, tuple[int, int]] = {}  # log times of chunks that were read, by their bytes
        self._walked = _Walked()  # of plain chunks
        self._file = _opened(path)
        self._size = self._file.seek(0, io.SEEK_END)
        self._file.seek(0)
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        self._numbered = {number: replace(c, count=self._counts[number]) for number, c in self._found.items()}
        self.channels = list(self._numbered.values())

    def again(self) -> "ChunkedSource":
        """The same file, which must not have changed, opened anew; what is known of it by now is shared."""
        other = copy.copy(self)
        other._file = _opened(self._path)
        return other

    def _open(self) -> None:
        magic = self._file.read(len(self.magic))
        if magic != self.magic:
            raise RecordingError(f"{self._path}: not a {self.format}: it starts with {magic!r}, not {self.magic!r}")
        try:
            self._read_index()
        except RecordingError as error:
            self._damage.note(f"{self._path}: no usable index ({error}); what can be read without it is read")
            self._found, self._chunks, self._counts = {}, [], Counter()
            self._scan()

    def _scan(self) -> None:
        at = self._first_record()
        while at < self._size:
            try:
                at = self._take(at)
            except RecordingError as error:
                self._damage.note(f"{self._path}: nothing can be read from byte {at} of {self._size} on ({error})")
                break
        if not self._counts:
            raise RecordingError(f"{self._path}: a {self.format} of {self._size} bytes in which no message can be read")

    def _count(self, at: int) -> None:
        """Take in the chunk at byte `at` by what it really holds."""
        entries = self._load(Chunk(0, at, frozenset())).entries
        counts = Counter(entry.channel for entry in entries)
        self._chunks.append(Chunk(min((e.log_ns for e in entries), default=0), at, frozenset(counts)))
        self._counts.update(counts)

    def _load(self, chunk: Chunk) -> Opened:
        """The chunk's messages, as far as they can be read; where that ends early, it is noted."""
        if chunk.at in self._walked.entries:
            return Opened(self._file, self._walked.entries[chunk.at], 0)
        entries: list[Entry] = []
        stream: BinaryIO = self._file
        try:
            stream, messages = self._read_chunk(chunk.at)
            entries.extend(messages)
        except RecordingError as error:
            self._damage.note(
                f"{self._path}: damage after {len(entries)} messages of the chunk at byte {chunk.at} ({error})"
            )
        if entries:
            times = [entry.log_ns for entry in entries]
            self._spans[chunk.at] = min(times), max(times)
        if stream is self._file:
            self._walked.keep(chunk.at, entries)
        return Opened(stream, entries, 0 if stream is self._file else stream.seek(0, io.SEEK_END))

    def read(self, topics: Collection[str], log_ns: NDArray[np.int64] | None = None) -> Iterator[RawMessage]:
        """Messages of `topics` in the order of the log, without chunks known to hold none of the sorted `log_ns`."""
        channels = {number: c for number, c in self._numbered.items() if c.topic in topics}
        chunks = [c for c in self._chunks if log_ns is None or self._may_hold(c, log_ns)]
        for entry, stream in in_log_order(chunks, self._load, frozenset(channels)):
            part = partial(read_at, stream, entry.at)
            yield RawMessage(channels[entry.channel], entry.log_ns, entry.size, part)

    def _may_hold(self, chunk: Chunk, log_ns: NDArray[np.int64]) -> bool:
        if chunk.at not in self._spans:
            return True
        first, last = self._spans[chunk.at]
        return bool(np.searchsorted(log_ns, first) < np.searchsorted(log_ns, last, side="right"))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @abstractmethod
    def _read_index(self) -> None:
        """Fill `_found`, `_counts` and `_chunks`, or raise RecordingError."""

    @abstractmethod
    def _first_record(self) -> int:
        """Byte of the first record after the file's header."""

    @abstractmethod
    def _take(self, at: int) -> int:
        """Take in the record at byte `at` of a file without an index; the byte after it."""

    @abstractmethod
    def _read_chunk(self, at: int) -> tuple[BinaryIO, Iterator[Entry]]:
        """The stream of the chunk at byte `at` and its messages there; channels it describes are taken in."""


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror or error})") from error
