"""Published segmentation networks as teachers, through the optional library `transformers`."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from heatnet.errors import TrainingError
from heatnet.segmentation.inference import inference
from heatnet.segmentation.label_sets import merging

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class HuggingFaceTeacher:
    """A network with per-pixel classes (SegFormer and others), or with masks (MaskFormer, Mask2Former)."""

    source: str
    network: Any
    processor: Any
    merge: Tensor  # (K, 14)

    def __call__(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """See Labeller. The probabilities of classes that are one of ours are added up."""
        inputs = self.processor(images=rgb, return_tensors="pt").to(self.merge.device)
        with inference(self.network):
            theirs = _probabilities(self.network(**inputs))
            theirs = _without_padding(theirs, inputs.get("pixel_mask"))
            ours = torch.einsum("khw,kc->chw", theirs, self.merge)
            grown = interpolate(ours[None], rgb.shape[:2], mode="bilinear", align_corners=False)[0]
        confidence, label = grown.max(dim=0)
        return label.cpu().numpy().astype(np.uint8), confidence.cpu().numpy()


def open_hugging_face(model: str) -> HuggingFaceTeacher:
    """Load a folder, or a model by its name: from the local cache, else from the Hugging Face hub.

    Weights must be safetensors; code that comes with a model is never run. Raises TrainingError where `transformers`
    is not installed, the model cannot be loaded, or its classes are not known here.
    """
    try:
        import transformers
    except ImportError as error:
        raise TrainingError(f"hf:{model} needs the library transformers: pip install 'heatnet[hf]'") from error
    transformers.utils.logging.set_verbosity_error()
    try:
        network, processor = _load(transformers, model)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrainingError(f"hf:{model}: cannot be loaded ({reason})") from error
    merge = torch.from_numpy(merging({int(k): str(v) for k, v in network.config.id2label.items()}, f"hf:{model}"))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = Path(model).name if Path(model).is_dir() else model
    teacher = HuggingFaceTeacher(f"{name}@{_digest(network)}", network.to(device), processor, merge.to(device))
    try:
        teacher(np.zeros((64, 64, 3), np.uint8))
    except (TypeError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrainingError(f"hf:{model}: does not label images as such ({reason})") from error
    return teacher


def _load(transformers: Any, model: str) -> tuple[Any, Any]:
    """Network and image processor; the hub is asked only where there is no local copy."""
    try:
        return _load_from(transformers, model, local=True)
    except OSError:
        if Path(model).exists():
            raise
        _LOG.warning("hf:%s: not on this machine; fetching it", model)
        return _load_from(transformers, model, local=False)


def _load_from(transformers: Any, model: str, local: bool) -> tuple[Any, Any]:
    safe = {"local_files_only": local, "trust_remote_code": False}
    config = transformers.AutoConfig.from_pretrained(model, **safe)
    per_pixel = type(config) in transformers.AutoModelForSemanticSegmentation._model_mapping
    kind = (
        transformers.AutoModelForSemanticSegmentation if per_pixel else transformers.AutoModelForUniversalSegmentation
    )
    network = kind.from_pretrained(model, **safe, use_safetensors=True)
    return network, transformers.AutoImageProcessor.from_pretrained(model, **safe)


def _probabilities(output: Any) -> Tensor:
    """Class probabilities (K, h, w) of one image; those of masks are weighted by their classes (Cheng et al. 2021)."""
    if getattr(output, "class_queries_logits", None) is None:
        return torch.softmax(output.logits[0].float(), dim=0)
    classes = torch.softmax(output.class_queries_logits[0].float(), dim=1)[:, :-1]  # the last is "no object"
    masks = output.masks_queries_logits[0].float().sigmoid()
    scores = torch.einsum("qk,qhw->khw", classes, masks)
    return scores / scores.sum(dim=0, keepdim=True).clamp_min(1e-6)


def _without_padding(values: Tensor, mask: Tensor | None) -> Tensor:
    """The part (K, h, w) that stands for the image: some processors pad it at the right and the bottom."""
    if mask is None or bool(mask.all()):
        return values
    rows, columns = mask[0].any(dim=1).float().mean(), mask[0].any(dim=0).float().mean()
    height, width = values.shape[-2:]
    return values[:, : round(height * float(rows)), : round(width * float(columns))]


def _digest(network: Any) -> str:
    """A few characters that differ where the weights do."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]
