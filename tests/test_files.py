"""Files that are either whole or not there."""

import errno
import os
from pathlib import Path

import pytest

from heatnet.errors import HeatNetError
from heatnet.files import atomic_file, atomic_folder, finite


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    with atomic_file(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert names(target.parent) == ["a.txt"]


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ValueError, match="stop"), atomic_file(target) as temporary:
        temporary.write_text("half")
        raise ValueError("stop")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_one_message_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(HeatNetError, match=r"a\.txt.*No space left"), atomic_file(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []


def test_a_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("half")
        raise ValueError("stop")
    assert names(tmp_path) == []
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("whole")
    assert (tmp_path / "out" / "a").read_text() == "whole"


def test_a_folder_with_something_in_it_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(HeatNetError, match="not an empty folder"), atomic_folder(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "precious"


def test_what_json_cannot_say_becomes_none() -> None:
    found = finite({"a": float("nan"), "b": [float("-inf"), 1.5, "x"], "c": (None, True)})
    assert found == {"a": None, "b": [None, 1.5, "x"], "c": [None, True]}
