"""What is in a recording: topics, rates, gaps, sizes, and what looks wrong."""

from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.recording import Image, PointCloud, Pose, Recording, open_recording
from heatnet.dataset_tools.recording.decode import IMAGES, POINT_CLOUD, TRANSFORMS
from heatnet.dataset_tools.recording.reader import Timeline
from heatnet.dataset_tools.rhythm import gap_steps
from heatnet.errors import RecordingError

_CLOCK_SLACK_S = 1.0  # more between the header stamps and the log's clock is told


@dataclass(frozen=True)
class TopicSummary:
    """One topic. Rates and gaps are of the header stamps."""

    name: str
    message_type: str
    count: int
    rate_hz: float | None  # of the median interval; None with fewer than two messages
    largest_gap_s: float | None
    content: str  # "640x512 mono16, 16 bit", "86453 points: x f4, ..."; empty for other types


@dataclass(frozen=True)
class FrameSummary:
    """One transform of tf."""

    parent: str
    child: str
    count: int
    rate_hz: float | None


@dataclass(frozen=True)
class RecordingSummary:
    """What `heatnet inspect` says of a recording."""

    path: str
    format: str
    size_bytes: int
    start_utc: str | None  # by the recorder's clock; None without messages
    duration_s: float
    messages: int
    topics: tuple[TopicSummary, ...]
    frames: tuple[FrameSummary, ...]  # of every tf topic
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def rows(self) -> list[tuple[str, ...]]:
        """A row of text for each topic: name, type, count, rate, largest gap, content."""
        return [
            (t.name, t.message_type, str(t.count), _text(t.rate_hz, "Hz"), _text(t.largest_gap_s, "s"), t.content)
            for t in self.topics
        ]


def inspect_recording(path: Path) -> RecordingSummary:
    """Read every stamp and the first message of each topic in `path`. Raises RecordingError where it cannot be read."""
    with open_recording(path) as recording:
        timelines = recording.timelines(list(recording.topics))
        skipped: list[RecordingError] = []
        topics = tuple(_summary(recording, name, timelines[name], skipped) for name in sorted(recording.topics))
        frames = _frames(recording, skipped)
        logs = np.concatenate([t.log_ns for t in timelines.values()] or [np.zeros(0, np.int64)])
        warnings = [
            w
            for topic in topics
            if topic.message_type not in TRANSFORMS
            for w in timeline_warnings(topic.name, timelines[topic.name])
        ]
        warnings += _unreadable(skipped)
        return RecordingSummary(
            path=str(path),
            format=recording.format,
            size_bytes=_size(path),
            start_utc=_utc(int(logs.min())) if len(logs) else None,
            duration_s=float(logs.max() - logs.min()) / 1e9 if len(logs) else 0.0,
            messages=sum(t.count for t in topics),
            topics=topics,
            frames=frames,
            warnings=(*recording.damage, *warnings),
        )


def timeline_warnings(topic: str, timeline: Timeline) -> list[str]:
    """What is odd about one topic's stamps: backwards, repeated, in bursts, with gaps, far from the log's clock."""
    stamps = timeline.stamps_ns
    if not len(stamps):
        return [f"{topic}: no messages"]
    warnings = []
    back_ns, same = np.diff(stamps), int((np.diff(stamps) == 0).sum())
    if (back_ns < 0).any():
        far = f"by up to {_text(float(-back_ns.min()) / 1e9, 's')}"
        warnings.append(f"{topic}: {_times(int((back_ns < 0).sum()), 'stamp')} of {len(stamps)} go backwards, {far}")
    if same:
        warnings.append(f"{topic}: {_times(same, 'stamp')} of {len(stamps)} repeat the one before")
    behind_s = float(np.median(timeline.log_ns - stamps)) / 1e9
    if abs(behind_s) > _CLOCK_SLACK_S:
        warnings.append(f"{topic}: header stamps are {behind_s:.3f} s behind the recorder's clock")
    return warnings + _gap_warnings(topic, np.sort(stamps))


def _gap_warnings(topic: str, stamps: NDArray[np.int64]) -> list[str]:
    """Gaps are intervals far above the shorter ones; many of them make bursts."""
    steps_s = np.diff(stamps) / 1e9
    if len(steps_s) < 3:
        return []
    gaps = gap_steps(np.diff(stamps))
    count, at = int(gaps.sum()), int(steps_s.argmax())
    if not count:
        return []
    if count >= max(3, len(steps_s) / 20):
        size, pause_s = len(stamps) / (count + 1), float(np.median(steps_s[gaps]))
        return [f"{topic}: {count + 1} bursts of {size:.1f} messages, {pause_s:.3f} s between them"]
    start_s = (int(stamps[at]) - int(stamps[0])) / 1e9
    return [f"{topic}: {_times(count, 'gap')}, the largest {steps_s[at]:.3f} s, {start_s:.3f} s from the first stamp"]


def _unreadable(skipped: list[RecordingError]) -> list[str]:
    if not skipped:
        return []
    return [f"{_times(len(skipped), 'message')} cannot be read, the first: {skipped[0]}"]


def _summary(recording: Recording, name: str, timeline: Timeline, skipped: list[RecordingError]) -> TopicSummary:
    steps_s = np.diff(np.sort(timeline.stamps_ns)) / 1e9
    return TopicSummary(
        name=name,
        message_type=recording.topics[name].message_type,
        count=len(timeline.stamps_ns),
        rate_hz=_rate_hz(timeline.stamps_ns),
        largest_gap_s=float(steps_s.max()) if len(steps_s) else None,
        content=_content(recording, name, skipped),
    )


def _rate_hz(stamps_ns: NDArray[np.int64]) -> float | None:
    """Of the median interval, with repeated stamps as one."""
    steps_ns = np.diff(np.unique(stamps_ns))
    return 1e9 / float(np.median(steps_ns)) if len(steps_ns) else None


def _content(recording: Recording, name: str, skipped: list[RecordingError]) -> str:
    if recording.topics[name].message_type not in (*IMAGES, POINT_CLOUD):
        return ""
    _, first = next(recording.messages([name], skipped=skipped), (name, None))
    if isinstance(first, Image):
        height, width = first.pixels.shape[:2]
        return f"{width}x{height} {first.encoding.strip()}, {first.pixels.itemsize * 8} bit"
    if isinstance(first, PointCloud):
        dtype = first.fields.dtype
        fields = ", ".join(f"{field} {dtype[field].base.str[1:]}" for field in dtype.names or ())
        return f"{len(first.fields)} points: {fields}"
    return ""


def _frames(recording: Recording, skipped: list[RecordingError]) -> tuple[FrameSummary, ...]:
    topics = [t.name for t in recording.topics.values() if t.message_type in TRANSFORMS]
    stamps: dict[tuple[str, str], list[int]] = defaultdict(list)
    for _, pose in recording.messages(topics, skipped=skipped):
        if isinstance(pose, Pose):
            stamps[pose.parent_frame, pose.child_frame].append(pose.stamp_ns)
    return tuple(
        FrameSummary(parent, child, len(found), _rate_hz(np.array(found, np.int64)))
        for (parent, child), found in sorted(stamps.items())
    )


def _times(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"


def _size(path: Path) -> int:
    files = (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _utc(stamp_ns: int) -> str:
    """ISO 8601 to the millisecond."""
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=stamp_ns // 1_000_000)
    return moment.isoformat(timespec="milliseconds")


def _text(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.3g} {unit}"
