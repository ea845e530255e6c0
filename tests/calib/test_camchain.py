"""Rig files: what is written reads the same, what is unknown stays, and each mistake has one message."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from heatnet.calib.camchain import read_rig, write_rig
from heatnet.calib.rig import Rig
from heatnet.calib.rigid import rotation_exp
from heatnet.errors import RigError


def chain_document() -> dict:
    def camera(topic: str, resolution: list[int], focal: float) -> dict:
        return {
            "camera_model": "pinhole",
            "intrinsics": [focal, focal, resolution[0] / 2, resolution[1] / 2],
            "distortion_model": "radtan",
            "distortion_coeffs": [-0.2, 0.05, 0.001, 0.0],
            "resolution": resolution,
            "rostopic": topic,
            "timeshift_cam_imu": 0.012,
        }

    document = {
        "cam0": camera("/rgb_left", [1920, 650], 1000.0),
        "cam1": camera("/rgb_right", [1920, 650], 1001.0),
        "cam2": camera("/ir_left", [640, 512], 480.0),
        "lidar0": {"rostopic": "/points", "T_cam0_lidar": transform([0.0, 0.1, 0.2], [0.1, 0.2, 0.3])},
    }
    document["cam1"]["T_cn_cnm1"] = transform([0.01, 0.02, -0.01], [-0.5, 0.0, 0.0])
    document["cam2"]["T_cn_cnm1"] = transform([-0.03, 0.01, 0.02], [0.43, 0.0, 0.0])
    return document


def transform(turn: list[float], shift: list[float]) -> list[list[float]]:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation_exp(np.array(turn)), shift
    return matrix.tolist()


def written(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "chain.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def test_a_chain_is_composed_from_camera_to_camera(tmp_path: Path) -> None:
    document = chain_document()
    rig = read_rig(written(tmp_path, document))
    expected = np.array(document["cam2"]["T_cn_cnm1"]) @ np.array(document["cam1"]["T_cn_cnm1"])
    assert np.allclose(rig["cam2"].cam_from_cam0.matrix, expected)
    assert [c.name for c in rig.thermal] == ["cam2"]
    assert rig.rgb_left.name == "cam0"


def test_a_rig_written_and_read_is_the_same_and_keeps_unknown_keys(tmp_path: Path) -> None:
    document = chain_document()
    write_rig(tmp_path / "again.yaml", read_rig(written(tmp_path, document)))
    assert yaml.safe_load((tmp_path / "again.yaml").read_text()) == document


def test_a_changed_camera_moves_neither_its_neighbours_nor_the_lidar(tmp_path: Path) -> None:
    rig = read_rig(written(tmp_path, chain_document()))
    middle = rig["cam1"]
    turned = replace(middle.cam_from_cam0, rotation=rotation_exp(np.array([0, 0.1, 0])))
    write_rig(tmp_path / "again.yaml", rig.with_camera(replace(middle, cam_from_cam0=turned)))
    again = read_rig(tmp_path / "again.yaml")
    assert np.allclose(again["cam1"].cam_from_cam0.matrix, turned.matrix)
    assert np.allclose(again["cam2"].cam_from_cam0.matrix, rig["cam2"].cam_from_cam0.matrix)
    assert again.lidar is not None
    assert rig.lidar is not None
    assert np.allclose(again.lidar.cam0_from_lidar.matrix, rig.lidar.cam0_from_lidar.matrix)


@pytest.mark.parametrize("digits", [3, 6, 9])
def test_cameras_that_were_not_calibrated_come_out_with_the_digits_they_came_in_with(
    tmp_path: Path, digits: int
) -> None:
    document = chain_document()
    for block, key in (("cam1", "T_cn_cnm1"), ("cam2", "T_cn_cnm1"), ("lidar0", "T_cam0_lidar")):
        document[block][key] = np.round(document[block][key], digits).tolist()
    rig = read_rig(written(tmp_path, document))
    warm = rig["cam2"]
    turned = replace(warm.cam_from_cam0, rotation=rotation_exp(np.array([0, 0.01, 0])) @ warm.cam_from_cam0.rotation)
    write_rig(tmp_path / "again.yaml", rig.with_camera(replace(warm, cam_from_cam0=turned)))
    again = yaml.safe_load((tmp_path / "again.yaml").read_text())
    assert {**again, "cam2": None} == {**document, "cam2": None}
    assert np.allclose(read_rig(tmp_path / "again.yaml")["cam2"].cam_from_cam0.matrix, turned.matrix, atol=1e-9)


def test_a_topic_named_thermal_by_the_user_counts(tmp_path: Path) -> None:
    rig: Rig = read_rig(written(tmp_path, chain_document()), ["/rgb_right"])
    assert [c.name for c in rig.thermal] == ["cam1", "cam2"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["cam2"].pop("intrinsics"), "cam2: key intrinsics is missing"),
        (lambda d: d["cam1"].pop("T_cn_cnm1"), "cam1: key T_cn_cnm1 is missing"),
        (lambda d: d["cam2"].update(rostopic=None), "cam2: key rostopic is missing"),
        (lambda d: d["cam2"].update(rostopic="/rgb_left"), "cam0 and cam2: both have rostopic /rgb_left"),
        (lambda d: d["cam2"].update(intrinsics=[480, 480, 320]), "four numbers"),
        (lambda d: d["cam2"].update(intrinsics=[-480, 480, 320, 256]), "positive"),
        (lambda d: d["cam2"].update(intrinsics="many"), "four numbers"),
        (lambda d: d["cam2"].update(intrinsics=[1e-300, 480, 320, 256]), "6.4 to 64000 px are possible"),
        (lambda d: d["cam2"].update(intrinsics=[480, 1e9, 320, 256]), "6.4 to 64000 px are possible"),
        (lambda d: d["cam2"].update(intrinsics=[480, 480, -700, 256]), "at most 640x512 beside the image"),
        (lambda d: d["cam2"].update(intrinsics=[480, 480, 320, 1e200]), "at most 640x512 beside the image"),
        (lambda d: d["cam2"].update(distortion_coeffs=[0, 0, 1e200, 0]), "1e+06 is the most"),
        (lambda d: d["cam2"]["T_cn_cnm1"][0].__setitem__(3, 1e200), "T_cn_cnm1 is 1e+200 0 0 m; 100 m are the most"),
        (lambda d: d["cam2"].update(resolution=[640.5, 512]), "whole pixels"),
        (lambda d: d["cam2"].update(resolution=[0, 512]), "whole pixels"),
        (lambda d: d["cam2"].update(distortion_model="plumb"), "one of radtan, equidistant, none"),
        (lambda d: d["cam2"].update(distortion_coeffs=[0.1]), "k1 k2 p1 p2"),
        (lambda d: d["cam2"].update(distortion_coeffs=[float("nan")] * 4), "cam2.distortion_coeffs[0] is nan"),
        (lambda d: d["cam2"].update(distortion_model="none", distortion_coeffs=[-0.4, 0.2, 0, 0]), "coeffs are [-0.4"),
        (lambda d: d["cam2"].update(camera_model="omni"), "only pinhole"),
        (lambda d: d["cam2"]["T_cn_cnm1"][0].__setitem__(0, 1.05), "not orthonormal"),
        (lambda d: d["cam2"].update(T_cn_cnm1=np.diag([1.0, 1, -1, 1]).tolist()), "not orthonormal"),
        (lambda d: d["cam2"].update(T_cn_cnm1=[[1, 0, 0]]), "4x4"),
        (lambda d: d.update(cam2="a camera"), "not a mapping"),
        (lambda d: d.update(cam4=d.pop("cam2")), "no block cam2"),
        (lambda d: [d.pop(f"cam{i}") for i in range(3)], "no camera"),
        (lambda d: d["lidar0"].pop("T_cam0_lidar"), "lidar0: key T_cam0_lidar is missing"),
    ],
)
def test_each_mistake_in_a_rig_file_is_named(tmp_path: Path, change: object, words: str) -> None:
    document = chain_document()
    change(document)  # type: ignore[operator]
    path = written(tmp_path, document)
    with pytest.raises(RigError) as caught:
        read_rig(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["cam0: [unclosed", "- just\n- a list", "", "\x00\x01binary", "&a [*a, *a"])
def test_what_is_no_camchain_is_said_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(RigError) as caught:
        read_rig(written(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("calibrated: 2024-05-01", "calibrated", "2024-05-01"),
        ("calibrated: 2024-05-01 10:00:00+02:00", "calibrated", "2024-05-01 10:00:00+02:00"),
        ("calibrated: 2024-13-45", "calibrated", "2024-13-45"),
        ("7: seventh", "7", "seventh"),
        ("2024-05-01: a day", "2024-05-01", "a day"),
        ("on: both", "on", "both"),
        ("base: &b {x: 1}\nmore: {<<: *b, y: 2}", "more", {"x": 1, "y": 2}),
    ],
)
def test_what_json_has_not_but_can_be_text_is_kept_as_text(tmp_path: Path, line: str, key: str, value: object) -> None:
    rig = read_rig(written(tmp_path, f"{yaml.safe_dump(chain_document())}{line}\n"))
    assert rig.document[key] == value
    assert json.loads(json.dumps(rig.document, allow_nan=False, sort_keys=True)) == rig.document
    write_rig(tmp_path / "again.yaml", rig)
    assert read_rig(tmp_path / "again.yaml").document == rig.document


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("note: .nan", "note is nan"),
        ("note: {a: [1, -.inf]}", "note.a[1] is -inf"),
        ("note: !!binary aGVsbG8=", "note is of type bytes"),
        ("note: !!set {a, b}", "note is of type set"),
        (f"note: {1 << 63}", "note is of type int"),
        (f"note: {'9' * 5000}", "not YAML"),
        ("note: !!bool maybe", "not YAML"),
        ("note: &n [*n]", "holds itself"),
        ("note: " + "[" * 25 + "]" * 25, "nested deeper than 20"),
        ("? [a, b]\n: note", "not YAML"),
    ],
)
def test_what_json_has_not_is_refused_by_place(tmp_path: Path, line: str, words: str) -> None:
    path = written(tmp_path, f"{yaml.safe_dump(chain_document())}{line}\n")
    with pytest.raises(RigError) as caught:
        read_rig(path)
    assert words in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def bombs() -> dict[str, str]:
    """Files of less than 1 MB that stand for billions of values."""
    doubling = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60))]
    merging = ["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 60))]
    return {"doubling": "\n".join(doubling), "merging": "\n".join(merging), "flat": f"a: [{'1,' * 500_000}]"}


@pytest.mark.parametrize("kind", bombs())
def test_a_file_that_stands_for_too_many_values_is_refused_quickly(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, bombs()[kind])
    begun = time.process_time()
    with pytest.raises(RigError, match="more than 10000 values"):
        read_rig(path)
    assert time.process_time() - begun < 5


def test_a_missing_rig_file_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="cannot be read"):
        read_rig(tmp_path / "nowhere.yaml")


def test_a_rig_file_cannot_run_code(tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    with pytest.raises(RigError):
        read_rig(written(tmp_path, f"cam0: !!python/object/apply:pathlib.Path.touch [{witness}]"))
    assert not witness.exists()
