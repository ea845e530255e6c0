"""Ctrl-C that waits for the step under way."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """Within it the first Ctrl-C or SIGTERM only makes it true; the second one does what it always did."""

    def __init__(self) -> None:
        self._came = False
        self._before: dict[signal.Signals, Any] = {}

    def __bool__(self) -> bool:
        return self._came

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        for known, handler in self._before.items():
            signal.signal(known, handler)
