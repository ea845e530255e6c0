"""The house: imports go one way, and what is heavy stays out of the rooms that must run without it."""

import ast
import subprocess
import sys
from pathlib import Path

import heatnet

ROOT = Path(heatnet.__file__).parent
ROOMS = ["calib", "dataset_tools", "segmentation", "cli"]


def imports_of(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    names = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    return names + [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]


def test_imports_go_from_cli_to_segmentation_to_dataset_tools_to_calib() -> None:
    for place, room in enumerate(ROOMS[:-1]):
        for path in (ROOT / room).rglob("*.py"):
            for name in imports_of(path):
                later = [r for r in ROOMS[place + 1 :] if name.startswith(f"heatnet.{r}")]
                assert not later, f"{path.relative_to(ROOT)} imports {name}"


def test_only_the_command_line_uses_click() -> None:
    for room in ROOMS[:-1]:
        for path in (ROOT / room).rglob("*.py"):
            assert "click" not in imports_of(path), path


def test_segmentation_runs_without_open3d_and_rosbags() -> None:
    modules = [f"heatnet.segmentation.{p.stem}" for p in (ROOT / "segmentation").glob("*.py") if p.stem != "__init__"]
    block = "import sys; sys.modules['open3d'] = None; sys.modules['rosbags'] = None; "
    subprocess.run([sys.executable, "-c", block + "; ".join(f"import {m}" for m in modules) or "pass"], check=True)


def test_help_starts_without_the_heavy_libraries() -> None:
    code = "import sys, heatnet.cli; assert not {'torch', 'open3d', 'cv2', 'rosbags'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_system_library_is_told_with_the_command_that_brings_it() -> None:
    block = (
        "import sys, click, heatnet.cli as c\n"
        "@c.main.command()\n"
        "def broken():\n"
        "    raise ImportError('libusb-1.0.so.0: cannot open shared object file: No such file or directory')\n"
        "c.main(['broken'])"
    )
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True)
    assert done.returncode == 1
    assert "apt-get install libusb-1.0-0" in done.stderr
    assert "Traceback" not in done.stderr
