"""What a run writes down while it trains: metrics.jsonl for all stages, TensorBoard events for each."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from heatnet.errors import TrainingError
from heatnet.files import atomic_file

METRICS = "metrics.jsonl"


class RunLog:
    """Appends lines {"stage", "step", "kind", ...} to RUN/metrics.jsonl and the numbers to TensorBoard.

    Lines of this stage from `first_step` on are dropped at the start: a resumed run writes them again.
    """

    def __init__(self, run: Path, stage: str, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # seconds to import

        self._stage = stage
        kept = [line for line in read_metrics(run) if line["stage"] != stage or line["step"] < first_step]
        with atomic_file(run / METRICS) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self._file = (run / METRICS).open("a", buffering=1)
        self._board = SummaryWriter(str(run / stage), purge_step=first_step)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._board.close()

    def write(self, step: int, kind: str, values: Mapping[str, float | None]) -> None:
        """One line of `kind` "loss" or "validation"; None is written as null."""
        self._file.write(json.dumps({"stage": self._stage, "step": step, "kind": kind, **values}) + "\n")
        for name, value in values.items():
            if value is not None:
                self._board.add_scalar(f"{kind}/{name}", value, step)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """All lines of RUN/metrics.jsonl, none where there is no such file; a last line cut off by a kill is left out.

    Raises TrainingError naming the line that is not as RunLog writes it.
    """
    path = run / METRICS
    if not path.is_file():
        return []
    lines = path.read_bytes().splitlines()
    parsed: list[dict[str, Any]] = []
    for number, line in enumerate(lines):
        try:
            value = json.loads(line.decode())
        except (ValueError, RecursionError) as error:
            if number + 1 < len(lines):
                raise TrainingError(f"{path}: line {number + 1} is not JSON ({error})") from error
            break
        if not _is_entry(value):
            needed = "an object with stage, step, kind and numbers"
            raise TrainingError(f"{path}: line {number + 1} is {line.decode()[:40]!r}; {needed} is needed")
        parsed.append(value)
    return parsed


def _is_entry(value: object) -> bool:
    """Whether a line of metrics.jsonl is what `RunLog.write` writes."""
    if not isinstance(value, dict):
        return False
    texts = isinstance(value.get("stage"), str) and isinstance(value.get("kind"), str)
    numbers = (number for name, number in value.items() if name not in ("stage", "kind"))
    return texts and isinstance(value.get("step"), int) and all(isinstance(n, int | float | None) for n in numbers)
