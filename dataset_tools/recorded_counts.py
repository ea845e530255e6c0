"""The thermal range of a dataset made of recordings: one for all of them."""

import logging
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.counts import known_range, measured_range
from heatnet.dataset_tools.manifest import MANIFEST, read_manifest
from heatnet.dataset_tools.plan import RecordingPlan
from heatnet.dataset_tools.recording import Image, open_recording
from heatnet.errors import RecordingError

FIRST_IMAGES = 8
MEASURED_IMAGES = 64
_LOG = logging.getLogger(__name__)


def dataset_range(output: Path, plan: RecordingPlan) -> tuple[float, float]:
    """The range that the dataset `output` has already; of a new one that of the recording it begins with.

    A range that had to be measured is logged. Raises RecordingError where no thermal image can be read, DatasetError
    where `output` holds a manifest that cannot be.
    """
    if (output / MANIFEST).exists():
        low, high = read_manifest(output).config.get("thermal_range") or (None, None)
        if low is not None and high is not None:
            return float(low), float(high)
    stamps = plan.stamps_ns["thermal"]
    known = known_range(_thermal(plan, stamps[:FIRST_IMAGES]))
    if known is not None:
        return known
    chosen = np.unique(np.linspace(0, len(stamps) - 1, MEASURED_IMAGES).astype(int))
    low, high = measured_range(_thermal(plan, stamps[chosen]))
    _LOG.warning(
        "%s: its thermal counts are no usual ones; the dataset's range is measured: %.0f to %.0f", plan.path, low, high
    )
    return low, high


def _thermal(plan: RecordingPlan, stamps_ns: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Thermal images (H, W) of these stamps, as far as they can be read."""
    topic, wanted = plan.topics["thermal"], set(stamps_ns.tolist())
    with open_recording(plan.path) as recording:
        messages = recording.messages([topic], {topic: wanted}, skipped=[])
        found = [m.pixels for _, m in islice(messages, len(wanted)) if isinstance(m, Image)]
    if not found:
        raise RecordingError(f"{plan.path}: no image of {topic} can be read")
    return [pixels if pixels.ndim == 2 else pixels[..., 0] for pixels in found]
