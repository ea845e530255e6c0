"""What a user gets for bad input: one clear message, exit code 1, nothing half-written left."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from flat_street import make_recording, make_rig, write_calibration

from heatnet.cli import main

Run = Callable[..., Result]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_told(result: Result, *words: str) -> None:
    """One message on stderr that holds `words`, exit code 1, no traceback."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("Error: "), result.stderr
    assert all(word in lines[0] for word in words), lines[0]


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    write_calibration(folder / "rig.yaml")
    return make_recording(folder)


@pytest.fixture
def rig(drive: Path) -> Path:
    return drive.parent / "rig.yaml"


def build(drive: Path, rig: Path, out: Path) -> Result:
    return run("build-dataset", drive, "--calibration", rig, "-o", out)


def calibrate(drive: Path, rig: Path, out: Path) -> Result:
    return run("calibrate", drive, "--rig", rig, "-o", out)


@pytest.mark.parametrize("command", [build, calibrate])
@pytest.mark.parametrize("content", [None, b"", b"not a bag at all" * 999, b"#ROSBAG V2.0\n"])
def test_what_is_no_recording_is_named(
    command: Callable[[Path, Path, Path], Result], content: bytes | None, rig: Path, tmp_path: Path
) -> None:
    bag = tmp_path / "drive.bag"
    if content is not None:
        bag.write_bytes(content)
    before = names(tmp_path)
    assert_told(command(bag, rig, tmp_path / "out"), "drive.bag")
    assert names(tmp_path) == before


def test_inspect_of_a_missing_file_names_it(tmp_path: Path) -> None:
    assert_told(run("inspect", tmp_path / "none.bag"), "none.bag", "no such file")


