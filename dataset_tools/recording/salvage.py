"""What recordings a command takes: each once, and whole or, where the user says so, as far as it can be read."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from heatnet.dataset_tools.recording.opening import open_recording
from heatnet.dataset_tools.recording.reader import Recording
from heatnet.errors import RecordingError

_LOG = logging.getLogger(__name__)


def refuse_doubles(paths: Sequence[Path]) -> None:
    """Raise RecordingError where two of `paths` are the same file or folder."""
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise RecordingError(f"{path}: given twice; each recording counts once")
        seen.add(path.resolve())


@contextlib.contextmanager
def open_whole(path: Path, salvage: bool) -> Iterator[Recording]:
    """Open a recording that must be whole, unless to `salvage`: then each thing that cannot be read is logged once.

    Raises RecordingError where it is damaged: at once where the index tells, else when what was done with it is done.
    """
    with open_recording(path) as recording:
        _refuse_damage(recording, salvage)
        try:
            yield recording
        except RecordingError:
            _refuse_damage(recording, salvage)  # rather than what came of it, such as a topic that is missing
            raise
        _refuse_damage(recording, salvage)
        for line in recording.damage:
            _LOG.warning("%s", line)


def _refuse_damage(recording: Recording, salvage: bool) -> None:
    if recording.damage and not salvage:
        first = recording.damage[0].removeprefix(f"{recording.path}: ")
        raise RecordingError(f"{recording.path}: damaged ({first}); --salvage uses what can be read")
