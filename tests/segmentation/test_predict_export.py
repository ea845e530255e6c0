"""Predictions for datasets and folders, and networks as ONNX files."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from segmentation_toys import tiny, toy_sample

from heatnet.cli import main
from heatnet.dataset_tools.build import BuildConfig
from heatnet.dataset_tools.shards import Dataset
from heatnet.errors import DatasetError, HeatNetError, TrainingError
from heatnet.segmentation.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from heatnet.segmentation.export import ExportConfig, Raw, export, run_onnx
from heatnet.segmentation.frames import normalise_rgb, normalise_thermal, read_frame
from heatnet.segmentation.image_folder import open_folder
from heatnet.segmentation.inference import SIX, answer, probabilities
from heatnet.segmentation.network import NetworkConfig
from heatnet.segmentation.predict import PredictConfig, overlay, predict, predict_recording
from heatnet.segmentation.pspnet import PSPNet


def test_a_dataset_is_labelled_as_eval_sees_it(toy_run: Path, toy_dataset: Path, tmp_path: Path) -> None:
    best = toy_run / "heatnet" / "best.pt"
    summary = predict(best, toy_dataset, tmp_path / "out", PredictConfig(split="val"))
    assert summary["frames"] == 8 and sum(summary["classes"].values()) == pytest.approx(1, abs=1e-4)
    assert set(summary["ms_per_frame"]) == {"reading", "network", "writing"} and summary["frames_per_second"] > 0
    data = Dataset.open(toy_dataset)
    ref = data.refs(split="val", domain="night")[1]
    point = load_checkpoint(best)
    expected = probabilities(point.build(), read_frame(data, ref), point.config.scale).argmax(axis=0)
    name = f"val_night_{ref.shard:05d}_{ref.row:05d}"
    label = cv2.imread(str(tmp_path / "out" / "labels" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(label, expected)
    picture = cv2.imread(str(tmp_path / "out" / "overlays" / f"{name}.jpg"))
    assert picture is not None and picture.shape == (*expected.shape, 3)


def image_folder(root: Path, count: int = 2, bits: int = 16) -> Path:
    rng = np.random.default_rng(0)
    for kind in ("rgb", "thermal"):
        (root / kind).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        sample = toy_sample(rng, night=False)
        cv2.imwrite(str(root / "rgb" / f"{number:03d}.jpg"), cv2.cvtColor(sample.rgb, cv2.COLOR_RGB2BGR))
        counts = sample.thermal if bits == 16 else ((sample.thermal.astype(int) - 21800) // 16).clip(0, 255)
        cv2.imwrite(str(root / "thermal" / f"{number:03d}.png"), counts.astype(np.uint16 if bits == 16 else np.uint8))
    return root


@pytest.mark.parametrize("bits", [8, 16])
def test_a_folder_of_images_is_labelled(toy_run: Path, tmp_path: Path, bits: int) -> None:
    folder = image_folder(tmp_path / "images", bits=bits)
    assert predict(toy_run / "heatnet" / "best.pt", folder, tmp_path / "out")["frames"] == 2
    assert sorted(path.name for path in (tmp_path / "out" / "labels").iterdir()) == ["000.png", "001.png"]
    (tmp_path / "out" / "labels" / "000.png").unlink()
    predict(toy_run / "rgb_teacher" / "best.pt", folder, tmp_path / "rgb", PredictConfig(overlays=False))
    assert not (tmp_path / "rgb" / "overlays").exists()


def test_what_cannot_be_labelled_is_named(toy_run: Path, tmp_path: Path) -> None:
    best, folder = toy_run / "heatnet" / "best.pt", image_folder(tmp_path / "images")
    with pytest.raises(TrainingError, match="no such dataset or folder"):
        predict(best, tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(DatasetError, match="rgb/ and thermal/"):
        predict(best, tmp_path, tmp_path / "out")
    cv2.imwrite(str(folder / "thermal" / "001.png"), np.full((10, 12), 23000, np.uint16))
    with pytest.raises(DatasetError, match=r"001\.png: 12x10 pixels; 96x64"):
        predict(best, folder, tmp_path / "out")
    cv2.imwrite(str(folder / "thermal" / "001.png"), np.full((64, 96), 30, np.uint8))
    with pytest.raises(DatasetError, match=r"001\.png: uint8 counts; uint16 as the others"):
        predict(best, folder, tmp_path / "out")
    cv2.imwrite(str(folder / "thermal" / "000.tiff"), np.full((64, 96), np.nan, np.float32))
    (folder / "thermal" / "000.png").unlink()
    with pytest.raises(DatasetError, match=r"000\.tiff.*float32.*8 or 16 bits is needed"):
        predict(best, folder, tmp_path / "out")


def test_thermal_images_of_a_folder_are_scaled_alike_whatever_each_shows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One image is warm, one cold: what is 23000 counts in one is the same value in the other."""
    folder = image_folder(tmp_path / "images")
    for name, counts in (("000", [22900, 23000]), ("001", [23000, 24900])):
        image = np.repeat(np.array(counts, np.uint16), 48)[None].repeat(64, axis=0)
        cv2.imwrite(str(folder / "thermal" / f"{name}.png"), image)

    def shared(given: tuple[float, float] | None, trained: list[float] | None) -> tuple[float, float, float]:
        opened = open_folder(folder, ("rgb", "thermal"), given, trained)
        first, second = (frame.thermal for _, frame in opened.read())
        assert opened.scale is not None and first[0, 95] == second[0, 0]
        return (*opened.scale.thermal_range, float(first[0, 95]))

    assert shared(None, None) == pytest.approx((21800, 25000, -0.25))
    assert shared(None, [22000, 24000]) == pytest.approx((22000, 24000, 0.0))
    assert shared((23000, 26000), [22000, 24000]) == pytest.approx((23000, 26000, -1.0))
    assert shared(None, [0, 255]) == pytest.approx((21800, 25000, -0.25))  # trained on another kind of camera
    for name, counts in (("000", [300, 500]), ("001", [500, 700])):
        image = np.repeat(np.array(counts, np.uint16), 48)[None].repeat(64, axis=0)
        cv2.imwrite(str(folder / "thermal" / f"{name}.png"), image)
    assert shared(None, None)[:2] == (300, 710)
    assert "--thermal-range says better" in caplog.text


