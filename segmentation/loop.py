"""The loop that all stages share: batches, schedule, log, validation, checkpoints, resumption."""

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from heatnet.errors import TrainingError
from heatnet.progress import track
from heatnet.segmentation.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from heatnet.segmentation.config import TrainConfig, as_plain
from heatnet.segmentation.data import Batch, Pairs, batches
from heatnet.segmentation.distributed import device, rank, summed, wait
from heatnet.segmentation.interrupt import Interrupt
from heatnet.segmentation.network import Network
from heatnet.segmentation.optimizer import Average, Updater
from heatnet.segmentation.run_log import RunLog

_LOG_WINDOW = 5
_FREE = (
    "stage",
    "views",
    "workers",
    "validations",
    "validation_frames",
    "patience",
    "save_steps",
)  # may differ when resumed
_log = logging.getLogger(__name__)

Terms = dict[str, float]
Score = Callable[[Network], dict[str, Any] | None]


@dataclass
class Stage:
    """What one stage trains and how: the network, what moves besides it, and the step."""

    name: str  # rgb_teacher, thermal_teacher or heatnet
    network: Network
    average: Average[Network]
    updater: Updater
    pairs: Pairs
    steps: int
    step: Callable[[Batch, int], Terms]
    first_half: int = 0  # steps of its first part, whose network is kept; 0: it has no parts
    others: dict[str, nn.Module | Updater] = field(default_factory=dict)  # critics and their updater


