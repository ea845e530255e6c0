"""A disk that has room for some bytes of a file and no more."""

import io
from pathlib import Path
from typing import Any

import pytest


def fill_disk(monkeypatch: pytest.MonkeyPatch, part_of_name: str, room_bytes: int = 1000) -> None:
    """From now on, files whose name holds `part_of_name` cannot be written beyond `room_bytes`."""
    really_open = Path.open

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            room = room_bytes - self.tell()
            if room <= 0:
                raise OSError(28, "No space left on device")
            return super().write(data[:room])

    def opened(self: Path, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        full = "w" in mode and part_of_name in self.name
        return Full(str(self), "w+") if full else really_open(self, mode, *arguments, **named)

    monkeypatch.setattr(Path, "open", opened)
