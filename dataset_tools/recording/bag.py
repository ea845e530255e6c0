"""A recording over the bytes of a bag."""

from array import array
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.recording.decode import DECODERS, decode, first_stamp
from heatnet.dataset_tools.recording.messages import Message, Topic
from heatnet.dataset_tools.recording.reader import Recording, Timeline
from heatnet.dataset_tools.recording.source import Channel, RawMessage, Source
from heatnet.errors import RecordingError


class BagRecording(Recording):
    """A ROS 1 bag, an MCAP, or a rosbag2."""

    def __init__(self, path: Path, source: Source) -> None:
        self.path, self.format = path, source.format
        self._source = source
        self.topics = _topics(source.channels)
        self._known: dict[str, Timeline] = {}

    @property
    def damage(self) -> list[str]:
        """See Recording."""
        return self._source.damage

    def timelines(self, topics: Collection[str]) -> dict[str, Timeline]:
        """See Recording."""
        self.require(topics)
        found = {topic: (array("q"), array("q")) for topic in topics}
        for raw in self._source.read(topics):
            stamp = self._stamp(raw)
            if stamp is not None:
                found[raw.channel.topic][0].append(stamp)
                found[raw.channel.topic][1].append(raw.log_ns)
        lines = {topic: Timeline(np.array(s, np.int64), np.array(t, np.int64)) for topic, (s, t) in found.items()}
        self._known |= lines
        return lines

    def messages(
        self,
        topics: Collection[str],
        wanted: Mapping[str, Collection[int]] | None = None,
        skipped: list[RecordingError] | None = None,
        mosaics: bool = False,
    ) -> Iterator[tuple[str, Message]]:
        """See Recording."""
        chosen = self.wanted(topics, wanted)
        for raw in self._source.read(topics, self._logged_at(topics, wanted or {})):
            topic = raw.channel.topic
            if chosen.holds(topic, partial(self._stamp, raw)):
                yield from ((topic, message) for message in self._decode(raw, skipped, mosaics))

    def _logged_at(self, topics: Collection[str], wanted: Mapping[str, Collection[int]]) -> NDArray[np.int64] | None:
        """When all that is wanted was logged, sorted; None where that is not known of every topic."""
        if not all(topic in wanted and topic in self._known for topic in topics):
            return None
        times = [
            line.log_ns[np.isin(line.stamps_ns, np.array(sorted(wanted[topic]), np.int64))]
            for topic in topics
            for line in [self._known[topic]]
        ]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *times]))

    def _decode(self, raw: RawMessage, skipped: list[RecordingError] | None, mosaics: bool) -> list[Message]:
        if raw.channel.message_type not in DECODERS:
            return []
        try:
            return decode(raw.data, raw.channel.message_type, raw.channel.wire, mosaics)
        except RecordingError as error:
            named = RecordingError(f"{self.path}: {raw.channel.topic} at {self._stamp(raw)} ns: {error}")
            if skipped is None:
                raise named from error
            skipped.append(named)
            return []

    def _stamp(self, raw: RawMessage) -> int | None:
        """The header stamp; the log's time where there is no header, or none that can be read."""
        if not raw.channel.stamped:
            return raw.log_ns
        try:
            return first_stamp(raw.head, raw.channel.message_type, raw.channel.wire)
        except RecordingError:
            return raw.log_ns

    def close(self) -> None:
        """See Recording."""
        self._source.close()


def _topics(channels: list[Channel]) -> dict[str, Topic]:
    topics: dict[str, Topic] = {}
    for channel in channels:
        before = topics.get(channel.topic)
        count = channel.count + (before.count if before else 0)
        topics[channel.topic] = Topic(channel.topic, channel.message_type, count)
    return topics
