"""The one interface over every kind of recording."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.recording.messages import Message, Topic
from heatnet.errors import RecordingError


@dataclass(frozen=True)
class Timeline:
    """When the messages of one topic were made and when they were written, in the order of the log."""

    stamps_ns: NDArray[np.int64]  # (N,) header stamps
    log_ns: NDArray[np.int64]  # (N,) the recorder's clock


@dataclass(frozen=True)
class Wanted:
    """Which messages are to be decoded."""

    stamps_ns: dict[str, frozenset[int]]  # by topic; all messages of a topic that is not named

    def holds(self, topic: str, stamp_ns: Callable[[], int | None]) -> bool:
        """Whether a message is wanted; its stamp is asked for only where that matters."""
        return topic not in self.stamps_ns or stamp_ns() in self.stamps_ns[topic]


class Recording(ABC):
    """A recording opened for reading; a context manager. Nothing but the index is in memory between two messages.

    Everything that is wrong with the file raises RecordingError. Damage of the container (cut off, no index, a chunk
    that does not decompress) costs only what is unreadable: what was left out stands in `damage`, one line each.
    """

    path: Path
    format: str  # "ROS 1 bag", "MCAP", "SQLite rosbag2", "image folder"
    topics: dict[str, Topic]

    @property
    @abstractmethod
    def damage(self) -> list[str]:
        """What of the file could not be read so far, one line each."""

    @abstractmethod
    def timelines(self, topics: Collection[str]) -> dict[str, Timeline]:
        """Both clocks of every message of `topics` in the order of the log: one pass, nothing decoded.

        A tf message counts once, with the stamp of its first transform (an empty one is left out); messages without a
        header have the log's time as their stamp. Raises RecordingError for a topic that is not in the recording.
        """

    @abstractmethod
    def messages(
        self,
        topics: Collection[str],
        wanted: Mapping[str, Collection[int]] | None = None,
        skipped: list[RecordingError] | None = None,
        mosaics: bool = False,
    ) -> Iterator[tuple[str, Message]]:
        """Yield (topic, message) of `topics` in the order of the log, one at a time; other types are passed over.

        Where `wanted` names a topic, only messages with these header stamps (ns) are decoded. A tf message yields one
        Pose for each transform. A message that contradicts itself (an image shorter than its height says) raises
        RecordingError naming file, topic and stamp; with `skipped` it is left out and its error is put there. With
        `mosaics` raw 8-bit Bayer images are (H, W), as recorded.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def stamps(self, topics: Collection[str]) -> dict[str, NDArray[np.int64]]:
        """Header stamps (ns) of every message of `topics`: see `timelines`."""
        return {topic: timeline.stamps_ns for topic, timeline in self.timelines(topics).items()}

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def wanted(self, topics: Collection[str], stamps: Mapping[str, Collection[int]] | None) -> "Wanted":
        """What `messages` was asked for. Raises RecordingError where one of `topics` is not in the recording."""
        self.require(topics)
        return Wanted({topic: frozenset(int(s) for s in some) for topic, some in (stamps or {}).items()})

    def require(self, topics: Collection[str]) -> None:
        """Raise RecordingError where one of `topics` is not in the recording."""
        for topic in topics:
            if topic not in self.topics:
                have = ", ".join(self.topics) or "none"
                raise RecordingError(f"{self.path}: no topic {topic}; it has: {have}")
