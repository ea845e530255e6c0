"""Raw and compressed images come out as they were taken, or not at all."""

import contextlib
import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatnet.dataset_tools.recording.compressed import decode_compressed, encoded_size
from heatnet.dataset_tools.recording.pixels import Mosaic, RawImage, decode_raw
from heatnet.errors import RecordingError

COLOURS = {"r": 0, "g": 1, "b": 2}


def raw(pixels: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False) -> RawImage:
    height, width = pixels.shape[:2]
    rows = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<")).reshape(height, -1).view(np.uint8)
    data = np.hstack([rows, np.full((height, padding), 0x5A, np.uint8)])
    return RawImage(height, width, encoding, big_endian, data.shape[1], memoryview(data.tobytes()))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 5),
    st.booleans(),
    st.sampled_from(["mono8", "8UC1", "mono16", "16UC1", "rgb8", "bgr8", "8UC3", "rgba8", "bgra8", "rgb16", "bgr16"]),
    st.integers(0, 2**32),
)
def test_every_pixel_is_where_it_was_whatever_step_and_byte_order(height, width, padding, big_endian, encoding, seed):
    dtype = np.uint16 if "16" in encoding else np.uint8
    channels = {"m": 1, "1": 1, "8": 3 if encoding == "8UC3" else 1}.get(encoding[0]) or (4 if "a" in encoding else 3)
    shape = (height, width) if channels == 1 else (height, width, channels)
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    expected = pixels
    if channels > 1:
        expected = pixels[..., [2, 1, 0]] if encoding.startswith(("bgr", "8UC3")) else pixels[..., :3]
        expected = (expected >> 8).astype(np.uint8) if dtype == np.uint16 else expected
    decoded = decode_raw(raw(pixels, encoding, padding, big_endian))
    assert decoded.dtype == expected.dtype and decoded.dtype.isnative
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("big_endian", [False, True])
def test_a_mosaic_of_a_plain_colour_gives_that_colour(pattern, bits, big_endian):
    colour = np.array([200, 120, 40], np.uint16) << (bits - 8)
    mosaic = np.zeros((12, 16), np.uint16 if bits == 16 else np.uint8)
    for letter, (row, column) in zip(pattern, itertools.product((0, 1), (0, 1)), strict=True):
        mosaic[row::2, column::2] = colour[COLOURS[letter]]
    rgb = decode_raw(raw(mosaic, f"bayer_{pattern}{bits}", 3, big_endian))
    assert rgb.shape == (12, 16, 3) and rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, np.broadcast_to([200, 120, 40], rgb.shape))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_keeps_its_samples_and_moves_nothing(pattern):
    """Each channel keeps the values where the mosaic had them, and a ramp comes back as the same ramp."""
    y, x = np.mgrid[0:20, 0:24]
    scene = np.stack([5 * x + 20, 4 * y + 30, 3 * x + 2 * y + 10], -1).astype(np.uint8)
    mosaic = np.zeros((20, 24), np.uint8)
    for letter, (row, column) in zip(pattern, itertools.product((0, 1), (0, 1)), strict=True):
        mosaic[row::2, column::2] = scene[row::2, column::2, COLOURS[letter]]
    rgb = decode_raw(raw(mosaic, f"bayer_{pattern}8")).astype(int)
    assert np.abs(rgb - scene)[2:-2, 2:-2].max() <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"height": 5},
        {"height": 3},
        {"height": 0},
        {"height": 2**32 - 1},
        {"width": 9},
        {"width": 2**32 - 1},
        {"step": 7},
        {"step": 9},
        {"step": 2**32 - 1},
        {"step": 0},
        {"data": memoryview(b"")},
        {"encoding": "rgb8"},
        {"encoding": "mono16"},
        {"encoding": "yuv422"},
        {"encoding": ""},
        {"encoding": "bayer_rgbg8"},
    ],
)
def test_an_image_that_contradicts_itself_is_refused(change):
    good = raw(np.zeros((4, 8), np.uint8), "mono8")
    assert decode_raw(good).shape == (4, 8)
    with pytest.raises(RecordingError):
        decode_raw(replace(good, **change))


