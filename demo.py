"""The whole chain on simulated recordings, as the commands that a user would type."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DemoConfig:
    """How much the demo simulates and what it starts from."""

    train_frames: int = 20  # key frames each of the day and the night drive that train
    test_frames: int = 8  # key frames each of the day and the night drive, in another street, that test
    scale: float = 0.5  # of the rig's resolutions: training sees half of them anyway
    training: tuple[str, ...] = ("--preset", "laptop")  # options of `heatnet train`
    seed: int = 0


def demo_commands(folder: Path, config: DemoConfig) -> Iterator[tuple[Path | None, list[str]]]:
    """Each step as (what it makes, the arguments of `heatnet`); a step whose result exists need not run again.

    Steps with None go on by themselves where they were stopped.
    """
    drives = {}
    for split, frames, seed in (("train", config.train_frames, 1), ("test", config.test_frames, 2)):
        for domain in ("day", "night"):
            out = folder / "recordings" / f"{split}_{domain}"
            drives[split, domain] = out / f"{domain}.bag"
            night = ["--night"] if domain == "night" else []
            seeds = ["--seed", str(10 * config.seed + seed), "--rig-seed", str(config.seed)]
            size = ["--frames", str(frames), "--scale", str(config.scale)]
            yield out, ["simulate", str(out), *night, *size, *seeds]
    training = [str(drives["train", d]) for d in ("day", "night")]
    testing = [str(drives["test", d]) for d in ("day", "night")]
    rough = folder / "recordings" / "train_day" / "rough_camchain.yaml"
    chain, report = folder / "calibration.yaml", folder / "calibration.html"
    yield chain, ["calibrate", *training, "--rig", str(rough), "-o", str(chain), "--report", str(report)]
    dataset, run = folder / "dataset", folder / "run"
    build = ["--calibration", str(chain), "-o", str(dataset)]
    yield None, ["build-dataset", *training, *build]
    yield None, ["build-dataset", *testing, *build, "--split", "test"]
    yield None, ["train", str(dataset), "-o", str(run), *config.training, "--resume"]
    yield None, ["eval", str(run), str(dataset)]
