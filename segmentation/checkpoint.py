"""Checkpoints: tensors and plain values only, enough to rebuild the network alone."""

import dataclasses
import json
import logging
import math
import pickle
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from heatnet.errors import TrainingError
from heatnet.files import atomic_file
from heatnet.segmentation.build import build_network
from heatnet.segmentation.classes import CLASS_COUNT
from heatnet.segmentation.config import TrainConfig, as_plain, from_plain
from heatnet.segmentation.network import Network, NetworkConfig

FORMAT = "heatnet checkpoint"
VERSION = 1
PRIOR = "prior"
_UNREADABLE = (  # what torch, pickle and zipfile raise where bytes are not what they should be
    RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError,
    MemoryError, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A network at some step of a stage, with all that training needs to go on from there (empty in best.pt)."""

    stage: str
    step: int
    network: NetworkConfig
    weights: dict[str, Tensor]
    config: TrainConfig
    metrics: dict[str, Any]
    training: dict[str, Any]
    dataset: dict[str, Any] = field(default_factory=dict)  # what it was trained on: see provenance.py

    def build(self) -> Network:
        """The network with these weights, in eval mode."""
        network = build_network(self.network)
        network.load_state_dict(self.weights)
        return network.eval()


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` whole or not at all."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "stage": checkpoint.stage,
        "step": checkpoint.step,
        "network": json.loads(json.dumps(dataclasses.asdict(checkpoint.network))),
        "weights": checkpoint.weights,
        "config": as_plain(checkpoint.config),
        "metrics": checkpoint.metrics,
        "training": checkpoint.training,
        "dataset": checkpoint.dataset,
    }
    with atomic_file(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch's writer reports a full disk so
            raise OSError(str(error).splitlines()[0]) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint without running anything that it holds.

    Raises TrainingError where the file is missing, altered, no checkpoint of this project, of another version, or where
    weights and network do not fit each other.
    """
    content = read_tensors(path, "checkpoint")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TrainingError(
            f"{path}: not a checkpoint of heatnet (format {_format_of(content)!r}; {FORMAT!r} is needed)"
        )
    if content.get("version") != VERSION:
        raise TrainingError(f"{path}: checkpoint version {content.get('version')!r}; {VERSION} is needed")
    try:
        network = dict(content["network"])
        network["modalities"] = tuple(network["modalities"])
        checkpoint = Checkpoint(
            stage=str(content["stage"]),
            step=int(content["step"]),
            network=NetworkConfig(**network),
            weights={PRIOR: torch.zeros(CLASS_COUNT), **content["weights"]},  # which older ones do not have
            config=from_plain(content["config"], where=str(path)),
            metrics=dict(content["metrics"]),
            training=dict(content["training"]),
            dataset=_trained_on(content.get("dataset", {})),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{path}: incomplete checkpoint ({type(error).__name__}: {error})") from error
    _check_weights(path, checkpoint)
    return checkpoint


def _trained_on(said: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its dataset. Raises ValueError or TypeError where numbers in it are none."""
    for name in ("size", "thermal_range"):
        pair = said.get(name, (0, 1))
        numbers = isinstance(pair, list | tuple) and all(isinstance(n, int | float) and math.isfinite(n) for n in pair)
        if not numbers or len(pair) != 2:
            raise ValueError(f"{name} {pair!r} is no pair of numbers")
    low, high = said.get("thermal_range", (0, 1))
    if not low < high:
        raise ValueError(f"thermal_range from {low!r} to {high!r}")
    return dict(said)


def read_tensors(path: Path, kind: str) -> object:
    """What a file of torch's holds, without running anything in it. Raises TrainingError, which calls it a `kind`."""
    try:
        altered = _altered_part(path)
        if altered is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns of a foreign pickle before it refuses it
                return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror or error})") from error
    except _UNREADABLE as error:
        raise TrainingError(f"{path}: not a {kind} (torch.load with weights_only refuses it)") from error
    raise TrainingError(f"{path}: was altered: the CRC-32 of {altered!r} in it is another; take a copy that is whole")


def _altered_part(path: Path) -> str | None:
    """The first part of a checkpoint that is not as it was written: torch writes CRCs into its zip and reads none."""
    if not zipfile.is_zipfile(path):
        return None  # what else it may be, torch says
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()


def _format_of(content: object) -> object:
    return content.get("format") if isinstance(content, dict) else type(content).__name__


def _check_weights(path: Path, checkpoint: Checkpoint) -> None:
    with torch.device("meta"):
        expected = build_network(checkpoint.network).state_dict()
    wrong = [name for name, value in expected.items() if _shape(checkpoint.weights.get(name)) != value.shape]
    wrong += [name for name in checkpoint.weights if name not in expected]
    if wrong:
        raise TrainingError(
            f"{path}: {len(wrong)} weights do not fit its own network ({describe(checkpoint.network)}), "
            f"the first is {wrong[0]}"
        )


def _shape(value: object) -> torch.Size | None:
    return value.shape if isinstance(value, Tensor) else None


def describe(network: NetworkConfig) -> str:
    """A network in a few words, for messages and reports."""
    fusion = f" {network.fusion} fusion" if len(network.modalities) > 1 else ""
    return f"{network.backbone} width {network.width:g} of {'+'.join(network.modalities)}{fusion}"


def initialise_from(network: nn.Module, path: Path) -> list[str]:
    """Load the weights of a checkpoint into `network` and return the names that it lacked; both kinds are logged.

    Raises TrainingError where a weight has another shape or none fits: that is a checkpoint of another network.
    """
    checkpoint = load_checkpoint(path)
    own = {name: value for name, value in network.state_dict().items() if name != PRIOR}  # of the labels to come
    common = {name: value for name, value in checkpoint.weights.items() if name in own}
    unlike = [name for name, value in common.items() if value.shape != own[name].shape]
    if unlike or not common:
        raise TrainingError(
            f"{path}: checkpoint of another network ({describe(checkpoint.network)}); "
            f"{len(unlike)} of {len(own)} weights have another shape and {len(common)} the same name, where "
            f"{_described(network)} is needed"
        )
    network.load_state_dict(common, strict=False)
    missing = [name for name in own if name not in common]
    unused = [name for name in checkpoint.weights if name not in own and name != PRIOR]
    for names, text in (
        (missing, "not in the checkpoint, left as initialised"),
        (unused, "of the checkpoint not used"),
    ):
        if names:
            _log.warning("%s: %d weights %s: %s", path, len(names), text, ", ".join(names))
    return missing


def _described(network: nn.Module) -> str:
    return describe(network.config) if isinstance(network, Network) else type(network).__name__
