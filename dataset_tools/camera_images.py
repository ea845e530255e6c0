"""Images of a rig's cameras out of a recording, one at a time, in the order of the log."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatnet.calib.rig import Rig, RigCamera
from heatnet.dataset_tools.recording import Image, Recording, resolve_topic
from heatnet.errors import RecordingError
from heatnet.progress import track


def camera_images(
    recording: Recording, rig: Rig, wanted: Mapping[str, Collection[int]], doing: str
) -> Iterator[tuple[str, int, NDArray[Any]]]:
    """Camera name, stamp and pixels of the images `wanted` by camera name, with a bar that says what is `doing`.

    Colour is (H, W, 3) uint8 RGB, thermal (H, W) uint16 counts; images that cannot be decoded are passed over. Raises
    RecordingError where an image has another size than the rig file says.
    """
    cameras = {topic: c for c in rig.cameras if (topic := resolve_topic(recording, c.topic)) and wanted.get(c.name)}
    stamps = {topic: wanted[camera.name] for topic, camera in cameras.items()}
    messages = recording.messages(list(stamps), stamps, skipped=[])
    for topic, message in track(messages, f"{doing} {recording.path.name}", sum(map(len, stamps.values()))):
        if isinstance(message, Image):
            camera = cameras[topic]
            _check_size(message, camera, recording)
            yield camera.name, message.stamp_ns, _counts(message) if camera.thermal else _colour(message)


def _check_size(image: Image, camera: RigCamera, recording: Recording) -> None:
    height, width = image.pixels.shape[:2]
    if (width, height) != camera.camera.resolution:
        expected = "x".join(map(str, camera.camera.resolution))
        raise RecordingError(
            f"{recording.path}: {camera.topic} at {image.stamp_ns} ns is {width}x{height}; "
            f"the rig file says {expected} for {camera.name}"
        )


def _colour(image: Image) -> NDArray[np.uint8]:
    wide = image.pixels.dtype == np.uint16  # a 16-bit RGB camera: the high byte is enough for edges
    pixels = np.asarray(image.pixels >> 8 if wide else image.pixels, dtype=np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def _counts(image: Image) -> NDArray[np.uint16]:
    pixels = image.pixels if image.pixels.ndim == 2 else image.pixels[..., 0]
    return pixels.astype(np.uint16, copy=False)
