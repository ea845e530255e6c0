"""What makes unlabelled nights teach more: frames mixed, hidden in part, and labelled by the student's own average."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from heatnet.segmentation.classes import CLASS_COUNT, IGNORE, MOVING
from heatnet.segmentation.data import Frames
from heatnet.segmentation.inference import at_rest
from heatnet.segmentation.network import Network
from heatnet.segmentation.settings import AdaptConfig

_BLACK = -1.0


def labelled_by(network: Network, frames: Frames) -> Frames:
    """The frames with the most probable class of a network and its probability; it stands still meanwhile.

    With a certainty branch the confidence is what that says. Where a network of thermal alone has no thermal there is
    no label, of confidence 0.
    """
    with at_rest(network):
        maps = network(frames.rgb, frames.thermal)
    confidence, label = torch.softmax(maps.logits.float(), dim=1).max(dim=1)
    if maps.error is not None:
        confidence = 1 - maps.error.float()
    if network.config.modalities == ("thermal",):
        label, confidence = torch.where(frames.valid, label, IGNORE), confidence * frames.valid
    return replace(frames, label=label, confidence=confidence)


def surer(one: Frames, other: Frames) -> Frames:
    """`one` with the labels of `other` wherever those are surer."""
    better = other.confidence > one.confidence
    label = torch.where(better, other.label, one.label)
    return replace(one, label=label, confidence=torch.where(better, other.confidence, one.confidence))


def only_sure(frames: Frames, threshold: float) -> Frames:
    """The frames without their labels of a confidence below `threshold`."""
    return replace(frames, label=torch.where(frames.confidence < threshold, IGNORE, frames.label))


def class_mix(day: Frames, night: Frames, pasted: Tensor) -> Frames:
    """Night frames with all that `pasted` (B, H, W) takes from the day frame of the same row: images and labels."""
    wide = pasted[:, None]
    return Frames(
        rgb=torch.where(wide, day.rgb, night.rgb),
        thermal=torch.where(wide, day.thermal, night.thermal),
        valid=torch.where(pasted, day.valid, night.valid),
        label=torch.where(pasted, day.label, night.label),
        confidence=torch.where(pasted, day.confidence, night.confidence),
    )


def draw_objects(label: Tensor, probability: float) -> Tensor:
    """Pixels (B, H, W) of all that moves by itself, of none in 1 - `probability` of the frames."""
    some = (torch.rand(len(label)) < probability).to(label.device)
    return torch.isin(label, torch.tensor(MOVING, device=label.device)) & some[:, None, None]


def dimmed(day: Frames, night: Frames) -> Frames:
    """The day frames with RGB as dark as the night frame of the same row is in the mean; never brighter than it was."""
    light = [((frames.rgb + 1) / 2).mean(dim=(1, 2, 3), keepdim=True) for frames in (day, night)]
    gain = (light[1] / light[0].clamp_min(1e-6)).clamp_max(1)
    return replace(day, rgb=(day.rgb + 1) * gain - 1)


def draw_classes(label: Tensor, probability: float) -> Tensor:
    """Pixels (B, H, W) of a random half of the classes of each frame, of none in 1 - `probability` of the frames."""
    rows = []
    for frame in label:
        present = torch.bincount(frame.flatten(), minlength=CLASS_COUNT + 1)[:CLASS_COUNT].nonzero().flatten().cpu()
        chosen = present[torch.randperm(len(present))[: (len(present) + 1) // 2]]
        kept = chosen if float(torch.rand(())) < probability else chosen[:0]
        rows.append(torch.isin(frame, kept.to(frame.device)))
    return torch.stack(rows)


def draw_patches(frames: Frames, share: float, patch: int) -> Tensor:
    """A random `share` of the square patches of each frame, as pixels (B, H, W)."""
    count, height, width = frames.label.shape
    coarse = (torch.rand(count, 1, -(-height // patch), -(-width // patch)) < share).float()
    grown = interpolate(coarse, scale_factor=patch, mode="nearest")[:, 0, :height, :width]
    return grown.bool().to(frames.label.device)


def hidden(frames: Frames, rgb: Tensor, thermal: Tensor) -> Frames:
    """The frames without RGB and without thermal where the masks (B, H, W) say; their labels stay."""
    return replace(
        frames,
        rgb=torch.where(rgb[:, None], _BLACK, frames.rgb),
        thermal=torch.where(thermal[:, None], 0.0, frames.thermal),
        valid=frames.valid & ~thermal,
    )


def complementary(frames: Frames, config: AdaptConfig) -> Frames:
    """Some frames with each patch in either RGB or thermal alone."""
    patches = draw_patches(frames, 0.5, config.mask_patch)
    some = (torch.rand(len(patches)) < config.complementary_mask).to(patches.device)[:, None, None]
    return hidden(frames, patches & some, ~patches & some)


def hidden_in_both(frames: Frames, config: AdaptConfig) -> Frames:
    """Frames of which a share of the patches is hidden altogether."""
    patches = draw_patches(frames, config.mask_share, config.mask_patch)
    return hidden(frames, patches, patches)
