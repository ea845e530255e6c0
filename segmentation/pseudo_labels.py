"""Labels that a teacher gave to frames, kept beside the run: made once on the clean frames, read by every worker."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.shards import SampleRef
from heatnet.errors import TrainingError
from heatnet.files import atomic_file


@dataclass(frozen=True)
class LabelStore:
    """A folder with one small file a frame: class ids (H, W) and the teacher's confidence in steps of 1/255."""

    folder: Path

    def write(self, ref: SampleRef, label: NDArray[np.uint8], confidence: NDArray[np.float32]) -> None:
        """Keep the label of a frame: ids (H, W) and confidence (H, W) in [0, 1]."""
        levels = np.clip(np.rint(confidence * 255), 0, 255).astype(np.uint8)
        with atomic_file(self._path(ref)) as temporary, temporary.open("wb") as file:
            np.save(file, np.stack([label, levels]))

    def read(self, ref: SampleRef) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Label and confidence of a frame. Raises TrainingError where there is none."""
        path = self._path(ref)
        try:
            label, levels = np.load(path, allow_pickle=False)
        except (OSError, EOFError, ValueError) as error:
            raise TrainingError(f"{path}: no label by a teacher ({error})") from error
        return label, levels.astype(np.float32) / np.float32(255)

    def _path(self, ref: SampleRef) -> Path:
        return self.folder / f"{ref.content[:16]}_{ref.row:05d}.npy"
