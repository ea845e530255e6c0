"""Messages as bytes: the serialisations of ROS 1 and ROS 2, read with every bound checked.

ROS 1 packs little-endian fields without gaps; ROS 2 uses XCDR1 (OMG DDS-XTypes 1.3, 7.4): four bytes that name the
byte order, then fields aligned to their own size, strings with a closing NUL.
"""

import functools
import struct
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from heatnet.errors import RecordingError

Wire: TypeAlias = Literal["ros1", "cdr"]
_ENCAPSULATIONS = {b"\x00\x00": ">", b"\x00\x01": "<"}


@dataclass(frozen=True)
class Header:
    """std_msgs/Header."""

    stamp_ns: int
    frame_id: str


class Cursor:
    """Reads the fields of one message in turn; raises RecordingError where the bytes end before the message does."""

    def __init__(self, data: bytes | memoryview, wire: Wire) -> None:
        self._data = memoryview(data)
        self._cdr = wire == "cdr"
        self._at = 4 if self._cdr else 0
        self._order = "<"
        if self._cdr:
            self._order = _ENCAPSULATIONS.get(bytes(self._data[:2]), "")
            if not self._order:
                raise RecordingError(f"serialisation {bytes(self._data[:2]).hex()!r} is not plain CDR")

    def number(self, code: str) -> int:
        """One integer by its struct code."""
        (value,) = self._unpack(code, 1)
        return int(value)

    def floats(self, count: int) -> NDArray[np.float64]:
        """`count` doubles."""
        return np.array(self._unpack("d", count), np.float64)

    def octets(self) -> memoryview:
        """A sequence of bytes, not copied."""
        return self._take(self.number("I"))

    def string(self) -> str:
        """A string; bytes that are not UTF-8 are replaced."""
        return str(self.octets(), "utf-8", "replace").rstrip("\0")

    def header(self) -> Header:
        """A std_msgs/Header."""
        stamp_ns = self.stamp()
        return Header(stamp_ns, self.string())

    def stamp(self) -> int:
        """The stamp (ns) of a header, leaving the cursor before its frame."""
        if self._cdr:
            return self.number("i") * 1_000_000_000 + self.number("I")
        _, seconds, nanoseconds = self._unpack("I", 3)  # ROS 2 dropped the sequence number before them
        return int(seconds) * 1_000_000_000 + int(nanoseconds)

    def _unpack(self, code: str, count: int) -> tuple[int | float, ...]:
        layout, size = _layout(self._order, code, count)
        if self._cdr:
            self._at += -(self._at - 4) % size
        if self._at + layout.size > len(self._data):
            raise self._too_short(layout.size)
        values = layout.unpack_from(self._data, self._at)
        self._at += layout.size
        return values

    def _take(self, size: int) -> memoryview:
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise self._too_short(size)
        self._at += size
        return part

    def _too_short(self, size: int) -> RecordingError:
        return RecordingError(f"{size} bytes needed at {self._at} of a message of {len(self._data)}")


@functools.cache
def _layout(order: str, code: str, count: int) -> tuple[struct.Struct, int]:
    """So many fields of a struct code in a row, and the size of one."""
    return struct.Struct(f"{order}{count}{code}"), struct.calcsize("=" + code)
