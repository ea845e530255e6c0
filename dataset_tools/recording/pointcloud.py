"""sensor_msgs/PointCloud2 to structured arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatnet.errors import RecordingError

_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}  # sensor_msgs/PointField


@dataclass(frozen=True)
class Field:
    """The fields of a sensor_msgs/PointField."""

    name: str
    offset: int  # bytes from the start of the point
    datatype: int
    count: int


@dataclass(frozen=True)
class RawCloud:
    """The fields of a sensor_msgs/PointCloud2."""

    height: int
    width: int
    fields: tuple[Field, ...]
    big_endian: bool
    point_step: int  # bytes of a point, padding included
    row_step: int  # bytes of a row, padding included
    data: memoryview


def decode_cloud(raw: RawCloud) -> NDArray[np.void]:
    """Points (height * width,) with a named field each, packed and in native byte order.

    Raises RecordingError where types are unknown, fields leave the point, or the data have another length than
    height, width and steps say. Drivers leave row_step unset in clouds of one row: there it may be too small.
    """
    dtype = _dtype(raw)
    row = raw.width * raw.point_step
    row_step = raw.row_step if raw.height > 1 else max(row, raw.row_step)
    size = f"{raw.width}x{raw.height} point cloud with points of {raw.point_step} and rows of {raw.row_step} bytes"
    least = (raw.height - 1) * row_step + row if raw.height else 0
    if row_step < row or not least <= len(raw.data) <= raw.height * row_step:
        raise RecordingError(f"{size}: {len(raw.data)} bytes of data contradict")
    packed = np.dtype([(name, dtype[name].base.newbyteorder("="), dtype[name].shape) for name in dtype.names or ()])
    points = np.empty((raw.height, raw.width), packed)
    if points.size:
        points[...] = np.ndarray(points.shape, dtype, raw.data, 0, (row_step, raw.point_step))
    return points.reshape(-1)


def _dtype(raw: RawCloud) -> np.dtype[np.void]:
    order = ">" if raw.big_endian else "<"
    formats = []
    for field in raw.fields:
        if field.datatype not in _TYPES:
            raise RecordingError(f"point cloud field {field.name!r} has the unknown type {field.datatype}")
        if field.count > raw.point_step:
            raise RecordingError(f"point cloud field {field.name!r} repeats {field.count} times")
        base = np.dtype(order + _TYPES[field.datatype])
        formats.append(base if field.count <= 1 else np.dtype((base, (field.count,))))
    names, offsets = [f.name for f in raw.fields], [f.offset for f in raw.fields]
    try:
        spec = {"names": names, "formats": formats, "offsets": offsets, "itemsize": raw.point_step}
        return np.dtype(spec)  # type: ignore[call-overload]
    except (ValueError, TypeError) as error:
        raise RecordingError(f"point cloud fields {names} at {offsets} of {raw.point_step} bytes: {error}") from error