@pytest.mark.parametrize("command", [build, calibrate])
def test_a_recording_cut_before_its_first_image_is_named(
    command: Callable[[Path, Path, Path], Result], drive: Path, rig: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.bag"
    cut.write_bytes(drive.read_bytes()[:5000])
    assert_told(command(cut, rig, tmp_path / "out"), "cut.bag")
    assert names(tmp_path) == {"cut.bag"}


@pytest.mark.parametrize("command", [build, calibrate])
def test_a_recording_cut_in_its_middle_is_refused_unless_it_is_to_be_salvaged(
    command: Callable[[Path, Path, Path], Result], drive: Path, rig: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.bag"
    cut.write_bytes(drive.read_bytes()[: drive.stat().st_size * 6 // 10])
    assert_told(command(cut, rig, tmp_path / "out"), "cut.bag", "--salvage")
    assert names(tmp_path) == {"cut.bag"}


@pytest.mark.parametrize("command", [build, calibrate])
def test_a_recording_without_thermal_topics_is_told_what_is_missing(
    command: Callable[[Path, Path, Path], Result], rig: Path, tmp_path: Path
) -> None:
    blind = make_recording(tmp_path / "in", silent=("/ir_left",))
    assert_told(command(blind, rig, tmp_path / "out"), blind.name, "/ir_left")
    assert names(tmp_path) == {"in", *(f"in/{name}" for name in names(tmp_path / "in"))}


def without_a_key(document: dict) -> None:
    del document["cam1"]["intrinsics"]


def skewed(document: dict) -> None:
    document["cam2"]["T_cn_cnm1"][0][1] = 0.5


def mirrored(document: dict) -> None:
    document["cam2"]["T_cn_cnm1"][0] = [-v for v in document["cam2"]["T_cn_cnm1"][0]]


def with_a_gap(document: dict) -> None:
    document["cam5"] = document.pop("cam1")


BROKEN_RIGS = [
    (without_a_key, ("cam1", "intrinsics", "missing")),
    (skewed, ("cam2", "T_cn_cnm1", "not orthonormal")),
    (mirrored, ("cam2", "T_cn_cnm1", "determinant -1")),
    (with_a_gap, ("no block cam1",)),
]


@pytest.mark.parametrize("command", [build, calibrate])
@pytest.mark.parametrize(("spoil", "words"), BROKEN_RIGS)
def test_a_broken_rig_file_is_told_block_and_key(
    command: Callable[[Path, Path, Path], Result],
    spoil: Callable[[dict], None],
    words: tuple[str, ...],
    drive: Path,
    rig: Path,
    tmp_path: Path,
) -> None:
    document = yaml.safe_load(rig.read_text())
    spoil(document)
    broken = tmp_path / "broken.yaml"
    broken.write_text(yaml.safe_dump(document))
    assert_told(command(drive, broken, tmp_path / "out"), "broken.yaml", *words)
    assert names(tmp_path) == {"broken.yaml"}


def test_a_calibration_does_not_overwrite_the_guess_that_it_starts_from(drive: Path, rig: Path, tmp_path: Path) -> None:
    before = rig.read_bytes()
    (tmp_path / "link.yaml").symlink_to(rig)
    for output in (rig, rig.parent / "." / rig.name, tmp_path / "link.yaml"):
        assert_told(calibrate(drive, rig, output), "is the rig file")
    assert rig.read_bytes() == before and not (rig.parent / "calibration.json").exists()


@pytest.mark.parametrize(
    "option",
    ["--tolerance nan", "--tolerance inf", "--margin nan", "--margin inf", "--fractions 1 nan 1", "--fractions inf 0 0",
     "--day-above nan", "--night-below -inf", "--plane nan", "--plane inf", "--thermal-range nan 25000"],
)  # fmt: skip
def test_a_number_that_is_none_is_wrong_usage(drive: Path, rig: Path, tmp_path: Path, option: str) -> None:
    result = run("build-dataset", drive, "--calibration", rig, "-o", tmp_path / "out", *option.split())
    assert result.exit_code == 2, result.output
    assert f"Invalid value for '{option.split()[0]}'" in result.stderr
    assert names(tmp_path) == set()


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize("command", ["check x.bag --rig r.yaml --tolerance", "import-dataset pairs x -o y --least-gap"])
def test_a_tolerance_or_gap_that_is_no_number_is_wrong_usage(command: str, number: str) -> None:
    result = run(*command.split(), number)
    assert result.exit_code == 2 and f"Invalid value for '{command.split()[-1]}'" in result.stderr


@pytest.mark.parametrize("option", ["--rig-seed -1", "--scale nan", "--scale inf"])
def test_a_simulation_of_impossible_numbers_is_wrong_usage(tmp_path: Path, option: str) -> None:
    result = run("simulate", tmp_path / "out", *option.split())
    assert result.exit_code == 2 and f"Invalid value for '{option.split()[0]}'" in result.stderr
    assert names(tmp_path) == set()


def make_pairs(root: Path) -> Path:
    rng = np.random.default_rng(0)
    for domain in ("day", "night"):
        for kind, size in (("rgb", (48, 64, 3)), ("thermal", (48, 64)), ("labels", (48, 64))):
            folder = root / "train" / domain / kind
            folder.mkdir(parents=True)
            cv2.imwrite(str(folder / "0001.png"), rng.integers(0, 13, size).astype(np.uint8))
    return root


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    root = make_pairs(tmp_path / "in")
    (root / "train" / "day" / "thermal" / "0001.png").write_bytes(b"\x89PNG but not really")
    assert_told(run("import-dataset", "pairs", root, "-o", tmp_path / "out"), "thermal/0001.png")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_an_impossible_label_is_named_with_its_file(tmp_path: Path) -> None:
    root = make_pairs(tmp_path / "in")
    cv2.imwrite(str(root / "train" / "day" / "labels" / "0001.png"), np.full((48, 64), 200, np.uint8))
    assert_told(run("import-dataset", "pairs", root, "-o", tmp_path / "out"), "labels/0001.png", "200")
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("arguments", [["inspect"], ["validate"], ["train", "-o", "run"], ["eval", "run"]])
def test_a_dataset_of_another_version_is_told_both_versions(arguments: list[str], drive: Path, tmp_path: Path) -> None:
    root = make_pairs(tmp_path / "in")
    assert run("import-dataset", "pairs", root, "-o", tmp_path / "out").exit_code == 0
    manifest = tmp_path / "out" / "manifest.json"
    document = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**document, "format_version": 99}))
    with_paths = [str(tmp_path / a) if a == "run" else a for a in arguments]
    assert_told(run(*with_paths, tmp_path / "out"), "manifest.json", "version 99")
    assert not (tmp_path / "run").exists()


def limited(limit_bytes: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command that may write no file larger than `limit_bytes`: what a full disk does to it."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    command = [sys.executable, "-m", "heatnet.cli", *map(str, arguments)]
    return subprocess.run(command, preexec_fn=limit, capture_output=True, text=True)


def test_a_full_disk_ends_a_build_with_one_message_and_nothing_half_written(
    drive: Path, rig: Path, tmp_path: Path
) -> None:
    done = limited(20_000, "build-dataset", drive, "--calibration", rig, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and "cannot be written" in done.stderr
    assert not [name for name in names(tmp_path) if name.endswith((".h5", ".tmp", "manifest.json"))]


@pytest.mark.slow
def test_a_full_disk_ends_a_simulation_with_one_message_and_nothing_half_written(tmp_path: Path) -> None:
    done = limited(20_000, "simulate", tmp_path / "out", "--frames", 1, "--scale", 0.1)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and "cannot be written" in done.stderr
    assert names(tmp_path) == set()


def test_the_rig_that_all_this_uses_is_sound(drive: Path, rig: Path, tmp_path: Path) -> None:
    assert len(make_rig().thermal) == 1
    done = build(drive, rig, tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert run("validate", tmp_path / "out").exit_code == 0
