"""HDF5 files written past HDF5's own idea of a disk.

HDF5 cannot close a file that it could not write: it keeps it, and tries again when the process ends. So it is shown a
disk on which nothing ever fails, and what did fail is told when it has let go.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import h5py

LIBVER = ("v110", "v114")  # files written with 'latest' by HDF5 2.0 cannot be read by 1.14


@contextlib.contextmanager
def hdf5_file(path: Path) -> Iterator[h5py.File]:
    """A new file at `path`, whole at the end of the block. Images go from where they are to the disk, uncopied.

    Raises OSError where the disk refuses.
    """
    with path.open("w+b", buffering=0) as content:
        disk = _Disk(content)
        try:
            with h5py.File(disk, "w", libver=LIBVER) as file:
                yield file
        finally:
            if disk.error is not None:
                raise disk.error


class _Disk:
    """A file as h5py asks for one; after its first error it takes everything and does nothing."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self.error: OSError | None = None

    def seek(self, at: int, whence: int = 0) -> int:
        return self._content.seek(at, whence)

    def tell(self) -> int:
        return self._content.tell()

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)  # by this h5py tells a file from a name

    def readinto(self, buffer: memoryview) -> int:
        return self._content.readinto(buffer)  # type: ignore[attr-defined]

    def write(self, data: memoryview) -> int:
        done = 0 if self.error is None else len(data)
        try:
            while done < len(data):
                done += self._content.write(data[done:])
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size: int) -> int:
        try:
            self._content.truncate(size)
        except OSError as error:
            self.error = self.error or error
        return size

    def flush(self) -> None:
        """Nothing is held back."""
