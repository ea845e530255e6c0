"""The same work on several things at once: numpy and OpenCV let other threads run while they compute."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from heatnet.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")
WORKERS = min(os.cpu_count() or 1, 4)


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item], doing: str = "") -> list[Result]:
    """The results of `work` in the order of `items`, with a bar that says what is `doing`; errors are raised."""
    with ThreadPoolExecutor(WORKERS) as pool:
        results = pool.map(work, items)
        return list(track(results, doing, len(items)) if doing else results)
