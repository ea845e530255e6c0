"""A build on the machines of a Dask cluster (Rocklin 2015; the optional library `distributed`)."""

import logging
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from heatnet.dataset_tools.tasks import MakerConfig, Progress, Task, do_task
from heatnet.errors import HeatNetError
from heatnet.progress import track

CONNECT_S = 10.0
_LOG = logging.getLogger(__name__)


def run_on_cluster(tasks: Sequence[Task], config: MakerConfig, address: str) -> Generator[Progress, None, list[Task]]:
    """Let the workers of the scheduler at `address` do the tasks; yield the records as they come, see `run_tasks`.

    Workers must see recordings and dataset under the same absolute paths. A task whose worker dies goes to another one.
    Returns the tasks that are not done, because
    their workers died or the scheduler went away. Raises HeatNetError where there is no scheduler, or `distributed` is
    not installed; what is wrong with the input as `do_task` does.
    """
    client = _connect(address)
    lost: list[Task] = []
    try:
        futures = {client.submit(do_task, _absolute(t), config, pure=False): t for t in tasks}
        yield from _results(client, futures, lost)
    finally:
        client.close()
    return lost


def _results(client: Any, futures: dict[Any, Task], lost: list[Task]) -> Generator[Progress, None, None]:
    from distributed import as_completed

    for future in track(as_completed(list(futures), loop=client.loop), "build on the cluster", len(futures)):
        task = futures.pop(future)
        error = future.exception() if future.status == "error" else None
        if future.status == "finished":
            yield from ((task, record) for record in (*future.result(), None))
        elif isinstance(error, HeatNetError):
            client.cancel(list(futures))
            raise error
        else:
            _LOG.warning("%s: lost on the cluster (%s); done here", task.shards[0].name, error or future.status)
            lost.append(task)


def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise HeatNetError("--cluster needs the library distributed: pip install 'heatnet[cluster]'") from error
    try:
        return Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split())[:120]
        raise HeatNetError(f"--cluster {address}: no Dask scheduler answers ({reason})") from error


def _absolute(task: Task) -> Task:
    """With paths that mean the same wherever a worker was started."""
    labels = task.plan.labels
    labels = None if labels is None else replace(labels, path=labels.path.resolve())
    return replace(
        task, plan=replace(task.plan, path=task.plan.path.resolve(), labels=labels), root=task.root.resolve()
    )