def test_over_darkness_the_overlay_shows_thermal(toy_dataset: Path) -> None:
    data = Dataset.open(toy_dataset)
    frame = read_frame(data, data.refs(domain="night")[0])
    frame.rgb[:] = 0
    label = np.zeros(frame.label.shape, np.uint8)
    assert overlay(frame, label)[frame.valid].std() > 3


def altered(root: Path, change: Callable[[h5py.File], None]) -> None:
    """Change a shard as a program of somebody else might, with the manifest none the wiser but for its size."""
    data = Dataset.open(root)
    path = data.path(data.manifest.shards[0])
    with h5py.File(path, "r+") as file:
        change(file)
    size = data.manifest.shards[0].bytes
    content = path.read_bytes()
    path.write_bytes(content[:size] if len(content) > size else content.ljust(size, b"\0"))


def without_thermal(file: h5py.File) -> None:
    del file["thermal"]


def nan_in_thermal(file: h5py.File) -> None:
    shape = file["thermal"].shape
    del file["thermal"]
    file.create_dataset("thermal", data=np.full(shape, np.nan, np.float32), chunks=(1, *shape[1:]))


@pytest.mark.parametrize("change", [without_thermal, nan_in_thermal])
def test_a_shard_without_thermal_or_with_nan_in_it_is_one_clear_message(
    make_dataset: Callable[..., Path], tmp_path: Path, change: Callable[[h5py.File], None]
) -> None:
    root = make_dataset(("train", "day", 2, "hand"), ("train", "night", 2, None))
    altered(root, change)
    done = CliRunner().invoke(main, ["train", str(root), "-o", str(tmp_path / "run"), "--preset", "laptop"])
    assert done.exit_code == 1
    assert "not a shard as the manifest describes it" in done.output and "Traceback" not in done.output
    assert len(done.output.strip().splitlines()) == 1