def test_compressed_images_keep_depth_and_order_of_colours():
    grey16 = np.random.default_rng(1).integers(21000, 25000, (33, 41), np.uint16)
    png = cv2.imencode(".png", grey16)[1].tobytes()
    np.testing.assert_array_equal(decode_compressed(png, "mono16; png compressed "), grey16)
    grey8 = (grey16 >> 8).astype(np.uint8)
    np.testing.assert_array_equal(decode_compressed(cv2.imencode(".png", grey8)[1].tobytes()), grey8)
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 2] = 250  # OpenCV writes BGR
    for ending, tolerance in ((".png", 0), (".jpg", 3)):
        pixels = decode_compressed(cv2.imencode(ending, red)[1].tobytes(), "rgb8; jpeg compressed bgr8")
        assert np.abs(pixels.astype(int) - [250, 0, 0]).max() <= tolerance
    alpha = cv2.imencode(".png", np.dstack([red, red[..., :1]]))[1].tobytes()
    np.testing.assert_array_equal(decode_compressed(alpha), red[..., ::-1])


def test_a_compressed_mosaic_is_demosaicked():
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[0::2, 0::2], mosaic[0::2, 1::2], mosaic[1::2, 0::2], mosaic[1::2, 1::2] = 200, 120, 120, 40
    png = cv2.imencode(".png", mosaic)[1].tobytes()
    rgb = decode_compressed(png, "bayer_rggb8; png compressed bayer_rggb8")
    np.testing.assert_array_equal(rgb, np.broadcast_to([200, 120, 40], (8, 8, 3)))


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_the_size_is_known_before_decoding(ending):
    data = cv2.imencode(ending, np.zeros((70, 130, 3), np.uint8))[1].tobytes()
    assert encoded_size(data) == (130, 70)


@pytest.mark.parametrize("size", [(0, 5), (60000, 60000), (2**31, 2**31)])
def test_a_bomb_is_refused_before_it_is_decoded(size):
    png = bytearray(cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes())
    png[16:20], png[20:24] = size[0].to_bytes(4, "big"), size[1].to_bytes(4, "big")
    with pytest.raises(RecordingError, match="not a size"):
        decode_compressed(bytes(png))


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([".png", ".jpg"]),
    st.integers(0, 2000),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255))),
)
def test_damaged_compressed_images_give_pixels_or_one_error(ending, cut, changes):
    pixels = np.random.default_rng(2).integers(0, 255, (24, 20, 3), np.uint8)
    data = bytearray(cv2.imencode(ending, pixels)[1].tobytes())
    for at, value in changes:
        data[at % len(data)] = value
    with contextlib.suppress(RecordingError):
        assert decode_compressed(bytes(data[: max(0, len(data) - cut)])).ndim in (2, 3)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_kept_as_recorded_has_the_same_colours_whole_and_in_part(pattern: str) -> None:
    recorded = np.random.default_rng(3).integers(0, 256, (20, 30), np.uint8)
    kept = decode_raw(raw(recorded, f"bayer_{pattern}8", 3), mosaics=True)
    assert kept.dtype == np.uint8 and (kept == recorded).all()
    mosaic, whole = Mosaic(kept, f"bayer_{pattern}"), decode_raw(raw(recorded, f"bayer_{pattern}8", 3))
    assert mosaic.shape == (20, 30) and (mosaic.rgb() == whole).all()
    part = mosaic.rgb(slice(4, 17), slice(6, 25))
    assert (part[2:-2, 2:-2] == whole[6:15, 8:23]).all()


def test_sixteen_bits_and_plain_colours_are_no_mosaics() -> None:
    wide = np.random.default_rng(4).integers(0, 1 << 16, (8, 8), np.uint16)
    assert decode_raw(raw(wide, "bayer_rggb16"), mosaics=True).shape == (8, 8, 3)
    colours = np.zeros((8, 8, 3), np.uint8)
    assert decode_raw(raw(colours, "rgb8"), mosaics=True).shape == (8, 8, 3)
