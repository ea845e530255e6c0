"""One training at a time in the folder of a run."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from heatnet.errors import HeatNetError, TrainingError
from heatnet.segmentation.distributed import device, rank, summed

LOCK = ".lock"


@contextlib.contextmanager
def alone_in(run: Path) -> Iterator[None]:
    """Keep other trainings out of the folder `run`, which is made; where nothing came into it, it is removed again.

    Of several processes that train together the first one holds the lock for all. It goes with that process, however
    it ends. Raises TrainingError, in all of them, where another training is at work in that folder.
    """
    descriptor = _lock(run) if rank() == 0 else None
    if summed(torch.tensor(float(descriptor is not None), device=device())) == 0:
        raise TrainingError(f"{run}: another training is at work in this folder; wait for it or choose another one")
    try:
        yield
    finally:
        if descriptor is not None:
            _unlock(run, descriptor)


def _lock(run: Path) -> int | None:
    """An open file that is locked; None where another process has locked it.

    A record lock, as processes do not inherit it: those that load frames live for some seconds when this one is killed.
    A file system without locks (ENOLCK and others) keeps nobody out.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(run / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise HeatNetError(f"{run}: cannot be written ({error.strerror})") from error
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            os.close(descriptor)
            return None
    return descriptor


def _unlock(run: Path, descriptor: int) -> None:
    with contextlib.suppress(OSError):
        if [path.name for path in run.iterdir()] == [LOCK]:
            (run / LOCK).unlink()
            run.rmdir()
    os.close(descriptor)
