"""Augmented training samples a CPU second from shards, against decoding and resizing the PNG files they replace.

usage: python benchmarks/loader.py [PAIRS]     in a temporary folder; nothing is left. One thread.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from heatnet.dataset_tools.shards import Dataset, Manifest, Sample, ShardInfo, write_manifest, write_shard
from heatnet.segmentation.config import TrainConfig
from heatnet.segmentation.data import Pairs, Source
from heatnet.segmentation.pseudo_labels import LabelStore

SIZE, FULL = (320, 704), (650, 1920)


def picture(rng: Any, size: tuple[int, int], channels: int) -> Any:
    """Smooth with a little noise, so that PNG has something to do and something to gain."""
    coarse = rng.uniform(0, 255, (size[0] // 16 + 1, size[1] // 16 + 1, channels)).astype(np.float32)
    smooth = cv2.resize(coarse, size[::-1]).reshape(*size, channels)
    return np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


def make_dataset(root: Path, rng: Any, count: int) -> Dataset:
    """`count` day frames with labels and as many night frames without."""
    shards = []
    for domain, source in (("day", "hand"), ("night", None)):
        samples = [_sample(rng, source is not None) for _ in range(count)]
        shards.append(write_shard(root, f"{domain}.h5", samples, ShardInfo("train", domain, "s", source)))
    write_manifest(root, Manifest(shards=tuple(shards)))
    return Dataset.open(root)


def _sample(rng: Any, labelled: bool) -> Sample:
    counts = picture(rng, SIZE, 1)[..., 0].astype(np.uint16) * 12 + 21_800
    label = np.kron(rng.integers(0, 13, (20, 44)), np.ones((16, 16), int)).astype(np.uint8)
    return Sample(picture(rng, SIZE, 3), counts, np.ones(SIZE, np.uint8), label if labelled else None, 1, 2, 10.0)


def make_pairs(data: Dataset, folder: Path) -> Pairs:
    """The pairs of the student's stage with the default augmentation, nights labelled."""
    day, night = (tuple(data.refs(split="train", domain=domain)) for domain in ("day", "night"))
    store = LabelStore(folder)
    for ref in night:
        store.write(ref, np.zeros(SIZE, np.uint8), np.full(SIZE, 0.8, np.float32))
    nights = Source(data, night, store)
    return Pairs(Source(data, day), nights, TrainConfig(), "heatnet", styles=nights)


def png_pair(folder: Path, rng: Any) -> Callable[[int], Any]:
    """Full-size PNG files of a day and a night frame, decoded and resized, as the reference reads them."""
    label = np.kron(rng.integers(0, 13, (65, 192)), np.ones((10, 10), int)).astype(np.uint8)
    for i in range(8):
        cv2.imwrite(str(folder / f"rgb{i}.png"), picture(rng, FULL, 3))
        cv2.imwrite(str(folder / f"ir{i}.png"), picture(rng, FULL, 1).astype(np.uint16) * 12 + 21_800)
        cv2.imwrite(str(folder / f"label{i}.png"), label)

    def read(i: int) -> Any:
        names = [f"{kind}{(i + n) % 8}.png" for n, kind in enumerate(("rgb", "ir", "rgb", "ir", "label"))]
        images = [cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED) for name in names]
        return [cv2.resize(image, SIZE[::-1]) for image in images if image is not None]

    return read


def cpu_ms(read: Callable[[int], Any], count: int) -> float:
    """Mean CPU time of a read in ms, after a few to warm up."""
    for i in range(5):
        read(i)
    begun = time.process_time()
    for i in range(count):
        read(i)
    return (time.process_time() - begun) / count * 1e3


def main() -> None:
    """Measure and print."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        pairs = make_pairs(make_dataset(Path(name), rng, 32), Path(name) / "labels")
        ours = cpu_ms(pairs.__getitem__, count)
        png = cpu_ms(png_pair(Path(name), rng), max(20, count // 10))
    print(f"augmented pair from shards   {ours:8.2f} ms CPU   {2e3 / ours:7.1f} samples a CPU second")
    print(f"PNG decode + resize, a pair  {png:8.2f} ms CPU   {2e3 / png:7.1f} samples a CPU second")
    print(f"ratio                        {png / ours:8.1f}")


if __name__ == "__main__":
    main()
