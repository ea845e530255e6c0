"""A network as one ONNX file that takes images as cameras give them: the normalisation is inside."""

import importlib.util
import json
import logging
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heatnet.errors import TrainingError
from heatnet.files import atomic_file
from heatnet.segmentation.checkpoint import Checkpoint, load_checkpoint
from heatnet.segmentation.classes import CLASSES
from heatnet.segmentation.frames import check_range
from heatnet.segmentation.network import STRIDE, Network

MOST_PIXELS = 1 << 25
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportConfig:
    """What the file expects; None: as the dataset had it that the network was trained on."""

    size: tuple[int, int] | None = None  # (H, W) of the images, multiples of 8
    thermal_range: tuple[float, float] | None = None  # counts at the ends of the scale


class Raw(nn.Module):
    """A network from raw images to logits.

    rgb (B, 3, H, W) uint8; thermal (B, 1, H, W) float32 counts; valid (B, 1, H, W) uint8, 0 where thermal does not
    cover; to logits (B, 13, H, W) float32. The inputs are those of the network's modalities, in this order.
    """

    def __init__(self, network: Network, thermal_range: tuple[float, float]) -> None:
        super().__init__()
        self.network = network
        self.low, self.high = thermal_range

    def forward(self, *images: Tensor) -> Tensor:
        """Logits of the images."""
        given = dict(zip(input_names(self.network), images, strict=True))
        first = images[0]
        shape = (first.shape[0], 1, *first.shape[-2:])
        rgb, thermal = torch.zeros(shape).expand(-1, 3, -1, -1), torch.zeros(shape)
        if "rgb" in given:
            rgb = given["rgb"].float() * (2 / 255) - 1
        if "thermal" in given:
            scaled = (given["thermal"] - (self.low + self.high) / 2) * (2 / max(self.high - self.low, 1e-6))
            thermal = torch.where(given["valid"] > 0, scaled.clamp(-1, 1), 0.0)
        return self.network(rgb, thermal).logits


def input_names(network: Network) -> tuple[str, ...]:
    """The inputs of the file."""
    known = {"rgb": ("rgb",), "thermal": ("thermal", "valid")}
    return tuple(name for modality in network.config.modalities for name in known[modality])


def export(checkpoint: Path, out: Path, config: ExportConfig | None = None) -> dict[str, Any]:
    """Write `out` (ONNX) from a checkpoint and say how it agrees with the network on random images.

    Raises TrainingError where the size or thermal range is neither given nor known, or a library is missing.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise TrainingError(f"{' and '.join(missing)}: not installed; run: pip install 'heatnet[onnx]'")
    point = load_checkpoint(checkpoint)
    size, thermal_range = _expected(checkpoint, point, config or ExportConfig())
    raw = Raw(point.build(), thermal_range).eval()
    images = random_images(raw, size)
    with atomic_file(out) as temporary:
        _write(raw, images, temporary, point)
    agreement = compare(raw, images, out)
    return {"out": str(out), "inputs": list(input_names(raw.network)), "size": list(size), **agreement}


def _expected(checkpoint: Path, point: Checkpoint, config: ExportConfig) -> tuple[tuple[int, int], tuple[float, float]]:
    """Size and thermal range. A dataset's frames are seen at the run's scale, beyond their border up to a multiple."""
    known = point.dataset
    if (config.size is None or config.thermal_range is None) and not known:
        raise TrainingError(f"{checkpoint}: does not say what it was trained on; --size and --thermal-range are needed")
    scaled = (max(1, round(length * point.config.scale)) for length in known.get("size", ()))
    size = config.size or tuple(-(-length // STRIDE) * STRIDE for length in scaled)
    if len(size) != 2 or any(length < STRIDE or length % STRIDE for length in size):
        raise TrainingError(f"size {size}: height and width, multiples of {STRIDE}, are needed")
    if size[0] * size[1] > MOST_PIXELS:
        raise TrainingError(f"size {size}: {MOST_PIXELS} pixels at most are possible")
    low, high = config.thermal_range or known.get("thermal_range", (math.nan, math.nan))
    check_range((low, high))
    return (size[0], size[1]), (float(low), float(high))


def random_images(raw: Raw, size: tuple[int, int]) -> tuple[Tensor, ...]:
    """Smooth random images of every input."""
    torch.manual_seed(0)

    def smooth(channels: int) -> Tensor:
        coarse = torch.rand(1, channels, size[0] // 8 + 2, size[1] // 8 + 2)
        return torch.nn.functional.interpolate(coarse, size, mode="bilinear")

    made = {
        "rgb": (smooth(3) * 255).to(torch.uint8),
        "thermal": (raw.low + (raw.high - raw.low) * smooth(1)).round(),
        "valid": (smooth(1) > 0.3).to(torch.uint8),
    }
    return tuple(made[name] for name in input_names(raw.network))


def _write(raw: Raw, images: tuple[Tensor, ...], path: Path, point: Checkpoint) -> None:
    import onnx

    names = input_names(raw.network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            raw, images, dynamo=True, verbose=False, input_names=list(names), output_names=["logits"]
        )
    assert program is not None
    model = program.model_proto
    notes = {
        "classes": CLASSES,
        "thermal_range": [raw.low, raw.high],
        "scale": point.config.scale,
        "stage": point.stage,
    }
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in notes.items()})
    onnx.save(model, str(path))


def compare(raw: Raw, images: tuple[Tensor, ...], path: Path) -> dict[str, Any]:
    """How far ONNX runtime's logits are from the network's: largest difference by their range, and equal classes."""
    if importlib.util.find_spec("onnxruntime") is None:
        _log.warning("%s: not compared with the network (onnxruntime is not installed)", path)
        return {"difference": None, "same_class": None}
    with torch.inference_mode():
        own = raw(*images).numpy()
    other = run_onnx(path, dict(zip(input_names(raw.network), (image.numpy() for image in images), strict=True)))
    difference = float(np.abs(own - other).max() / np.ptp(own))
    return {"difference": difference, "same_class": float((own.argmax(1) == other.argmax(1)).mean())}


def run_onnx(path: Path, images: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """The logits (B, 13, H, W) that ONNX runtime makes of raw images."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, images)[0]
