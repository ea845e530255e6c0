"""Random reads of samples from shards, against what they replace; prints CPU times and ratios.

usage: python benchmarks/read_samples.py [SAMPLES]     in a temporary folder; nothing is left
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np

from heatnet.dataset_tools.shards import Dataset, Manifest, Sample, ShardInfo, write_manifest, write_shard

SIZE, FULL = (320, 704), (650, 1920)
READS, ROUNDS = 80, 9


def cpu_ms(read: Callable[[int], Any], order: Any) -> float:
    """Mean CPU time of a read in ms."""
    begun = time.process_time()
    for i in order:
        read(int(i))
    return (time.process_time() - begun) / len(order) * 1e3


def picture(rng: Any, size: tuple[int, int], channels: int) -> Any:
    """Smooth with a little noise, so that PNG has something to do and something to gain."""
    coarse = rng.uniform(0, 255, (size[0] // 16 + 1, size[1] // 16 + 1, channels)).astype(np.float32)
    smooth = cv2.resize(coarse, size[::-1]).reshape(*size, channels)
    return np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


def make_sample(rng: Any) -> Sample:
    counts = (picture(rng, SIZE, 1)[..., 0].astype(np.uint16) * 12) + 21_800
    ones, label = np.ones(SIZE, np.uint8), rng.integers(0, 13, SIZE).astype(np.uint8)
    return Sample(picture(rng, SIZE, 3), counts, ones, label, 1, 2, 10.0)


def png_reader(folder: Path, rng: Any) -> Callable[[int], Any]:
    """Full-size PNG files, decoded and resized, as the reference reads them."""
    for i in range(8):
        cv2.imwrite(str(folder / f"rgb{i}.png"), picture(rng, FULL, 3))
        cv2.imwrite(str(folder / f"ir{i}.png"), picture(rng, FULL, 1).astype(np.uint16) * 12 + 21_800)
        cv2.imwrite(
            str(folder / f"label{i}.png"), rng.integers(0, 13, (80, 240)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
        )

    def read(i: int) -> Any:
        images = [
            cv2.imread(str(folder / f"{kind}{i % 8}.png"), cv2.IMREAD_UNCHANGED) for kind in ("rgb", "ir", "label")
        ]
        return [cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_NEAREST) for image in images if image is not None]

    return read


def main() -> None:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        samples = [make_sample(rng) for _ in range(count)]
        write_manifest(
            root, Manifest(shards=(write_shard(root, "a.h5", samples, ShardInfo("train", "day", "s", "hand")),))
        )
        dataset = Dataset.open(root)
        refs = dataset.refs()
        order = rng.integers(0, count, READS)
        names = ("rgb", "thermal", "valid", "label")
        with h5py.File(root / "shards" / "a.h5") as file:
            ways = {
                "ours": lambda i: dataset.read(refs[i]),
                "ours, checked": lambda i: dataset.read(refs[i], check=True),
                "memcpy of the same bytes": lambda i: [getattr(samples[i], n).copy() for n in names],
                "plain h5py ds[i]": lambda i: [file[n][i] for n in names],
                "full-size PNG + resize": png_reader(root, rng),
            }
            report(ways, order)


def report(ways: dict[str, Callable[[int], Any]], order: Any) -> None:
    """Time the ways in turns, so that what else the machine does meets them alike; medians over the rounds."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, read in ways.items():
            times[name].append(cpu_ms(read, order[:10] if "PNG" in name else order))
    ours = np.array(times["ours"])
    for name, ms in times.items():
        ratio = np.array(ms) / ours
        print(f"{name:28s} {np.median(ms):8.3f} ms   {np.median(ratio):7.2f} x ours")
    inverse = ours / np.array(times["memcpy of the same bytes"])
    print(f"ours is {np.median(inverse):.2f} x a memcpy ({inverse.min():.2f} to {inverse.max():.2f} over the rounds)")


if __name__ == "__main__":
    main()
