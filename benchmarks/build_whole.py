"""A whole build against the plain way of doing it, on the same recording, in one run; prints CPU times and ratios.

usage: python benchmarks/build_whole.py [DRIVE] [--pairs N] [--rounds 3]

DRIVE is a folder that `heatnet simulate` made (else a short one is simulated); its key frames are repeated with later
stamps until there are N pairs. The plain way is what is usually written first, and what the published code does: one
pass over the bag for tf and one for the images, both through `rosbags`; for every pair the rectification maps are
computed anew, RGB and thermal are rectified at full size, thermal is warped into RGB (at infinity, with the motion
between the exposures), and both are written as PNG. The ways take turns, and medians over the rounds are printed.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from long_recording import repeat_drive, simulated_drive
from rosbags.highlevel import AnyReader

from heatnet.calib.camchain import read_rig
from heatnet.calib.rig import Rig, RigCamera
from heatnet.calib.trajectory import Trajectory
from heatnet.dataset_tools.align import thermal_from_left_at
from heatnet.dataset_tools.build import BuildConfig, build_dataset
from heatnet.dataset_tools.recording import open_recording, read_trajectory
from heatnet.memory import keep_freed_memory

TOLERANCE_NS = 16_666_667
PLAIN = "the plain way, at infinity"


def plain_build(bag: Path, rig: Rig, output: Path) -> int:
    """The plain way; returns the number of pairs."""
    output.mkdir()
    assert rig.body is not None
    with AnyReader([bag]) as reader:  # a pass for tf
        chosen = [c for c in reader.connections if "tf" in c.msgtype.lower()]
        for connection, _, raw in reader.messages(chosen):
            reader.deserialize(raw, connection.msgtype)
    with open_recording(bag) as recording:
        trajectory = read_trajectory(recording, rig.body)
    thermal = rig.thermal[0]
    count = 0
    for rgb, counts in plain_pairs(bag, rig.rgb_left.topic, thermal.topic):
        stamps = stamp_of(rgb), stamp_of(counts)
        colour = cv2.cvtColor(pixels(rgb, np.uint8), cv2.COLOR_BayerBGGR2BGR)
        images = plain_pair(rig, (rig.rgb_left, thermal), (colour, pixels(counts, np.uint16)), stamps, trajectory)
        for kind, image in zip(("rgb", "ir"), images, strict=True):
            cv2.imwrite(str(output / f"{kind}_{stamps[0]}.png"), image)
        count += 1
    return count


def plain_pair(
    rig: Rig, cameras: tuple[RigCamera, RigCamera], images: Any, stamps: tuple[int, int], trajectory: Trajectory
) -> tuple[Any, Any]:
    """Rectify both, then warp thermal into RGB; every map is made on the spot."""
    left, thermal = cameras
    rectified = []
    for camera, image in zip(cameras, images, strict=True):
        K, D = camera.camera.matrix, camera.camera.distortion
        maps = cv2.initUndistortRectifyMap(K, D, np.eye(3), K, camera.camera.resolution, cv2.CV_32FC1)
        rectified.append(cv2.remap(image, *maps, cv2.INTER_LINEAR))
    turn = thermal_from_left_at(rig, left, thermal, stamps, trajectory).rotation
    homography = thermal.camera.matrix @ turn @ np.linalg.inv(left.camera.matrix)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return rectified[0], cv2.warpPerspective(rectified[1], homography, left.camera.resolution, flags=flags)


def plain_pairs(bag: Path, rgb_topic: str, thermal_topic: str) -> Iterator[tuple[Any, Any]]:
    """The nearest of the last few messages of both topics."""
    waiting: dict[str, list[Any]] = {rgb_topic: [], thermal_topic: []}
    with AnyReader([bag]) as reader:
        chosen = [c for c in reader.connections if c.topic in waiting]
        for connection, _, raw in reader.messages(chosen):
            waiting[connection.topic].append(reader.deserialize(raw, connection.msgtype))
            rgbs, counts = waiting[rgb_topic], waiting[thermal_topic]
            if len(rgbs) > 1:
                first = rgbs.pop(0)
                best = min(counts, key=lambda c: abs(stamp_of(c) - stamp_of(first)))
                if abs(stamp_of(best) - stamp_of(first)) <= TOLERANCE_NS:
                    yield first, best
                waiting[thermal_topic] = [c for c in counts if stamp_of(c) > stamp_of(first) + TOLERANCE_NS]
    first, counts = waiting[rgb_topic][0], waiting[thermal_topic]
    yield first, min(counts, key=lambda c: abs(stamp_of(c) - stamp_of(first)))


def pixels(message: Any, dtype: Any) -> Any:
    return message.data.view(dtype).reshape(message.height, message.width)


def stamp_of(message: Any) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def as_if_new(bag: Path) -> None:
    """Give the bag another time of change, so that nothing that this process knows of it is used again."""
    os.utime(bag, (bag.stat().st_mtime - 60,) * 2)


def cpu_ms(begun: float, pairs: int) -> float:
    return (time.process_time() - begun) * 1e3 / pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("drive", nargs="?", type=Path)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    keep_freed_memory()  # as the command does; the plain way gains by it too
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bag, rig_file = repeat_drive(arguments.drive or simulated_drive(folder / "drive"), folder, arguments.pairs)
        rig = read_rig(rig_file)
        rounds = []
        for turn in range(arguments.rounds):
            rounds.append(one_round(bag, rig_file, rig, folder / str(turn)))
            shutil.rmtree(folder / str(turn))
    plain = np.array([times[PLAIN] for times in rounds])
    for what in rounds[0]:
        ms = np.array([times[what] for times in rounds])
        ratio = np.median(plain / ms)
        print(f"{what:28s} {np.median(ms):8.1f} ms of CPU a pair   {ratio:6.2f} x fewer than the plain way")


def one_round(bag: Path, rig_file: Path, rig: Rig, folder: Path) -> dict[str, float]:
    """CPU time (ms) a pair, by way."""
    folder.mkdir()
    as_if_new(bag)
    begun = time.process_time()
    pairs = plain_build(bag, rig, folder / "plain")
    times = {PLAIN: cpu_ms(begun, pairs)}
    for depth in ("infinite", "auto"):
        as_if_new(bag)
        begun = time.process_time()
        config = BuildConfig(depth=depth, split="train", domain="day")  # type: ignore[arg-type]
        summary = build_dataset([bag], rig_file, folder / depth, config)
        made = sum(row["samples"] for row in summary.rows)
        assert made == pairs, (made, pairs, summary.drops)
        times[f"heatnet, --depth {depth}"] = cpu_ms(begun, pairs)
    return times


if __name__ == "__main__":
    main()
