"""Point clouds are read to the last point, however a driver laid them out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatnet.dataset_tools.recording import PointCloud
from heatnet.dataset_tools.recording.pointcloud import Field, RawCloud, decode_cloud
from heatnet.errors import RecordingError

CODES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}


@st.composite
def layouts(draw):
    """x, y, z and others, of any type, in any order, with holes between them and a tail after them."""
    names = draw(st.permutations(["x", "y", "z", *draw(st.lists(st.sampled_from(["ring", "t", "i"]), unique=True))]))
    types = [draw(st.sampled_from(list(CODES))) for _ in names]
    order = draw(st.sampled_from("<>"))
    offsets, at = [], 0
    for kind in types:
        at += draw(st.integers(0, 3))
        offsets.append(at)
        at += int(kind[1])
    formats = [order + kind for kind in types]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": at + draw(st.integers(0, 5))})


def raw_cloud(points: np.ndarray, row_padding: int = 0) -> RawCloud:
    """A message of structured points (H, W) in their own layout."""
    dtype = points.dtype
    fields = tuple(
        Field(name, dtype.fields[name][1], CODES[dtype[name].base.str[1:]], int(np.prod(dtype[name].shape, dtype=int)))
        for name in dtype.names
    )
    rows = np.frombuffer(points.tobytes(), np.uint8).reshape(len(points), -1)
    data = np.hstack([rows, np.full((len(points), row_padding), 0xCD, np.uint8)])
    big = any(dtype[name].base.str[0] == ">" for name in dtype.names)
    return RawCloud(*points.shape, fields, big, dtype.itemsize, data.shape[1], memoryview(data.tobytes()))


@settings(max_examples=80, deadline=None)
@given(layouts(), st.integers(1, 4), st.integers(1, 6), st.integers(0, 4), st.integers(0, 2**32))
def test_every_value_of_every_field_survives(dtype, height, width, row_padding, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width * dtype.itemsize), np.uint8)
    points = noise.view(dtype).reshape(height, width)
    decoded = decode_cloud(raw_cloud(points, row_padding))
    assert decoded.shape == (height * width,) and set(decoded.dtype.names) == set(dtype.names)
    for name in dtype.names:
        assert decoded[name].dtype.isnative
        np.testing.assert_array_equal(decoded[name], points[name].reshape(-1))
    xyz = PointCloud(0, "lidar", decoded).xyz
    assert xyz.dtype == np.float64
    np.testing.assert_array_equal(xyz, np.stack([points[n].reshape(-1).astype(float) for n in "xyz"], -1))


def test_a_field_may_repeat():
    points = np.zeros((1, 3), np.dtype([("x", "<f4"), ("normal", "<f8", (3,))]))
    points["normal"] = np.arange(9).reshape(1, 3, 3)
    np.testing.assert_array_equal(decode_cloud(raw_cloud(points))["normal"], points["normal"][0])


def test_an_empty_cloud_has_no_points():
    points = np.zeros((1, 0), np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4")]))
    raw = RawCloud(1, 0, raw_cloud(np.zeros((1, 1), points.dtype)).fields, False, 12, 0, memoryview(b""))
    assert PointCloud(0, "lidar", decode_cloud(raw)).xyz.shape == (0, 3)
    assert len(decode_cloud(replace(raw, height=0))) == 0


def test_one_row_needs_no_row_step():
    points = np.zeros((1, 5), np.dtype([("x", "<f4")]))
    assert len(decode_cloud(replace(raw_cloud(points), row_step=0))) == 5


def test_a_cloud_without_heights_says_so():
    points = np.zeros((1, 5), np.dtype([("x", "<f4"), ("y", "<f4")]))
    with pytest.raises(RecordingError, match="no field z"):
        _ = PointCloud(5, "lidar", decode_cloud(raw_cloud(points))).xyz


@pytest.mark.parametrize(
    "change",
    [
        {"height": 3},
        {"height": 1},
        {"height": 2**32 - 1},
        {"width": 5},
        {"width": 3, "row_step": 36},
        {"width": 2**32 - 1, "height": 2**32 - 1},
        {"point_step": 11},
        {"point_step": 0},
        {"point_step": 2**32 - 1},
        {"row_step": 0},
        {"row_step": 49},
        {"data": memoryview(b"")},
        {"fields": (Field("x", 9, 7, 1),)},
        {"fields": (Field("x", 2**32 - 1, 7, 1),)},
        {"fields": (Field("x", 0, 7, 2**32 - 1),)},
        {"fields": (Field("x", 0, 9, 1),)},
        {"fields": (Field("x", 0, 7, 1), Field("x", 4, 7, 1))},
    ],
)
def test_a_cloud_that_contradicts_itself_is_refused(change):
    points = np.zeros((2, 4), np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4")]))
    good = raw_cloud(points)
    assert len(decode_cloud(good)) == 8
    with pytest.raises(RecordingError):
        decode_cloud(replace(good, **change))
