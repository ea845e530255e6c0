"""One HTML file about a run: scores side by side, curves, confusions, and pictures of what each network sees."""

import logging
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
from heatnet.errors import TrainingError
from heatnet.files import atomic_file
from heatnet.segmentation.checkpoint import Checkpoint, describe, load_checkpoint
from heatnet.segmentation.classes import CLASSES, class_ids
from heatnet.segmentation.distributed import device
from heatnet.segmentation.evaluate import (
    count_models,
    find_checkpoints,
    frame_name,
    labelled_refs,
    spread,
    summarise_models,
    usual_views,
)
from heatnet.segmentation.features import area_features, project
from heatnet.segmentation.figures import (
    confusion_matrices,
    loss_curves,
    photograph,
    picture,
    projections,
    reliability_diagrams,
)
from heatnet.segmentation.frames import Frame, read_frame
from heatnet.segmentation.inference import Views, probabilities
from heatnet.segmentation.network import parameter_count
from heatnet.segmentation.run_log import read_metrics
from heatnet.segmentation.tally import Tally, ranked_frames

_FRAMES = 4  # of each domain
_FEATURE_FRAMES = 40  # of each domain
_WIDTH = 352  # pixels of a picture
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Panel:
    """Pictures of one frame, ready for the page, in the order of the table's head."""

    name: str
    pictures: tuple[str, ...]


def write_report(
    source: Path, dataset: Path, split: str, out: Path, classes: Sequence[str] | None = None, views: Views | None = None
) -> dict[str, Any]:
    """Score a run or a checkpoint as `evaluate` does, write the page `out`, and return the scores.

    Raises what `evaluate` raises, and HeatNetError where the page cannot be written.
    """
    from jinja2 import Environment

    ids = class_ids(classes)
    data = Dataset.open(dataset)
    refs = labelled_refs(data, split)
    checkpoints = find_checkpoints(source)
    counts = count_models(checkpoints, data, refs, ids, views)
    scores = summarise_models(counts, ids, split)
    main, titles = list(counts.values())[-1], {name: title(name, point) for name, point in checkpoints.items()}
    template = (files("heatnet.segmentation") / "report.html").read_text()
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template)
    text = page.render(
        scores=scores,
        titles=titles,
        models=[_model(name, point) for name, point in checkpoints.items()],
        domains=[name for name in ("day", "night") if any(name in by_domain for by_domain in counts.values())],
        frames={name: sum(ref.domain == name for ref in refs) for name in ("day", "night")},
        dataset=dataset.resolve().name,
        main=list(checkpoints)[-1],
        curves=_curves(source, checkpoints),
        confusions=confusion_matrices({domain: tally.confusion for domain, tally in main.items()}),
        reliabilities=reliability_diagrams({domain: tally.reliability for domain, tally in main.items()}),
        features=_features(source, data, split),
        panels=_panels(data, spread(refs, _FRAMES), checkpoints, views),
        extremes=_panels(data, _extreme_refs(main, refs), checkpoints, views),
        heads=["RGB", "thermal", *titles.values(), "truth"],
        legend=[(name, _hexadecimal(index)) for index, name in enumerate((*CLASSES, "not labelled"))],
    )
    with atomic_file(out) as temporary:
        temporary.write_text(text)
    return scores


def title(name: str, checkpoint: Checkpoint) -> str:
    """What a model of a run is called: a night teacher by what it sees."""
    if name == "thermal_teacher" and checkpoint.network.modalities != ("thermal",):
        return "Night teacher (RGB-T)" if "thermal" in checkpoint.network.modalities else "Night teacher (RGB)"
    return {"rgb_teacher": "RGB teacher", "thermal_teacher": "Thermal teacher"}.get(name, "HeatNet")


def _model(name: str, checkpoint: Checkpoint) -> dict[str, Any]:
    millions = parameter_count(checkpoint.build()) / 1e6
    return {"name": name, "network": describe(checkpoint.network), "millions": millions, "step": checkpoint.step}


def _curves(source: Path, checkpoints: Mapping[str, Checkpoint]) -> dict[str, str]:
    run = source if source.is_dir() else source.resolve().parent.parent
    lines = read_metrics(run)
    by_stage = {name: [line for line in lines if line["stage"] == name] for name in checkpoints}
    return {name: loss_curves(chosen) for name, chosen in by_stage.items() if chosen}


def _panels(
    data: Dataset, refs: Sequence[SampleRef], checkpoints: Mapping[str, Checkpoint], views: Views | None
) -> dict[str, list[Panel]]:
    networks = [
        (point.build().to(device()), point.config.scale, views or usual_views(point)) for point in checkpoints.values()
    ]
    panels: dict[str, list[Panel]] = {"day": [], "night": []}
    for ref in refs:
        frame = read_frame(data, ref)
        predictions = [probabilities(network, frame, scale, seen).argmax(axis=0) for network, scale, seen in networks]
        panels[ref.domain].append(Panel(frame_name(ref), _pictures(frame, predictions)))
    return panels


def _extreme_refs(tallies: Mapping[str, Tally], refs: Sequence[SampleRef]) -> list[SampleRef]:
    """The best two and the worst two frames of each domain, of few frames all, from best to worst."""
    chosen = []
    for tally in tallies.values():
        ranked = ranked_frames(tally)
        chosen += [refs[frame.place] for frame in (ranked if len(ranked) <= 4 else [*ranked[:2], *ranked[-2:]])]
    return chosen


def _features(source: Path, data: Dataset, split: str) -> str | None:
    """Where features lie before and after the critic; None for what had none, or where a domain is missing.

    So also where one of the two networks cannot be read: nothing else needs them, and a warning says so.
    """
    points = {"before the critic": source / "heatnet" / "stage1.pt", "after it": source / "heatnet" / "last.pt"}
    refs = [spread(data.refs(split=split, domain=domain), _FEATURE_FRAMES) for domain in ("day", "night")]
    if not all(path.is_file() for path in points.values()) or min(map(len, refs)) < 2:
        return None
    try:
        loaded = {title: load_checkpoint(path) for title, path in points.items()}
    except TrainingError as error:
        _log.warning("%s; the report goes without the features before and after the critic", error)
        return None
    planes = {
        title: project(*(area_features(point, data, chosen) for chosen in refs)) for title, point in loaded.items()
    }
    return projections(planes)


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
