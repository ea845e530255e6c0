"""Of long recordings few images are decoded, and what cannot be used of spoiled ones is left out with its reason."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flat_street import NOON_NS, colours, counts, look, make_recording, make_rig
from recording_writers import image, write_recording

from heatnet.calib.depth_choice import choose_depth
from heatnet.calib.trajectory import Trajectory
from heatnet.dataset_tools import camera_images, looking
from heatnet.dataset_tools.key_frames import KeyFrame, ViewsConfig, worth_a_look
from heatnet.dataset_tools.recording import bag, chunked, open_recording
from heatnet.dataset_tools.views import load_views
from heatnet.errors import CalibrationError, RecordingError

SECOND = 1_000_000_000


def frames(count: int) -> list[KeyFrame]:
    return [KeyFrame(i * SECOND, None, {}, {}) for i in range(count)]


def drive(headings: np.ndarray, speeds: np.ndarray) -> Trajectory:
    """Poses once a second."""
    turns = np.stack([0 * headings, 0 * headings, np.sin(headings / 2), np.cos(headings / 2)], 1)
    steps = speeds[:, None] * np.stack([np.cos(headings), np.sin(headings), 0 * headings], 1)
    return Trajectory.from_samples(np.arange(len(headings)) * SECOND, turns, np.cumsum(steps, axis=0))


def test_a_standing_car_is_hardly_looked_at() -> None:
    speeds = np.where(np.arange(100) < 80, 0.0, 8.0)
    chosen = worth_a_look(frames(100), drive(np.zeros(100), speeds), 10, ViewsConfig())
    assert len(chosen) <= 10
    assert sum(f.stamp_ns < 80 * SECOND for f in chosen) <= 3


def test_turns_are_looked_at_more() -> None:
    headings = np.clip(np.arange(100) - 50, 0, 10) * 0.15
    turning = worth_a_look(frames(100), drive(headings, np.full(100, 3.0)), 20, ViewsConfig())
    assert sum(50 <= f.stamp_ns / SECOND <= 60 for f in turning) >= 3


def test_without_odometry_time_tells_what_to_look_at() -> None:
    chosen = worth_a_look(frames(100), None, 10, ViewsConfig())
    assert np.ptp([f.stamp_ns for f in chosen]) == 99 * SECOND and len(chosen) == 10


@pytest.fixture(scope="module")
def long_drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("long"), frames=40, labelled=False, speed_m_s=0.3)


def test_of_a_long_recording_few_images_are_decoded(long_drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: Counter[str] = Counter()
    original = bag.decode

    def counting(data: Any, kind: str, wire: Any, mosaics: bool) -> Any:
        decoded[kind] += 1
        return original(data, kind, wire, mosaics)

    monkeypatch.setattr(bag, "decode", counting)
    views = load_views([long_drive], make_rig(), ViewsConfig(key_frames=5, looks=12))
    assert len(views.views) == 5 and views.candidates == 40
    assert len(views.choices) == 12 and sum(c.used for c in views.choices) == 5
    assert decoded["sensor_msgs/msg/Image"] <= 12 * 4 + 5 * 4


def test_few_images_are_held_while_looking(long_drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int] = []
    held: set[int] = set()

    class Held(np.ndarray):
        """Pixels that say when they are let go."""

        def __del__(self) -> None:
            held.discard(id(self))

    def watched(*arguments: Any) -> Iterator[Any]:
        for name, stamp, pixels in camera_images.camera_images(*arguments):
            copy = pixels.copy().view(Held)
            held.add(id(copy))
            alive.append(len(held))
            yield name, stamp, copy
            del copy

    monkeypatch.setattr(looking, "camera_images", watched)
    load_views([long_drive], make_rig(), ViewsConfig(key_frames=5, looks=30))
    assert len(alive) >= 30 * 3
    assert max(alive) < 30


def spoiled(folder: Path, spoil: Any, late_ns: tuple[int, ...] = (0,)) -> Path:
    """A drive of six key frames whose images went through `spoil(topic, number, pixels)`; right ones late in turns."""
    rig, messages = make_rig(), []
    for i in range(6):
        stamp = NOON_NS + i * SECOND
        for camera in rig.cameras:
            seen = look(camera, np.array([0.7 * i, 0, 0]))
            rng = np.random.default_rng(i)
            if camera.thermal:
                noisy = counts(seen) + rng.normal(0, 5, seen.board.shape)
                pixels, encoding = np.rint(noisy).astype(np.uint16), "mono16"
            else:
                pixels, encoding = colours(seen), "rgb8"
            changed = spoil(camera.topic, i, pixels)
            at = stamp + (late_ns[i % len(late_ns)] if camera.name == "cam1" else 0)
            messages.append((camera.topic, "sensor_msgs/msg/Image", image(at, changed, encoding), at))
    folder.mkdir(parents=True, exist_ok=True)
    return write_recording(folder, "bag", messages)


def reasons(path: Path) -> list[str]:
    """Why each key frame was left out, empty where it was used."""
    return ["" if c.used else c.reason for c in load_views([path], make_rig()).choices]


def test_black_images_are_left_out_and_the_rest_is_used(tmp_path: Path) -> None:
    said = reasons(spoiled(tmp_path, lambda t, i, p: p // 128 if "left" in t and "rgb" in t and i == 2 else p))
    assert said == ["", "", "RGB is black", "", "", ""]


def test_a_shutter_that_stays_closed_spoils_every_key_frame_but_the_first(tmp_path: Path) -> None:
    kept: dict[str, np.ndarray] = {}

    def freeze(topic: str, i: int, pixels: np.ndarray) -> np.ndarray:
        return kept.setdefault(topic, pixels) if "ir" in topic and 1 <= i <= 3 else pixels

    said = reasons(spoiled(tmp_path, freeze))
    assert [bool(s) for s in said] == [False, False, True, True, False, False]
    assert all("shutter closed" in s for s in said if s)


def test_right_images_that_are_all_late_stop_only_what_needs_them(tmp_path: Path) -> None:
    views = load_views([spoiled(tmp_path, lambda t, i, p: p, (20_000_000,))], make_rig())
    assert len(views.views) == 6 and all(view.right is None for view in views.views)
    assert choose_depth("auto", views, make_rig()).name == "none"
    with pytest.raises(CalibrationError, match="right RGB camera /rgb_right near a left one"):
        choose_depth("stereo", views, make_rig())


def test_of_right_images_late_now_and_then_the_others_are_used(tmp_path: Path) -> None:
    views = load_views([spoiled(tmp_path, lambda t, i, p: p, (0, 20_000_000))], make_rig())
    assert len(views.views) == 3 and all(view.right is not None for view in views.views)
    assert views.dropped == {"left RGB images without a right one": 3}


def test_a_covered_lens_is_an_error_that_says_so(tmp_path: Path) -> None:
    def cover(topic: str, i: int, pixels: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(i).normal(23000, 5, pixels.shape)
        return np.rint(noise).astype(np.uint16) if "ir" in topic else pixels

    with pytest.raises(RecordingError, match=r"no key frame for a calibration \(6 left out because .*lens covered"):
        reasons(spoiled(tmp_path, cover))


@pytest.mark.parametrize("kind", ["bag", "mcap", "db3"])
def test_what_is_wanted_is_found_again_without_reading_the_rest(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 400), dtype=np.uint8)
    messages = [
        ("/a", "sensor_msgs/msg/Image", image(i * SECOND, pixels + np.uint8(i), "mono8"), i * SECOND + 7 * (i % 3))
        for i in range(100)
    ]
    wanted = {30 * SECOND, 31 * SECOND, 77 * SECOND}
    loads: list[int] = []
    original = chunked.ChunkedSource._load

    def counting(self: Any, chunk: Any) -> Any:
        loads.append(chunk.at)
        return original(self, chunk)

    with open_recording(write_recording(tmp_path, kind, messages)) as recording:
        monkeypatch.setattr(chunked.ChunkedSource, "_load", counting)
        unknown = [m for _, m in recording.messages(["/a"], {"/a": wanted})]
        recording.stamps(["/a"])
        before = len(loads)
        known = [m for _, m in recording.messages(["/a"], {"/a": wanted})]
    assert [m.stamp_ns for m in known] == [m.stamp_ns for m in unknown] == sorted(wanted)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(known, unknown, strict=True))
    if kind != "db3":
        assert len(loads) - before <= 3 < before / 2