class Trainer:
    """One stage on its way: all that changes, saved and restored as a whole."""

    def __init__(self, stage: Stage, run: Path, config: TrainConfig, dataset: dict[str, Any]) -> None:
        self.stage, self.run, self.config, self.dataset = stage, run, config, dataset
        self.step = self.stale = 0
        self.best: dict[str, Any] | None = None
        self.window: list[Terms] = []

    @property
    def folder(self) -> Path:
        """Where the checkpoints of this stage are."""
        return self.run / self.stage.name

    @property
    def _ended(self) -> bool:
        """Whether validation has not become better for as long as the configuration allows; never in a first part."""
        return self.step > self.stage.first_half and 0 < self.config.patience <= self.stale

    def fit(self, score: Score) -> dict[str, Any]:
        """Train to the last step; `score` judges the averaged network. Returns what was reached.

        Ctrl-C and SIGTERM end it after the step that is under way, with all saved: TrainingError says so.
        """
        began = time.monotonic()
        with Interrupt() as interrupt, self._log() as log:
            for parts in track(self._feed(), f"training {self.stage.name}", total=self.stage.steps - self.step):
                self.window.append(self._advance(parts))
                self._keep_books(score, log)
                if _any(bool(interrupt)):
                    self._save("last.pt", self._state())
                    raise TrainingError(
                        f"{self.folder}: stopped after step {self.step} of {self.stage.steps}, all saved; "
                        "--resume goes on"
                    )
                if self._ended:
                    break
        return {"steps": self.step, "seconds": round(time.monotonic() - began, 1), "validation": self.best}

    def _log(self) -> contextlib.AbstractContextManager[RunLog | None]:
        if rank() > 0:
            return contextlib.nullcontext()
        return RunLog(self.run, self.stage.name, self.step - len(self.window))

    def _feed(self) -> Iterator[list[Batch]]:
        """The parts of each step."""
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        last = self.step if self._ended else self.stage.steps
        feed = batches(self.stage.pairs, self.step, last)
        while parts := [batch.to(device(), layout) for batch in islice(feed, self.config.accumulate)]:
            yield parts

    def _advance(self, parts: list[Batch]) -> Terms:
        stage = self.stage
        rate = stage.updater.set_step(self.step)
        for part in stage.others.values():
            if isinstance(part, Updater):
                part.set_step(self.step)
        torch.manual_seed(_seed(self.config.seed, stage.name, self.step))
        try:
            terms = _mean([stage.step(batch, self.step) for batch in parts])
        except TrainingError as error:
            raise TrainingError(
                f"{stage.name}, step {self.step}: {error}; {self.folder / 'last.pt'} has the last whole state, "
                "a lower learning rate may help"
            ) from error
        stage.average.update(stage.network, self.step)
        self.step += 1
        return {**_over_processes(terms), "learning_rate": rate}

    def _keep_books(self, score: Score, log: RunLog | None) -> None:
        """Log, validate and save, each where it is due after this step."""
        due = self._is_due()
        if log is not None and (len(self.window) >= _LOG_WINDOW or due):
            log.write(self.step - 1, "loss", _mean(self.window))
        if len(self.window) >= _LOG_WINDOW or due:
            self.window = []
        if self.step == self.stage.first_half:
            self._save("stage1.pt", {})
            self.stale = 0  # what comes now is another training
        if due:
            self._validate(score, log)
        if due or self.step % self.config.save_steps == 0:
            self._save("last.pt", self._state())

    def _is_due(self) -> bool:
        """Whether a validation comes after this step: evenly spread, the last one after the last step."""
        share = self.config.validations / self.stage.steps
        return int(self.step * share + 1e-9) > int((self.step - 1) * share + 1e-9)

    def _validate(self, score: Score, log: RunLog | None) -> None:
        """The first process scores; what all need to know of it is whether it was better."""
        better = True
        if rank() == 0 and log is not None:
            better = self._is_better(score(self.stage.average.network), log)
        self.stale = 0 if _any(better and rank() == 0) else self.stale + 1
        wait()

    def _is_better(self, found: dict[str, Any] | None, log: RunLog) -> bool:
        if found is not None:
            miou = {name: found[name]["miou"] for name in ("day", "night", "combined", "pooled")}
            log.write(self.step - 1, "validation", miou)
            _log.info("%s, step %d: validation mIoU %s", self.stage.name, self.step, miou)
            if self.best is not None and (miou["combined"] or 0.0) < (self.best["combined"] or 0.0):
                return False
            self.best = miou
        self._save("best.pt", {})
        return True

    def _save(self, name: str, training: dict[str, Any]) -> None:
        if rank() > 0:
            return
        network, metrics = self.stage.average.network, self.best or {}
        weights = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
        point = Checkpoint(
            self.stage.name, self.step, network.config, weights, self.config, metrics, training, self.dataset
        )
        save_checkpoint(self.folder / name, point)

    def _state(self) -> dict[str, Any]:
        return {
            "network": self.stage.network.state_dict(),
            "updater": self.stage.updater.state_dict(),
            "others": {name: part.state_dict() for name, part in self.stage.others.items()},
            "window": self.window,
            "stale": self.stale,
        }

    def resume(self) -> None:
        """Go on where last.pt left off. Raises TrainingError where it is missing or of other settings."""
        path = self.folder / "last.pt"
        point = load_resumable(path, self.stage.name, self.config, self.dataset)
        state = point.training
        try:
            self.stage.network.load_state_dict(state["network"])
            self.stage.updater.load_state_dict(state["updater"])
            for name, part in self.stage.others.items():
                part.load_state_dict(state["others"][name])
            self.window, self.stale = list(state["window"]), int(state["stale"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise TrainingError(f"{path}: cannot be resumed ({type(error).__name__}: {error})") from error
        self.stage.average.network.load_state_dict(point.weights)
        self.step, self.best = point.step, point.metrics or None


def load_resumable(path: Path, stage: str, config: TrainConfig, dataset: dict[str, Any]) -> Checkpoint:
    """The checkpoint to go on from with `config`. Raises TrainingError where stage, settings or data differ."""
    point = load_checkpoint(path)
    own, there = _settings(config), _settings(point.config)
    different = [name for name in own if own[name] != there[name]]
    if different or point.stage != stage:
        raise TrainingError(f"{path}: was trained with other settings ({', '.join(different) or point.stage})")
    if point.dataset and point.dataset["sha256"] != dataset["sha256"]:
        raise TrainingError(
            f"{path}: was trained on another dataset ({point.dataset['name']}, {point.dataset['sha256'][:12]}; this is "
            f"{dataset['name']}, {dataset['sha256'][:12]}); --init-from takes its weights"
        )
    return point


def _settings(config: TrainConfig) -> dict[str, Any]:
    return {name: value for name, value in as_plain(config).items() if name not in _FREE}


def _seed(*names: object) -> int:
    """What all that is random in a step (dropout, masks) follows from, so that it needs no saving."""
    return int.from_bytes(hashlib.sha256(repr((*names, rank())).encode()).digest()[:6], "big")


def _any(here: bool) -> bool:
    """Whether it is so in any process."""
    return bool(summed(torch.tensor(float(here), device=device())) > 0)


def _over_processes(terms: Terms) -> Terms:
    """Terms of the whole batch: losses add up (each process has its share); what all have alike is taken as it is."""
    shared = {name: value for name, value in terms.items() if name not in ("gradient_norm", "accuracy")}
    values = summed(torch.tensor(list(shared.values()), dtype=torch.float64, device=device())).tolist()
    return {**terms, **dict(zip(shared, values, strict=True))}


def _mean(window: list[Terms]) -> Terms:
    names = {name: None for terms in window for name in terms}
    return {name: float(np.mean([terms[name] for terms in window if name in terms])) for name in names}
