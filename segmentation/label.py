"""Labels for day frames by an RGB teacher: a checkpoint of ours, or a published network by its Hugging Face name."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from heatnet.dataset_tools.relabel import Labeller, relabel
from heatnet.errors import TrainingError
from heatnet.segmentation.checkpoint import describe, load_checkpoint
from heatnet.segmentation.classes import IGNORE
from heatnet.segmentation.frames import Frame
from heatnet.segmentation.inference import SIX, probabilities

HUGGING_FACE = "hf:"


def label_dataset(root: Path, teacher: str) -> dict[str, Any]:
    """Label the day frames of the dataset `root` by `teacher`: the path of a checkpoint, or hf:MODEL.

    Returns how many frames got labels and why others not. Raises TrainingError where the teacher cannot be used,
    DatasetError where the dataset cannot.
    """
    return relabel(root, open_teacher(teacher))


def open_teacher(teacher: str) -> Labeller:
    """A checkpoint of ours, or hf:MODEL, ready to label. Raises TrainingError."""
    if teacher.startswith(HUGGING_FACE):
        from heatnet.segmentation.label_hf import open_hugging_face

        return open_hugging_face(teacher.removeprefix(HUGGING_FACE))
    return _checkpoint_teacher(Path(teacher))


@dataclass(frozen=True)
class CheckpointTeacher:
    """A network of ours that sees RGB alone."""

    source: str
    predict: Callable[[Frame], NDArray[np.float32]]  # class probabilities (13, H, W)

    def __call__(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """See Labeller: the most probable class and its probability, the mean over sizes and mirror images."""
        size = rgb.shape[:2]
        unseen = np.zeros(size, np.float32), np.zeros(size, np.bool_)
        frame = Frame(rgb, *unseen, np.full(size, IGNORE, np.uint8), np.ones(size, np.float32))
        result = self.predict(frame)
        return result.argmax(axis=0).astype(np.uint8), result.max(axis=0)


def _checkpoint_teacher(path: Path) -> CheckpointTeacher:
    checkpoint = load_checkpoint(path)
    if checkpoint.network.modalities != ("rgb",):
        raise TrainingError(
            f"{path}: {describe(checkpoint.network)}; a teacher that sees RGB alone is needed (rgb_teacher/best.pt)"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = f"{checkpoint.stage}@{digest[:12]}"
    network, scale = checkpoint.build().to(device), checkpoint.config.scale
    return CheckpointTeacher(name, lambda frame: probabilities(network, frame, scale, SIX))
