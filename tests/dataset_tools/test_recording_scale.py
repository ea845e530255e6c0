"""A recording larger than memory is read in little of it, and real recordings survive what disks and people do."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from recording_writers import KINDS, image, write_recording

pytestmark = pytest.mark.slow
IMAGE = "sensor_msgs/msg/Image"
GIBIBYTE_KIB = 1 << 20

PEAK = """
from pathlib import Path

def peak_kib():  # ru_maxrss would count the parent from before exec
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])

"""

READ = """
import sys
from pathlib import Path
from heatnet.dataset_tools.inspect_recording import inspect_recording
from heatnet.dataset_tools.recording import open_recording
inspect_recording(Path(sys.argv[1]))
with open_recording(Path(sys.argv[1])) as recording:
    count = sum(1 for _ in recording.messages(list(recording.topics)))
print(count, peak_kib())
"""

SURVIVE = """
import logging, random, sys, time
from pathlib import Path
from heatnet.dataset_tools.inspect_recording import inspect_recording
from heatnet.dataset_tools.recording import open_recording
from heatnet.errors import RecordingError

def read(path):
    try:
        inspect_recording(path)
        with open_recording(path) as recording:
            return sum(1 for _ in recording.messages(list(recording.topics), skipped=[]))
    except RecordingError as error:
        assert str(path) in str(error) and "\\n" not in str(error), error
        return 0

logging.disable()
source, work, step = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
whole, dice, slowest, counts = source.read_bytes(), random.Random(1), 0.0, []
changed = work / f"changed{source.suffix}"
trials = [("cut", percent) for percent in range(0, 101, step)]
trials += [("bytes", n) for n in (1, 1, 1, 10, 10, 100, 1000, 0.1, 0.1, 0.1)]
for kind, amount in trials:
    data = bytearray(whole if kind == "bytes" else whole[: len(whole) * amount // 100])
    for _ in range(0 if kind == "cut" else int(amount if amount >= 1 else amount * len(data))):
        data[dice.randrange(len(data))] = dice.randrange(256)
    changed.write_bytes(data)
    start = time.perf_counter()
    counts.append(read(changed))
    slowest = max(slowest, time.perf_counter() - start)
print(peak_kib(), slowest, *counts)
"""


def run(script: str, *arguments: object) -> list[float]:
    """What a script prints in a process of its own."""
    command = [sys.executable, "-c", PEAK + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


@pytest.mark.parametrize("kind", KINDS)
def test_two_gigabytes_are_read_in_a_quarter_of_that(kind, tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (4, 1024, 2048, 3), np.uint8)
    count = 340
    messages = ((f"/rgb{i % 2}", IMAGE, image(i, frames[i % 4], "rgb8"), i) for i in range(count))
    path = write_recording(tmp_path, kind, messages)
    assert sum(f.stat().st_size for f in tmp_path.rglob("*") if f.is_file()) > 2e9
    try:
        read, peak_kib = run(READ, path)
    finally:
        shutil.rmtree(tmp_path)  # pytest would keep three of these
    assert read == count and peak_kib < GIBIBYTE_KIB / 2


@pytest.mark.parametrize(
    ("name", "step_percent"),
    [
        ("bags/embag_test.bag", 1),
        ("bags/swri_PointCloud2.bag", 1),
        ("bags/fox_example-lz4.bag", 1),
        ("bags/evo_nav2_turtlebot.mcap", 1),
        ("recordings/night/night.bag", 5),
    ],
)
def test_cut_and_changed_recordings_end_in_time_and_memory(name, step_percent, shared_data, tmp_path):
    peak_kib, slowest_s, *counts = run(SURVIVE, shared_data / name, tmp_path, step_percent)
    cuts = counts[: 100 // step_percent + 1]
    assert peak_kib < GIBIBYTE_KIB and slowest_s < 30
    assert cuts == sorted(cuts) and cuts[0] == 0 and cuts[-1] > 0
