"""What each part of HeatNet is worth: configurations x seeds, trained and scored, as one table of means and spreads.

usage: python benchmarks/ablation.py TRAIN_DATASET TEST_DATASET OUT [--seeds 3] [--only NAME,NAME] [--split test]
           [--classes car,person,bicycle] [--preset default|laptop|pretrained] [--set KEY=VALUE ...] [--table]

Resumable: what is finished is not run again, what was broken off goes on; --table only prints what there is. The
teachers of a seed are trained once and shared by its configurations. TRAIN_DATASET and TEST_DATASET may be one.
"""

import argparse
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from heatnet.segmentation.config import PRESETS, TrainConfig, with_settings
from heatnet.segmentation.evaluate import evaluate
from heatnet.segmentation.several import PARTS, summarise_runs
from heatnet.segmentation.train import train


@dataclass(frozen=True)
class Row:
    """One configuration of the table: what it changes of the default student, or a teacher of the base run."""

    settings: tuple[str, ...] = ()
    model: str = "heatnet"  # which model of the run is scored
    distilled: bool = False  # its nights are labelled by the default student, not by the thermal teacher


ROWS = {
    "RGB teacher": Row(model="rgb_teacher"),
    "night teacher": Row(model="thermal_teacher"),
    "default": Row(),
    "RGB only": Row(('modalities=["rgb"]',)),
    "thermal only": Row(('modalities=["thermal"]',)),
    "RGB-T early fusion": Row(("fusion=early",)),
    "without critic": Row(("critics=0",)),
    "one stage": Row(("pretrain_steps=1", "confusion_steps=ALL")),
    "distilled RGB-only": Row(('modalities=["rgb"]',), distilled=True),
    "critic bce": Row(("critic_loss=bce",)),
    "two-way confusion": Row(("two_way=true",)),
    "confusion weight 0.1": Row(("confusion_weight=0.1",)),
    "without confidence": Row(("confidence=false",)),
    "certainty branch": Row(("certainty=true",)),
    "without warm start": Row(("warm_start=false",)),
    "night teacher of thermal alone": Row(('teacher_modalities=["thermal"]',)),
    "pretrained EfficientNet-Lite0": Row(
        ("backbone=efficientnet_lite0", "width=1", "pretrained=true", "learning_rate=1e-3")
    ),
    "PSPNet": Row(("backbone=resnet18", "width=0.25", "pretrained=false")),
    "without standardised RGB": Row(("standardise_rgb=false",)),
    "+ mean teacher": Row(("adapt.mean_teacher=true", "adapt.threshold=0.5")),
    "without threshold": Row(("adapt.threshold=0",)),
    "without rare classes": Row(("adapt.rare_classes=0",)),
    "+ class mix": Row(("adapt.class_mix=0.5",)),
    "+ paste": Row(("adapt.paste=0.5",)),
    "+ complementary masks": Row(("adapt.complementary_mask=0.5",)),
    "+ masked consistency": Row(("adapt.masked_consistency=0.5", "adapt.threshold=0.5")),
    "without night style": Row(("augment.night_like=0.3", "augment.night_style=0")),
    "without drop thermal": Row(("augment.drop_thermal=0",)),
    "+ thermal invert": Row(("augment.thermal_invert=0.3",)),
    "+ all": Row(
        (
            "adapt.mean_teacher=true", "adapt.threshold=0.5", "adapt.class_mix=0.5", "adapt.complementary_mask=0.3",
        )
    ),
}  # fmt: skip
_TEACHERS_TOO = (  # these change them
    "adapt.rare_classes", "augment.night_", "augment.thermal_invert", "backbone", "certainty", "fusion",
    "standardise_rgb", "teacher_modalities", "warm_start",
)  # fmt: skip


def make_config(arguments: argparse.Namespace, row: Row, seed: int) -> TrainConfig:
    """The configuration of a row and seed."""
    base = with_settings(PRESETS[arguments.preset](), arguments.settings)
    steps = str(base.pretrain_steps + base.confusion_steps - 1)
    settings = [text.replace("ALL", steps) for text in row.settings]
    return replace(with_settings(base, settings), seed=seed)


def run_row(name: str, row: Row, seed: int, arguments: argparse.Namespace) -> Path:
    """Train what a row and seed need, where it is not there; returns the run that is to be scored."""
    base = arguments.out / f"base_{seed}"
    if not (base / "heatnet" / "best.pt").is_file() or not _whole(base):
        train(arguments.train, base, make_config(arguments, Row(), seed), resume=True)
        _mark(base)
    if not row.settings:
        return base
    run = arguments.out / f"{name.replace(' ', '_').replace('+', 'with')}_{seed}"
    if _whole(run):
        return run
    config = make_config(arguments, row, seed)
    if not any(text.startswith(_TEACHERS_TOO) for text in row.settings):
        for stage in ("rgb_teacher", "thermal_teacher"):
            if (base / stage).is_dir() and not (run / stage).is_dir():
                shutil.copytree(base / stage, run / stage)
        config = replace(config, stage="heatnet")
    teacher = base / "heatnet" / "best.pt" if row.distilled else base / "thermal_teacher" / "best.pt"
    train(arguments.train, run, config, resume=True, teacher=teacher if config.stage == "heatnet" else None)
    _mark(run)
    return run


def _whole(run: Path) -> bool:
    return (run / "whole").is_file()


def _mark(run: Path) -> None:
    (run / "whole").write_text("")


def score(run: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The scores of a run, kept beside it."""
    key = f"{arguments.split}_{(arguments.classes or 'all').replace(',', '_')}_{arguments.test.resolve().name}"
    path = run / f"scores_{key}.json"
    if not path.is_file():
        classes = arguments.classes.split(",") if arguments.classes else None
        path.write_text(json.dumps(evaluate(run, arguments.test, arguments.split, classes)))
    scores: dict[str, Any] = json.loads(path.read_text())
    return scores


def print_table(found: dict[str, list[dict[str, Any]]]) -> None:
    """Mean and spread of each row, in points of mean IoU."""
    print(f"{'mean IoU, %':30s}" + "".join(f"{part:>16s}" for part in PARTS) + "   seeds")
    for name, runs in found.items():
        if not runs:
            continue
        model = ROWS[name].model
        summary = summarise_runs({str(number): run for number, run in enumerate(runs)})[model]
        print(f"{name:30s}" + "".join(f"{_cell(summary[part]):>16s}" for part in PARTS) + f"{len(runs):8d}")


def _cell(found: dict[str, Any]) -> str:
    if found["mean"] is None:
        return "-"
    return f"{100 * found['mean']:.1f}" + ("" if found["spread"] is None else f" ± {100 * found['spread']:.1f}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="these rows alone, separated by commas")
    parser.add_argument("--split", default="test")
    parser.add_argument("--classes")
    parser.add_argument("--preset", default="default", choices=list(PRESETS))
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--table", action="store_true", help="only print what is finished")
    return parser.parse_args()


def main() -> None:
    """Train, score and print; the table grows with each seed."""
    arguments = parse()
    torch.set_num_threads(1)
    names = arguments.only.split(",") if arguments.only else list(ROWS)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for seed in range(arguments.seeds):
        for name in names:
            row = ROWS[name]
            if arguments.table:
                known = f"{name.replace(' ', '_').replace('+', 'with')}_{seed}" if row.settings else f"base_{seed}"
                run = arguments.out / known
            else:
                run = run_row(name, row, seed, arguments)
            if _whole(run):
                scores = score(run, arguments)
                if row.model in scores["models"]:
                    found[name].append(scores)
    print_table(found)


if __name__ == "__main__":
    main()
