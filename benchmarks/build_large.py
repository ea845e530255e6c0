"""A recording of 2 GB made into a dataset: peak memory, and the rate from the beginning to the end.

usage: python benchmarks/build_large.py [DRIVE] [--gigabytes 2] [--depth auto|infinite]

DRIVE is a folder that `heatnet simulate` made (else a short one is simulated), repeated until it is long enough. The
build runs in a process of its own, whose peak memory (VmHWM) is asked for at its end.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from long_recording import repeat_drive, simulated_drive

BUILD = """
import sys
from pathlib import Path
import cv2
from heatnet.dataset_tools.build import BuildConfig, build_dataset
cv2.setNumThreads(1)
config = BuildConfig(depth=sys.argv[4], split="train", domain="day")
build_dataset([Path(sys.argv[1])], Path(sys.argv[2]), Path(sys.argv[3]), config)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def cpu_seconds(process: int) -> float:
    """CPU time that a running process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("drive", nargs="?", type=Path)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--depth", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drive = arguments.drive or simulated_drive(folder / "drive")
        bag, rig_file = repeat_drive(drive, folder, pairs=1)
        keys = len(list_keys(bag))
        pairs = int(arguments.gigabytes * 1e9 / bag.stat().st_size * keys) + 1
        bag, rig_file = repeat_drive(drive, folder, pairs)
        print(f"{bag.stat().st_size / 1e9:.2f} GB, {pairs} pairs or more", flush=True)
        command = [sys.executable, "-c", BUILD, str(bag), str(rig_file), str(folder / "out"), arguments.depth]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        watch(process, folder / "out" / "shards")
        assert process.stdout is not None
        print(f"peak memory {int(process.stdout.read()) / 1024:.0f} MiB, exit {process.wait()}")


def list_keys(bag: Path) -> list[int]:
    """Stamps of the left RGB images."""
    from heatnet.dataset_tools.recording import open_recording

    with open_recording(bag) as recording:
        topic = next(name for name in recording.topics if "rgb_fl" in name)
        return recording.stamps([topic])[topic].tolist()


def watch(process: subprocess.Popen[str], shards: Path) -> None:
    """Say how fast each shard came."""
    before, seen = cpu_seconds(process.pid), 0
    while process.poll() is None:  # a zombie has no memory to read
        time.sleep(0.2)
        count = len(list(shards.glob("*.h5"))) if shards.is_dir() else 0
        if count > seen and process.poll() is None:
            now = cpu_seconds(process.pid)
            print(f"shard {count}: {(now - before) / (count - seen):6.2f} s of CPU", flush=True)
            before, seen = now, count


if __name__ == "__main__":
    main()
