"""The loop that all stages share: batches, schedule, log, validation, checkpoints, resumption."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from heatnet.errors import TrainingError
from heatnet.progress import track
from heatnet.segmentation.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from heatnet.segmentation.config import TrainConfig, as_plain
from heatnet.segmentation.data import Batch, Pairs, batches
from heatnet.segmentation.optimizer import Average, learning_rate_factor, set_learning_rate
from heatnet.segmentation.pspnet import PSPNet
from heatnet.segmentation.run_log import RunLog

_LOG_WINDOW = 5
_FREE = ("stage", "workers", "validations", "validation_frames")  # what may differ when a run is resumed
_log = logging.getLogger(__name__)

Terms = dict[str, float]


@dataclass
class Stage:
    """What one stage trains and how: the network, what moves besides it, and the step."""

    name: str  # rgb_teacher, thermal_teacher or heatnet
    network: PSPNet
    optimizer: Optimizer
    pairs: Pairs
    steps: int
    step: Callable[[Batch, int], Terms]
    others: dict[str, nn.Module | Optimizer] = field(default_factory=dict)  # critics and their optimizer


class Trainer:
    """One stage on its way: all that changes, saved and restored as a whole."""

    def __init__(self, stage: Stage, run: Path, config: TrainConfig) -> None:
        self.stage, self.run, self.config = stage, run, config
        self.average = Average(stage.network, config.average_decay)
        self.step = 0
        self.best: dict[str, Any] | None = None

    @property
    def folder(self) -> Path:
        """Where the checkpoints of this stage are."""
        return self.run / self.stage.name

    def fit(self, score: Callable[[PSPNet], dict[str, Any] | None]) -> dict[str, Any]:
        """Train to the last step; `score` judges the averaged network. Returns what was reached."""
        began = time.monotonic()
        window: list[Terms] = []
        device = next(self.stage.network.parameters()).device
        feed = batches(self.stage.pairs, self.step, self.stage.steps)
        with RunLog(self.run, self.stage.name, self.step) as log:
            for batch in track(feed, f"training {self.stage.name}", total=self.stage.steps - self.step):
                window.append(self._advance(batch.to(device)))
                if len(window) == _LOG_WINDOW or self._is_due():
                    log.write(self.step - 1, "loss", _mean(window))
                    window = []
                if self._is_due():
                    self._validate(score, log)
                    self._save("last.pt", self._state())
        return {"steps": self.step, "seconds": round(time.monotonic() - began, 1), "validation": self.best}

    def _advance(self, batch: Batch) -> Terms:
        stage, config = self.stage, self.config
        rate = config.learning_rate * learning_rate_factor(self.step, stage.steps, config.warmup_steps)
        set_learning_rate(stage.optimizer, rate)
        try:
            terms = stage.step(batch, self.step)
        except TrainingError as error:
            raise TrainingError(
                f"{stage.name}, step {self.step}: {error}; {self.folder / 'last.pt'} has the last whole state, "
                "a lower learning rate may help"
            ) from error
        self.average.update(stage.network, self.step)
        self.step += 1
        return {**terms, "learning_rate": rate}

    def _is_due(self) -> bool:
        """Whether a validation comes after this step: evenly spread, the last one after the last step."""
        share = self.config.validations / self.stage.steps
        return int(self.step * share + 1e-9) > int((self.step - 1) * share + 1e-9)

    def _validate(self, score: Callable[[PSPNet], dict[str, Any] | None], log: RunLog) -> None:
        found = score(self.average.network)
        if found is None:
            self._save("best.pt", {})
            return
        miou = {name: found[name]["miou"] for name in ("day", "night", "combined", "pooled")}
        log.write(self.step - 1, "validation", miou)
        _log.info("%s, step %d: validation mIoU %s", self.stage.name, self.step, miou)
        if self.best is None or (miou["combined"] or 0.0) >= (self.best["combined"] or 0.0):
            self.best = miou
            self._save("best.pt", {})

    def _save(self, name: str, training: dict[str, Any]) -> None:
        network = self.average.network
        weights = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
        metrics = self.best or {}
        point = Checkpoint(self.stage.name, self.step, network.config, weights, self.config, metrics, training)
        save_checkpoint(self.folder / name, point)

    def _state(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {
            "network": self.stage.network.state_dict(),
            "optimizer": self.stage.optimizer.state_dict(),
            "others": {name: part.state_dict() for name, part in self.stage.others.items()},
            "random": {"cpu": torch.get_rng_state(), "cuda": cuda},
        }

    def resume(self) -> None:
        """Go on where last.pt left off. Raises TrainingError where it is missing or of other settings."""
        path = self.folder / "last.pt"
        point = load_resumable(path, self.stage.name, self.config)
        state = point.training
        try:
            self.stage.network.load_state_dict(state["network"])
            self.stage.optimizer.load_state_dict(state["optimizer"])
            for name, part in self.stage.others.items():
                part.load_state_dict(state["others"][name])
            torch.set_rng_state(state["random"]["cpu"])
            if torch.cuda.is_available():
                torch.cuda.set_rng_state_all(state["random"]["cuda"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise TrainingError(f"{path}: cannot be resumed ({type(error).__name__}: {error})") from error
        self.average.network.load_state_dict(point.weights)
        self.step, self.best = point.step, point.metrics or None


def load_resumable(path: Path, stage: str, config: TrainConfig) -> Checkpoint:
    """The checkpoint to go on from with `config`. Raises TrainingError where it is of another stage or settings."""
    point = load_checkpoint(path)
    own, there = _settings(config), _settings(point.config)
    different = [name for name in own if own[name] != there[name]]
    if different or point.stage != stage:
        raise TrainingError(f"{path}: was trained with other settings ({', '.join(different) or point.stage})")
    return point


def _settings(config: TrainConfig) -> dict[str, Any]:
    return {name: value for name, value in as_plain(config).items() if name not in _FREE}


def _mean(window: list[Terms]) -> Terms:
    return {name: float(np.mean([terms[name] for terms in window if name in terms])) for name in window[-1]}
