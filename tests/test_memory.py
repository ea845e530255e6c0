"""Memory that is freed stays with the process when it was asked to keep it."""

import platform
import subprocess
import sys

import pytest

PAGES_OF_NEW_MEMORY = """
import resource, sys
import numpy as np
from heatnet.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def touch():
    return [np.ones(1 << 18) for _ in range(10)]  # 10 times 2 MiB
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(how: str) -> int:
    command = [sys.executable, "-c", PAGES_OF_NEW_MEMORY, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_what_was_freed_is_not_asked_for_again() -> None:
    kept, given_back = pages("keep"), pages("give back")
    assert kept < 1000 < 10_000 < given_back
