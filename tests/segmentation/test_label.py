"""Who labels day frames: a checkpoint of ours, or a published network whose classes become ours."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from heatnet.cli import main
from heatnet.dataset_tools.manifest import Manifest, write_manifest
from heatnet.dataset_tools.shards import Dataset, Sample, ShardInfo, write_shard
from heatnet.errors import TrainingError
from heatnet.segmentation.build import build_network
from heatnet.segmentation.checkpoint import Checkpoint, save_checkpoint
from heatnet.segmentation.config import TrainConfig, laptop
from heatnet.segmentation.label import label_dataset, open_teacher
from heatnet.segmentation.label_sets import cityscapes_to_ours, merging, vistas_to_ours

CITYSCAPES = [
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
]  # fmt: skip
VISTAS = ["Bird", *(f"class {i}" for i in range(1, 13)), "Road", *(f"class {i}" for i in range(14, 65))]


def make_dataset(root: Path) -> Path:
    records = []
    for domain in ("day", "night"):
        rng = np.random.default_rng(len(domain))
        samples = [
            Sample(
                rng.integers(0, 256, (64, 96, 3)).astype(np.uint8),
                rng.integers(21800, 25000, (64, 96)).astype(np.uint16),
                np.ones((64, 96), np.uint8),
                None,
                1_565_258_400 * 10**9 + i * 10**9,
                1_565_258_400 * 10**9 + i * 10**9,
                30.0,
            )
            for i in range(2)
        ]
        records.append(write_shard(root, f"{domain}.h5", samples, ShardInfo("train", domain, "drive")))
    source = {"name": "drive", "key": "k", "shards": [r.name for r in records], "drops": {}}
    write_manifest(root, Manifest({"command": "test"}, provenance=(source,), shards=tuple(records)))
    return root


def make_checkpoint(path: Path, stage: str = "rgb-teacher") -> Path:
    torch.manual_seed(3)
    config: TrainConfig = laptop()
    network = build_network(config.network(stage))
    save_checkpoint(path, Checkpoint(stage, 1, network.config, network.state_dict(), config, {}, {}))
    return path


def test_a_checkpoint_of_ours_labels_by_day_only(tmp_path: Path) -> None:
    root, path = make_dataset(tmp_path / "d"), make_checkpoint(tmp_path / "best.pt")
    result = CliRunner().invoke(main, ["label", str(root), "--teacher", str(path), "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["frames"] == {"labelled": 2, "night, never touched": 2}
    assert summary["teacher"].startswith("teacher:rgb-teacher@")
    dataset = Dataset.open(root)
    assert dataset.refs(domain="night", labelled=True) == []
    teacher = open_teacher(str(path))
    for ref in dataset.refs(domain="day", labelled=True):
        sample = dataset.read(ref, check=True)
        label, confidence = teacher(sample.rgb)
        assert sample.label is not None and np.array_equal(sample.label, label) and label.max() < 13
        assert sample.confidence is not None and np.abs(sample.confidence / 255 - confidence).max() < 0.003


def test_a_teacher_that_needs_thermal_is_refused(tmp_path: Path) -> None:
    root, path = make_dataset(tmp_path / "d"), make_checkpoint(tmp_path / "best.pt", "thermal-teacher")
    result = CliRunner().invoke(main, ["label", str(root), "--teacher", str(path)])
    assert result.exit_code == 1 and "sees RGB alone is needed" in result.output
    with pytest.raises(TrainingError, match=r"nothing\.pt"):
        open_teacher(str(tmp_path / "nothing.pt"))


def test_vistas_and_cityscapes_become_our_classes() -> None:
    """The published table; the authors' slips (barrier as curb, bird as person, boat as car) are not taken over."""
    assert vistas_to_ours(np.array([13, 24, 15, 17, 2, 3, 47, 30, 29, 27, 20, 55, 57, 65])).tolist() == [
        0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13,
    ]  # fmt: skip
    assert vistas_to_ours(np.array([5, 0, 53])).tolist() == [12, 12, 12]
    assert np.bincount(vistas_to_ours(np.arange(66)), minlength=14).tolist() == [
        7, 3, 4, 2, 2, 7, 1, 5, 1, 4, 8, 2, 19, 1,
    ]  # fmt: skip
    assert cityscapes_to_ours(np.arange(19)).tolist() == [0, 1, 2, 2, 4, 5, 5, 5, 6, 7, 8, 9, 9, 10, 10, 10, 10, 11, 11]
    assert cityscapes_to_ours(np.array([255, 254])).tolist() == [13, 13]


