"""Files that are either whole or not there."""

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from heatnet.errors import HeatNetError


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the name `path`, on any failure it is removed.

    The file and its folder are flushed to disk before and after the rename, so that after a crash `path` holds either
    the old content or the new. Raises HeatNetError naming `path` where the system refuses (full disk, no permission).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        raise HeatNetError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes the name `path`, on any failure it is removed.

    Raises HeatNetError where `path` exists and is not an empty folder, or where the system refuses.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise HeatNetError(f"{path}: exists and is not an empty folder; choose another name or remove it")
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        temporary.chmod(0o755)
        yield temporary
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        raise HeatNetError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def finite(value: Any) -> Any:
    """A JSON-like value without NaN and infinity, which JSON does not have: None stands for what is not known."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
