"""How the C library deals with the memory of arrays."""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # glibc's numbers of these settings
LARGEST = 1 << 25  # bytes: the most that glibc accepts; larger arrays come from the system, one by one
NEVER = -1


def keep_freed_memory() -> None:
    """Let this process keep what it frees: images by the thousand come and go, and each page that is handed back costs
    when it is asked for again. Elsewhere than under glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(MMAP_THRESHOLD, LARGEST)
        library.mallopt(TRIM_THRESHOLD, NEVER)
