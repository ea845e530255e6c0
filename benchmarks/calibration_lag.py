"""Hidden lags of thermal cameras: stamps of recordings with known truth are put back by 0 to 30 ms, then found again.

For each recording and lag: the lag found beyond what is found without one (so that a lag of the recording's own does
not count), the error of the alignment, and what the calibration says of its lag.

usage: python benchmarks/calibration_lag.py OUT.jsonl RECORDING_FOLDER...     appends lines; goes on where it stopped
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from calibration_truth import Case, measured

from heatnet.calib.pipeline import calibrate
from heatnet.calib.views import View, Views

LAGS_MS = (0.0, 6.0, 12.0, 20.0, 30.0)


def delayed(views: Views, lag_ms: float) -> Views:
    """Thermal stamps that hide a lag: frames are exposed `lag_ms` later than they say."""

    def late(view: View) -> View:
        shifted = {
            name: tuple(replace(f, stamp_ns=f.stamp_ns - round(lag_ms * 1e6)) for f in frames)
            for name, frames in view.thermal.items()
        }
        return replace(view, thermal=shifted)

    return replace(views, views=tuple(late(view) for view in views.views))


def run(case: Case, lag_ms: float) -> list[dict[str, Any]]:
    """Calibrate one recording with stamps put back."""
    result = calibrate(delayed(case.views, lag_ms), case.rough)
    return [
        {
            "recording": case.name,
            "lag_ms": lag_ms,
            "camera": c.after.name,
            "status": c.status,
            "found_ms": c.estimate.lag_s * 1e3,
            "half_ms": float(c.uncertainty.half_width[-1] * 1e3),
            "error_px": case.error_px(c.after),
            "said": c.prior_directions()[-1],
        }
        for c in result.cameras
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """A line a recording and lag, then the worst."""
    own = {(r["recording"], r["camera"]): r["found_ms"] for r in rows if r["lag_ms"] == 0}
    lines, misses = [], {"turns": [0.0], "constant": [0.0]}
    for r in rows:
        miss = r["found_ms"] - own[r["recording"], r["camera"]] - r["lag_ms"]
        misses["constant" if "cannot be told" in r["said"] else "turns"].append(abs(miss))
        lines.append(
            f"{Path(r['recording']).name:12s} {r['camera']} {r['lag_ms']:4.0f} ms: found {r['found_ms']:5.1f} ms, "
            f"{miss:+.1f} from the first, 95 % within {r['half_ms']:.1f} ms; error {r['error_px']:.2f} px; {r['said']}"
        )
    lines.append(
        f"largest miss {np.max(misses['turns']):.2f} ms where turns and changes of speed tell, "
        f"{np.max(misses['constant']):.2f} ms where the prior on translation decides"
    )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing in the file, then print the table."""
    print(table(measured(Path(sys.argv[1]), sys.argv[2:], "lag_ms", LAGS_MS, run)))


if __name__ == "__main__":
    main()
