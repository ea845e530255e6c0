"""One HTML file about a run: scores side by side, curves, confusions, and pictures of what each network sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from heatnet.dataset_tools.classes import coloured
from heatnet.dataset_tools.shards import Dataset, SampleRef
from heatnet.files import atomic_file
from heatnet.segmentation.checkpoint import Checkpoint, describe
from heatnet.segmentation.classes import CLASSES, class_ids
from heatnet.segmentation.evaluate import count_models, find_checkpoints, labelled_refs, spread, summarise_models
from heatnet.segmentation.figures import confusion_matrices, loss_curves, photograph, picture
from heatnet.segmentation.frames import Frame, read_frame
from heatnet.segmentation.inference import probabilities
from heatnet.segmentation.network import parameter_count
from heatnet.segmentation.run_log import read_metrics

TITLES = {"rgb_teacher": "RGB teacher", "thermal_teacher": "Thermal teacher", "heatnet": "HeatNet"}
_FRAMES = 4  # of each domain
_WIDTH = 352  # pixels of a picture


@dataclass(frozen=True)
class Panel:
    """Pictures of one frame, ready for the page, in the order of the table's head."""

    name: str
    pictures: tuple[str, ...]


def write_report(
    source: Path, dataset: Path, split: str, out: Path, classes: Sequence[str] | None = None
) -> dict[str, Any]:
    """Score a run or a checkpoint as `evaluate` does, write the page `out`, and return the scores.

    Raises what `evaluate` raises, and HeatNetError where the page cannot be written.
    """
    from jinja2 import Environment

    ids = class_ids(classes)
    data = Dataset.open(dataset)
    refs = labelled_refs(data, split)
    checkpoints = find_checkpoints(source)
    counts = count_models(checkpoints, data, refs)
    scores = summarise_models(counts, ids, split)
    template = (files("heatnet.segmentation") / "report.html").read_text()
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template)
    text = page.render(
        scores=scores,
        titles=TITLES,
        models=[_model(name, point) for name, point in checkpoints.items()],
        domains=[name for name in ("day", "night") if any(name in by_domain for by_domain in counts.values())],
        frames={name: sum(ref.domain == name for ref in refs) for name in ("day", "night")},
        dataset=dataset.resolve().name,
        main=list(checkpoints)[-1],
        curves=_curves(source, checkpoints),
        confusions=confusion_matrices(list(counts.values())[-1]),
        panels=_panels(data, refs, checkpoints),
        heads=["RGB", "thermal", *(TITLES[name] for name in checkpoints), "truth"],
        legend=[(name, _hexadecimal(index)) for index, name in enumerate((*CLASSES, "not labelled"))],
    )
    with atomic_file(out) as temporary:
        temporary.write_text(text)
    return scores


def _model(name: str, checkpoint: Checkpoint) -> dict[str, Any]:
    millions = parameter_count(checkpoint.build()) / 1e6
    return {"name": name, "network": describe(checkpoint.network), "millions": millions, "step": checkpoint.step}


def _curves(source: Path, checkpoints: Mapping[str, Checkpoint]) -> dict[str, str]:
    run = source if source.is_dir() else source.resolve().parent.parent
    lines = read_metrics(run)
    by_stage = {name: [line for line in lines if line["stage"] == name] for name in checkpoints}
    return {name: loss_curves(chosen) for name, chosen in by_stage.items() if chosen}


def _panels(data: Dataset, refs: Sequence[SampleRef], checkpoints: Mapping[str, Checkpoint]) -> dict[str, list[Panel]]:
    networks = [(point.build(), point.config.scale) for point in checkpoints.values()]
    panels: dict[str, list[Panel]] = {"day": [], "night": []}
    for ref in spread(refs, _FRAMES):
        frame = read_frame(data, ref)
        predictions = [probabilities(network, frame, scale).argmax(axis=0) for network, scale in networks]
        panels[ref.domain].append(Panel(f"{ref.sequence}, frame {ref.row}", _pictures(frame, predictions)))
    return panels


def _pictures(frame: Frame, predictions: Sequence[NDArray[np.integer]]) -> tuple[str, ...]:
    maps = [picture(_fit(coloured(label), cv2.INTER_NEAREST)) for label in (*predictions, frame.label)]
    return (
        photograph(_fit(frame.rgb, cv2.INTER_AREA)),
        photograph(_fit(thermal_picture(frame), cv2.INTER_AREA)),
        *maps,
    )


def thermal_picture(frame: Frame) -> NDArray[np.uint8]:
    """Thermal as grey levels (H, W, 3): its own 1st to 99th percentile, hot is bright, dark blue where not covered."""
    known = frame.thermal[frame.valid]
    low, high = np.percentile(known, [1, 99]) if known.size else (0.0, 1.0)
    grey = np.clip((frame.thermal - low) / max(high - low, 1e-6), 0, 1) * 255
    image = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    image[~frame.valid] = (20, 24, 48)
    return image


def _fit(image: NDArray[np.uint8], method: int) -> NDArray[np.uint8]:
    height = round(image.shape[0] * _WIDTH / image.shape[1])
    return cv2.resize(image, (_WIDTH, height), interpolation=method).astype(np.uint8)


def _hexadecimal(index: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*coloured(np.array(index)).tolist())
