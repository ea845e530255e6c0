"""The whole chain, small: what `heatnet demo` does."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from heatnet.cli import main
from heatnet.demo import DemoConfig, demo_commands

TINY = {"rgb_teacher_steps": 4, "thermal_teacher_steps": 4, "pretrain_steps": 3, "confusion_steps": 3, "batch": 2}


@pytest.mark.slow
def test_the_chain_runs_from_simulated_drives_to_a_report_and_again_without_doing_anything_twice(
    tmp_path: Path,
) -> None:
    settings = tmp_path / "tiny.json"
    settings.write_text(json.dumps({**TINY, "width": 0.125, "crop": [64, 96], "validations": 1}))
    training = ("--preset", "laptop", "--config", str(settings))
    config = DemoConfig(train_frames=6, test_frames=2, scale=0.4, training=training)
    for _ in range(2):
        for made, arguments in demo_commands(tmp_path / "demo", config):
            if made is None or not made.exists():
                done = CliRunner().invoke(main, arguments)
                assert done.exit_code == 0, (arguments, done.output)
        assert "heatnet" in done.output
    assert (tmp_path / "demo" / "run" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "demo" / "calibration.html").stat().st_size > 10_000
    scores = json.loads((CliRunner().invoke(main, [*arguments, "--json"])).stdout)
    assert set(scores["models"]) == {"rgb_teacher", "thermal_teacher", "heatnet"}
    assert {"day", "night", "combined", "pooled", "classes_scored"} <= set(scores)
