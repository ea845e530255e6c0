"""A step of student and critics: one shared forward pass, against the original's turns with an online night teacher.

usage: python benchmarks/train_pair.py [PAIRS [BACKBONE WIDTH HEIGHTxWIDTH BATCH]]     e.g. 10 resnet50 1 320x640 4

A pair is one step of the student and one of the critics. Times are alternated, so that a busy machine is fair to both,
and the median counts; memory is the peak of a process that does nothing else (on a GPU, what torch allocated there).
"""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from heatnet.segmentation.build import build_network
from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.critic import make_critics
from heatnet.segmentation.data import Batch, Frames
from heatnet.segmentation.distributed import device
from heatnet.segmentation.inference import inference
from heatnet.segmentation.optimizer import Average, Schedule, Updater
from heatnet.segmentation.student import Student, alternating_step, student_step

Pair = Callable[[], object]


def make_config(arguments: list[str]) -> TrainConfig:
    """The configuration of the command line; without, the default one."""
    if not arguments:
        return TrainConfig()
    backbone, width, size, batch = arguments
    height, across = (int(length) for length in size.split("x"))
    return TrainConfig(
        backbone=backbone, width=float(width), head_width=1.0, head_steps=3, crop=(height, across), batch=int(batch)
    )


def make_pair(config: TrainConfig) -> Pair:
    """A function that does one pair of steps."""
    torch.manual_seed(0)
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    network = build_network(config.network("heatnet")).to(device()).to(memory_format=layout)
    batch = Batch(_frames(config), _frames(config)).to(device(), layout)
    with inference(network):
        maps = network(batch.day.rgb[:1], batch.day.thermal[:1])
    critics = make_critics(maps, ["logits"], config.width).to(device())
    updaters = [Updater(part, config, Schedule(1e-4, 0, 10**6, 0)) for part in (network, critics)]
    student = Student(
        network, updaters[0], critics, updaters[1], torch.ones(13, device=device()), Average(network, 0.9)
    )
    if not config.alternate:
        return lambda: student_step(student, batch, config, confuse=True)
    student.night_teacher = build_network(config.network("thermal-teacher")).to(device()).to(memory_format=layout)
    return lambda: [alternating_step(student, batch, config, number) for number in (0, 1)]


def _frames(config: TrainConfig) -> Frames:
    count, (height, width) = config.batch, config.crop
    return Frames(
        rgb=torch.rand(count, 3, height, width) * 2 - 1,
        thermal=torch.rand(count, 1, height, width) * 2 - 1,
        valid=torch.ones(count, height, width, dtype=torch.bool),
        label=torch.randint(0, 13, (count, height, width)),
        confidence=torch.rand(count, height, width),
    )


def seconds(pair: Pair) -> float:
    """The time of one pair: of this process's CPU, on a GPU of the wall clock."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    begun = clock()
    pair()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - begun


def peak_mb() -> float:
    """Peak memory of this process, on a GPU of what torch took there."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def ways(config: TrainConfig) -> dict[str, TrainConfig]:
    """What is compared."""
    plain = replace(config, precision="fp32")
    found = {
        "original: in turns, online teacher": replace(plain, alternate=True, online_teacher=True, channels_last=False),
        "one shared forward pass": plain,
    }
    return {**found, "the same with bf16: default": config} if torch.cuda.is_available() else found


def main() -> None:
    """Measure and print, or be the child that measures memory."""
    torch.set_num_threads(1)
    arguments = sys.argv[1:]
    alone = arguments.pop(0) if arguments and arguments[0].startswith("--memory=") else None
    count = int(arguments[0]) if arguments else 10
    configs = ways(make_config(arguments[1:]))
    if alone is not None:
        pair = make_pair(configs[alone.removeprefix("--memory=")])
        pair(), pair()
        print(peak_mb())
        return
    pairs = {name: make_pair(config) for name, config in configs.items()}
    for pair in pairs.values():
        seconds(pair)
    times: dict[str, list[float]] = {name: [] for name in pairs}
    for _ in range(count):
        for name, pair in pairs.items():
            times[name].append(seconds(pair))
    pairs.clear()
    first = median(next(iter(times.values())))
    command = [sys.executable, __file__]
    measuring = [subprocess.Popen([*command, f"--memory={n}", *sys.argv[1:]], stdout=subprocess.PIPE) for n in times]
    for (name, found), child in zip(times.items(), measuring, strict=True):
        memory = float(child.communicate()[0])
        print(f"{name:36s} {1e3 * median(found):9.1f} ms   {first / median(found):5.2f} x   peak {memory:7.0f} MiB")


if __name__ == "__main__":
    main()
