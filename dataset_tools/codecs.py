"""How an image lies in a shard: raw, or compressed where the user asked for it.

The filters have HDF5's own numbers: 2 shuffle, 1 deflate, which every HDF5 reads, and 32015 zstd, for which other
readers need a plugin (hdf5plugin). Encoding and decoding are done here, so that nobody who reads through this package
needs it.
"""

import sys
import zlib
from dataclasses import dataclass
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from heatnet.errors import DatasetError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Compression = Literal["none", "gzip", "zstd"]
GZIP_LEVEL, ZSTD_LEVEL = 4, 1
SHUFFLE, DEFLATE, ZSTD = 2, 1, 32015
_PACKERS: dict[str, int] = {"gzip": DEFLATE, "zstd": ZSTD}


@dataclass(frozen=True)
class Codec:
    """What is done to the bytes of one kind of image."""

    packer: int | None = None  # an HDF5 filter
    item_bytes: int = 1  # shuffled where it is more than one: all first bytes, then all second ones

    @staticmethod
    def of(compression: str, dtype: Any) -> "Codec":
        """The codec for images of that type. Raises DatasetError where the compression is unknown."""
        if compression == "none":
            return Codec()
        if compression not in _PACKERS:
            raise DatasetError(f"compression {compression!r} is unknown; one of none, gzip, zstd is needed")
        return Codec(_PACKERS[compression], np.dtype(dtype).itemsize)

    @staticmethod
    def read(properties: h5py.h5p.PropDCID, dtype: Any) -> "Codec":
        """The codec of a dataset that was created with these properties. Raises ValueError for any other filter."""
        found = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
        size = np.dtype(dtype).itemsize
        packer = found[-1] if found else None
        if found != ([SHUFFLE] if size > 1 and found else []) + found[-1:] or packer not in (None, DEFLATE, ZSTD):
            raise ValueError(f"filters {found} are none of ours")
        return Codec(packer, size if packer else 1)

    def apply(self, properties: h5py.h5p.PropDCID) -> None:
        """Let HDF5 know of the filters."""
        if self.packer is None:
            return
        if self.item_bytes > 1:
            properties.set_shuffle()
        level = GZIP_LEVEL if self.packer == DEFLATE else ZSTD_LEVEL
        properties.set_filter(self.packer, h5py.h5z.FLAG_OPTIONAL, (level,))

    def encode(self, image: NDArray[Any]) -> Any:
        """The bytes of an image as they lie in the file: the same image, the same bytes."""
        if self.packer is None:
            return image
        content = image.tobytes()
        if self.item_bytes > 1:
            content = np.frombuffer(content, np.uint8).reshape(-1, self.item_bytes).T.tobytes()
        return zlib.compress(content, GZIP_LEVEL) if self.packer == DEFLATE else zstd.compress(content, ZSTD_LEVEL)

    def decode(self, content: bytes, image: NDArray[Any]) -> None:
        """Fill `image` with what was encoded. Raises OSError where it was altered."""
        try:
            if self.packer == DEFLATE:
                plain = zlib.decompressobj().decompress(content, image.nbytes + 1)
            else:
                plain = zstd.ZstdDecompressor().decompress(content, image.nbytes + 1)
        except (zlib.error, zstd.ZstdError, EOFError) as error:
            raise OSError(f"a compressed image was altered ({str(error)[:60]})") from error
        if len(plain) != image.nbytes:
            raise OSError(f"a compressed image has {len(plain)} bytes or more; {image.nbytes} are needed")
        items = np.frombuffer(plain, np.uint8).reshape(self.item_bytes, -1)
        image.reshape(-1).view(np.uint8).reshape(-1, self.item_bytes)[...] = items.T