def test_a_label_set_is_told_by_its_names() -> None:
    assert merging(dict(enumerate(CITYSCAPES)), "m").shape == (19, 14)
    assert merging(dict(enumerate(VISTAS)), "m").sum() == 65
    for names in ([f"LABEL_{i}" for i in range(19)], CITYSCAPES[:18], []):
        with pytest.raises(TrainingError, match=r"hf:x: .* are needed"):
            merging(dict(enumerate(names)), "hf:x")


def save_segformer(folder: Path, names: list[str]) -> Path:
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 1, 1], decoder_hidden_size=8,
        id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)},
    )  # fmt: skip
    torch.manual_seed(1)
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    transformers.SegformerImageProcessor(size={"height": 64, "width": 96}).save_pretrained(folder)
    return folder


def test_a_published_network_labels_with_our_classes(tmp_path: Path) -> None:
    """Adding up the probabilities of what is one class here is done before the largest is taken."""
    folder = save_segformer(tmp_path / "segformer", CITYSCAPES)
    root = make_dataset(tmp_path / "d")
    summary = label_dataset(root, f"hf:{folder}")
    assert summary["frames"]["labelled"] == 2 and summary["teacher"].startswith("teacher:segformer@")
    dataset = Dataset.open(root)
    sample = dataset.read(dataset.refs(labelled=True)[0], check=True)
    from transformers import SegformerForSemanticSegmentation, SegformerImageProcessor

    inputs = SegformerImageProcessor.from_pretrained(folder)(images=sample.rgb, return_tensors="pt")
    with torch.inference_mode():
        theirs = SegformerForSemanticSegmentation.from_pretrained(folder).eval()(**inputs).logits.softmax(1)
    ours = torch.zeros(14, *theirs.shape[2:])
    for i, own in enumerate(cityscapes_to_ours(np.arange(19))):
        ours[own] += theirs[0, i]
    grown = torch.nn.functional.interpolate(ours[None], (64, 96), mode="bilinear", align_corners=False)[0]
    assert sample.label is not None and (sample.label == grown.argmax(0).numpy()).mean() > 0.999
    assert sample.confidence is not None
    assert np.abs(sample.confidence / 255 - grown.max(0).values.numpy()).max() < 0.01


def test_a_network_of_masks_labels_too(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    backbone = transformers.SwinConfig(
        embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=16, num_queries=5,
        id2label=dict(enumerate(VISTAS)), label2id={name: i for i, name in enumerate(VISTAS)},
    )  # fmt: skip
    torch.manual_seed(2)
    folder = tmp_path / "mask2former"
    transformers.Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    processor = transformers.Mask2FormerImageProcessor(size={"shortest_edge": 64, "longest_edge": 128}, num_labels=65)
    processor.save_pretrained(folder)
    label, confidence = open_teacher(f"hf:{folder}")(np.full((64, 96, 3), 90, np.uint8))
    assert label.shape == confidence.shape == (64, 96) and label.max() <= 13
    assert confidence.min() > 0 and confidence.max() <= 1.001


@pytest.mark.parametrize("kind", ["nothing", "a file of its own", "pickled weights", "other classes"])
def test_a_model_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("transformers", reason="needs the extra hf")
    folder = tmp_path / "model"
    if kind in ("pickled weights", "other classes"):
        save_segformer(folder, CITYSCAPES if kind == "pickled weights" else ["cat", "dog"])
    if kind == "pickled weights":
        torch.save({}, folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    if kind == "a file of its own":
        folder.mkdir()
        (folder / "config.json").write_text("{")
    if kind == "nothing":
        folder.mkdir()
    with pytest.raises(TrainingError, match="hf:") as caught:
        open_teacher(f"hf:{folder}")
    assert "\n" not in str(caught.value)
