"""A dataset of shards behind PyTorch's loader: forked, spawned, pickled, on a disk that may not be written."""

import os
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from test_label import make_dataset
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from heatnet.dataset_tools.relabel import relabel
from heatnet.dataset_tools.shards import Dataset
from heatnet.segmentation.frames import read_frame


class Counts(TorchDataset[torch.Tensor]):
    """Thermal counts of every sample."""

    def __init__(self, root: Path) -> None:
        self.dataset = Dataset.open(root)
        self.refs = self.dataset.refs()

    def __len__(self) -> int:
        return len(self.refs)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.dataset.read(self.refs[index], check=True).thermal.astype(np.int32))


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A dataset below a mount that refuses to be written; without the right to mount, below a folder that does."""
    root = make_dataset(tmp_path / "d")
    mounted = not subprocess.run(
        ["mount", "--bind", "-o", "ro", str(root), str(root)], capture_output=True, check=False
    ).returncode
    if not mounted:
        for path in (root / "shards", root):
            path.chmod(0o555)
    try:
        assert not os.access(root, os.W_OK)
        yield root
    finally:
        if mounted:
            subprocess.run(["umount", str(root)], check=True)
        else:
            for path in (root, root / "shards"):
                path.chmod(0o755)


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_workers_read_what_the_process_reads_from_a_read_only_disk(read_only: Path, how: str) -> None:
    data = Counts(read_only)
    alone = [data[i] for i in range(len(data))]  # so that something is open that could be shared by mistake
    workers = 2 if how == "fork" else 1
    loader = DataLoader(data, num_workers=workers, multiprocessing_context=how, persistent_workers=True)
    for _ in range(2):
        seen = [batch[0] for batch in loader]
        assert len(seen) == 4 and all(torch.equal(a, b) for a, b in zip(seen, alone, strict=True))


def test_a_pickled_dataset_reads_on(read_only: Path) -> None:
    data = Counts(read_only)
    first = data[0]
    again = pickle.loads(pickle.dumps(data))
    assert torch.equal(again[0], first) and len(pickle.dumps(data)) < 20_000


class Sure:
    """Road everywhere, surer to the right."""

    source = "sure@1"

    def __call__(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        columns = np.linspace(0, 1, rgb.shape[1], dtype=np.float32)
        return np.zeros(rgb.shape[:2], np.uint8), np.broadcast_to(columns, rgb.shape[:2])


def test_training_sees_how_sure_the_teacher_was(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d")
    relabel(root, Sure())
    dataset = Dataset.open(root)
    frame = read_frame(dataset, dataset.refs(domain="day")[0])
    assert np.abs(frame.confidence - np.linspace(0, 1, 96)).max() < 0.003
    assert (read_frame(dataset, dataset.refs(domain="night")[0]).confidence == 1).all()