def other_pixel(file: h5py.File) -> None:
    file["rgb"][1, 0, 0, 0] ^= 64


def test_scores_and_predictions_are_not_made_of_altered_samples(
    toy_run: Path, make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    root, best = make_dataset(("val", "day", 2, "hand")), toy_run / "heatnet" / "best.pt"
    altered(root, other_pixel)
    for command in (["eval", str(best), str(root)], ["predict", str(best), str(root), "-o", str(tmp_path / "out")]):
        done = CliRunner().invoke(main, [*command, "--split", "val"])
        assert done.exit_code == 1 and "val_day_0.h5" in done.output and "sample 1" in done.output, done.output


def untrained(path: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    network = PSPNet(NetworkConfig(width=0.1, steps=1, **changes))
    told = {"name": "toy", "sha256": "0" * 64, "size": [60, 90], "thermal_range": [21800.0, 25000.0]}
    save_checkpoint(path, Checkpoint("heatnet", 1, network.config, network.state_dict(), tiny(), {}, {}, told))
    return path


@pytest.mark.parametrize("modalities", [("rgb", "thermal"), pytest.param(("thermal",), marks=pytest.mark.slow)])
def test_onnx_agrees_with_the_network_on_raw_images(tmp_path: Path, modalities: tuple[str, ...]) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")
    pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
    checkpoint = untrained(tmp_path / "best.pt", modalities=modalities, standardise=True)
    summary = export(checkpoint, tmp_path / "model.onnx")
    assert summary["size"] == [64, 96] and summary["difference"] < 1e-3 and summary["same_class"] > 0.999
    sample = toy_sample(np.random.default_rng(3), night=False)
    network = load_checkpoint(checkpoint).build()
    thermal = normalise_thermal(sample.thermal, sample.valid, (21800.0, 25000.0))
    rgb = torch.from_numpy(normalise_rgb(sample.rgb)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        own = network(rgb, torch.from_numpy(thermal)[None, None]).logits.numpy()
    raw = {
        "rgb": sample.rgb.transpose(2, 0, 1)[None],
        "thermal": sample.thermal.astype(np.float32)[None, None],
        "valid": sample.valid[None, None],
    }
    other = run_onnx(tmp_path / "model.onnx", {name: raw[name] for name in summary["inputs"]})
    assert np.abs(own - other).max() < 1e-3 * np.ptp(own)
    assert (own.argmax(1) == other.argmax(1)).mean() > 0.999


def test_raw_images_are_normalised_as_in_training() -> None:
    torch.manual_seed(0)
    network = PSPNet(NetworkConfig(width=0.05, steps=1)).eval()
    sample = toy_sample(np.random.default_rng(0), night=False)
    thermal = normalise_thermal(sample.thermal, sample.valid, (21800.0, 25000.0))
    rgb = torch.from_numpy(normalise_rgb(sample.rgb)).permute(2, 0, 1)[None]
    images = (
        torch.from_numpy(sample.rgb).permute(2, 0, 1)[None],
        torch.from_numpy(sample.thermal.astype(np.float32))[None, None],
        torch.from_numpy(sample.valid)[None, None],
    )
    with torch.inference_mode():
        own = network(rgb, torch.from_numpy(thermal)[None, None]).logits
        assert torch.allclose(Raw(network, (21800.0, 25000.0))(*images), own, atol=1e-4)


def test_an_export_that_lacks_what_it_must_know_says_so(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")
    network = PSPNet(NetworkConfig(width=0.05, steps=1))
    point = Checkpoint("heatnet", 1, network.config, network.state_dict(), tiny(), {}, {})
    save_checkpoint(tmp_path / "best.pt", point)
    with pytest.raises(TrainingError, match="--size and --thermal-range are needed"):
        export(tmp_path / "best.pt", tmp_path / "model.onnx")
    with pytest.raises(TrainingError, match="multiples of 8"):
        export(tmp_path / "best.pt", tmp_path / "model.onnx", ExportConfig((60, 90), (0, 1)))
    with pytest.raises(TrainingError, match=r"size \(8000000, 8000000\): 33554432 pixels at most"):
        export(tmp_path / "best.pt", tmp_path / "model.onnx", ExportConfig((8000000, 8000000), (0, 1)))
    with pytest.raises(HeatNetError, match="nowhere"):
        export(tmp_path / "nowhere.pt", tmp_path / "model.onnx")


@pytest.fixture
def built(toy_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, BuildConfig]]:
    """Where datasets were built and how: of any recording, a copy of the toys."""
    made: list[tuple[Path, BuildConfig]] = []

    def build(recordings: list[Path], calibration: Path, output: Path, config: BuildConfig) -> None:
        made.append((output, config))
        shutil.copytree(toy_dataset, output, dirs_exist_ok=True)

    monkeypatch.setattr("heatnet.dataset_tools.build.build_dataset", build)
    return made


@pytest.mark.parametrize("limits", [("5", "5"), ("nan", "5"), ("nan", "nan"), ("9", "1"), ("0", "inf")])
def test_a_thermal_range_that_is_none_is_refused(
    toy_run: Path, tmp_path: Path, built: list[object], limits: tuple[str, str]
) -> None:
    best, option = str(toy_run / "heatnet" / "best.pt"), ["--thermal-range", *limits]
    (tmp_path / "night.bag").write_bytes(b"night")
    recording = [str(tmp_path / "night.bag"), "--calibration", "rig.yaml"]
    commands = [["predict", best, str(image_folder(tmp_path / "images"))], ["predict", best, *recording]]
    commands += [["export", best]] if importlib.util.find_spec("onnxscript") else []
    for command in commands:
        done = CliRunner().invoke(main, [*command, "-o", str(tmp_path / "out"), *option])
        assert done.exit_code == 1 and f"thermal range {limits[0]} {limits[1]}: two finite" in done.output, done.output
    assert not built and not (tmp_path / "out").exists()


def test_options_that_would_be_ignored_are_refused(
    toy_run: Path, toy_dataset: Path, tmp_path: Path, built: list[object]
) -> None:
    best, out = str(toy_run / "heatnet" / "best.pt"), str(tmp_path / "out")
    folder, dataset = str(image_folder(tmp_path / "images")), str(toy_dataset)
    (tmp_path / "night.bag").write_bytes(b"night")
    recording = str(tmp_path / "night.bag")
    for arguments, message in (
        (["predict", best, folder, "-o", out, "--split", "val"], "--split is of a dataset"),
        (["predict", best, recording, "-o", out, "--calibration", "r", "--split", "val"], "--split is of a dataset"),
        (["predict", best, dataset, "-o", out, "--thermal-range", "1", "2"], "--thermal-range is of a folder"),
        (["inspect", recording, "--sheet", out], "of a dataset"),
        (["inspect", recording, "--figures", out], "of a dataset"),
        (["train", dataset, "-o", out, "--modalities", ""], "modalities ''"),
        (["eval", best, dataset, "--split", "val", "--classes", ""], "classes none: not scored"),
    ):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code in (1, 2) and message in done.output, done.output
    assert not built and not (tmp_path / "out").exists()


def test_the_commands_print_their_summaries(toy_run: Path, toy_dataset: Path, tmp_path: Path) -> None:
    best = str(toy_run / "heatnet" / "best.pt")
    arguments = ["predict", best, str(toy_dataset), "-o", str(tmp_path / "out"), "--split", "val", "--no-overlays"]
    done = CliRunner().invoke(main, [*arguments, "--json"])
    assert done.exit_code == 0 and json.loads(done.output)["frames"] == 8
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0 and "8 frames" in done.output and "sky" in done.output
    several = ["eval", str(toy_run), best, str(toy_dataset), "--split", "val"]
    done = CliRunner().invoke(main, [*several, "--json"])
    assert done.exit_code == 0 and json.loads(done.output)["summary"]["heatnet"]["day"]["runs"] == 2
    assert "±" in CliRunner().invoke(main, several).output
    assert CliRunner().invoke(main, [*several, "--report", "r.html"]).exit_code == 2
    assert CliRunner().invoke(main, [*arguments, "--domain", "night"]).exit_code == 2


def test_views_reach_eval_and_predict(
    toy_run: Path, toy_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    for module in ("evaluate", "predict"):
        monkeypatch.setattr(
            f"heatnet.segmentation.{module}.answer", lambda *given: looked.append(given[3]) or answer(*given)
        )
    best, split = str(toy_run / "heatnet" / "best.pt"), ["--split", "val", "--views"]
    for arguments in (
        ["eval", best, str(toy_dataset)],
        ["eval", best, str(toy_run), str(toy_dataset)],
        ["eval", best, str(toy_dataset), "--report", str(tmp_path / "r.html")],
        ["predict", best, str(toy_dataset), "-o", str(tmp_path / "out")],
    ):
        looked.clear()
        done = CliRunner().invoke(main, [*arguments, *split])
        assert done.exit_code == 0, done.output
        assert looked and set(looked) == {SIX}


@pytest.mark.parametrize("domain", ["day", "night", None])
def test_a_recording_without_gnss_is_of_the_domain_that_is_said(
    toy_run: Path, tmp_path: Path, built: list[tuple[Path, BuildConfig]], domain: str | None
) -> None:
    (tmp_path / "night.bag").write_bytes(b"night")
    recording = [str(tmp_path / "night.bag"), "--calibration", "rig.yaml"]
    arguments = ["predict", str(toy_run / "heatnet" / "best.pt"), *recording]
    option = ["--domain", domain] if domain else []
    done = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "out"), *option, "--no-overlays"])
    assert done.exit_code == 0, done.output
    assert [config.domain for _, config in built] == [domain]


def test_recordings_predicted_into_one_folder_do_not_mix(
    toy_run: Path, tmp_path: Path, built: list[tuple[Path, BuildConfig]]
) -> None:
    """Not even where their files are named alike; the same one again has the same dataset and names."""
    best, out, seen = toy_run / "heatnet" / "best.pt", tmp_path / "out", []
    for content in (b"one", b"other", b"one"):
        recording = tmp_path / "a b.bag"
        recording.write_bytes(content)
        config = PredictConfig(overlays=False)
        assert predict_recording(best, recording, Path("rig.yaml"), out, "night", config)["frames"] == 32
        seen.append({path.name for path in (out / "labels").iterdir()})
    datasets = [output for output, _ in built]
    assert datasets[0] == datasets[2] != datasets[1] and datasets[0].parent == out / "datasets"
    assert len(seen[0]) == 32 and len(seen[1]) == 64 and seen[1] == seen[2]
    assert all(name.startswith(f"{datasets[0].name}_") for name in seen[0]) and datasets[0].name.startswith("a-b-")


def test_a_broken_checkpoint_is_told_before_the_recording_is_built(tmp_path: Path, built: list[object]) -> None:
    for name in ("night.bag", "broken.pt"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(TrainingError, match=r"broken\.pt"):
        predict_recording(tmp_path / "broken.pt", tmp_path / "night.bag", Path("rig.yaml"), tmp_path / "out", "night")
    assert not built


def test_a_recording_without_its_calibration_is_told_what_it_needs(toy_run: Path, tmp_path: Path) -> None:
    (tmp_path / "night.bag").write_bytes(b"night")
    with pytest.raises(TrainingError, match=r"night\.bag: a file.*--calibration"):
        predict(toy_run / "heatnet" / "best.pt", tmp_path / "night.bag", tmp_path / "out")
