"""One process of a test: a step of student and critics on its share of a batch; the first one keeps the gradients."""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from heatnet.dataset_tools.shards import Dataset
from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.data import Batch, Frames, Pairs, Source, batches
from heatnet.segmentation.distributed import processes, rank
from heatnet.segmentation.sources import day_source
from heatnet.segmentation.stages import Material, new_student
from heatnet.segmentation.student import student_step


def doubled(frames: Frames) -> Frames:
    images = {name: getattr(frames, name).double() for name in ("rgb", "thermal", "confidence")}
    return replace(frames, **images)


def main(dataset: Path, out: Path) -> None:
    torch.set_num_threads(1)
    config = TrainConfig(
        width=0.1, scale=1.0, crop=(64, 64), batch=4, workers=0, dropout=0.0, clip_norm=1e9, learning_rate=1e-30,
        critic_learning_rate=1e-30, weight_decay=0.0, confusion_weight=1.0,
    )  # fmt: skip
    with processes():
        torch.manual_seed(0)
        data = Dataset.open(dataset)
        student = new_student(Material(data, out.parent, config), day_source(data, out.parent))
        night = Source(data, tuple(data.refs(split="train", domain="night")))
        (batch,) = batches(Pairs(day_source(data, out.parent), night, config, "heatnet"), 0, 1)
        assert batch.night is not None
        batch.night.label[:] = batch.day.label  # any labels, and weights that differ from frame to frame
        batch.night.confidence[:] = batch.night.thermal[:, 0].abs()
        student.network.double(), student.critics.double()  # so that no ReLU flips by rounding
        student.class_weights = student.class_weights.double()
        batch = Batch(*(doubled(frames) for frames in (batch.day, batch.night)))
        terms = student_step(student, batch, config, confuse=True)
        if rank() == 0:
            gradients = {name: p.grad for name, p in student.network.named_parameters() if p.grad is not None}
            gradients |= {f"critics.{name}": p.grad for name, p in student.critics.named_parameters()}
            statistics = {name: value for name, value in student.network.state_dict().items() if "running" in name}
            torch.save({"gradients": gradients, "statistics": statistics, "terms": terms}, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
