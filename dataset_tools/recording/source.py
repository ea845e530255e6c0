"""What every bag format offers: topics, and messages as bytes in the order of the log."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.recording.decode import DECODERS
from heatnet.dataset_tools.recording.wire import Wire

_HEADED = frozenset(DECODERS)
HEAD_BYTES = 64


@dataclass(frozen=True)
class Channel:
    """One topic as a bag describes it; a topic may have several channels (publishers, restarts)."""

    topic: str
    message_type: str  # sensor_msgs/msg/Image
    count: int
    wire: Wire
    stamped: bool  # its messages start with a header, or are tf


class RawMessage(NamedTuple):
    """One message, neither decoded nor, where the format allows that, read; to be read before the next one is asked."""

    channel: Channel
    log_ns: int
    size: int  # bytes
    part: Callable[[int], bytes]  # that many of its first bytes; raises RecordingError where they cannot be read

    @property
    def head(self) -> bytes:
        """As many of its first bytes as its stamp lies in."""
        return self.part(min(self.size, HEAD_BYTES))

    @property
    def data(self) -> bytes:
        """All of it."""
        return self.part(self.size)


class Source(Protocol):
    """A bag file of some format. Every method raises RecordingError, nothing else."""

    format: str
    channels: list[Channel]

    @property
    def damage(self) -> list[str]:
        """What could not be read so far, one line each."""

    def read(self, topics: Collection[str], log_ns: NDArray[np.int64] | None = None) -> Iterator[RawMessage]:
        """Messages of `topics` in the order of the log; those logged at none of the sorted `log_ns` may lack."""

    def close(self) -> None:
        """Let go of the file."""


def is_stamped(message_type: str, definition: str) -> bool:
    """Whether messages of a type start with a std_msgs/Header, by its definition (.msg or IDL) where there is one."""
    if message_type in _HEADED:
        return True
    lines = (line.split("#")[0].split() for line in definition.splitlines())
    fields = (words for words in lines if len(words) >= 2 and "=" not in "".join(words))
    first = next(fields, ["", ""])
    return first[0] in ("Header", "std_msgs/Header", "std_msgs/msg/Header")
