"""A recording's hash changes with every bit of it, and with nothing else."""

import hashlib
import random
from pathlib import Path

import pytest

from heatnet.dataset_tools.digests import BLOCK_BYTES, LANES, file_sha256, recording_digest
from heatnet.errors import RecordingError


@pytest.mark.parametrize("size", [0, 1, 1000, BLOCK_BYTES, BLOCK_BYTES * 3 + 5, BLOCK_BYTES + 8 * LANES])
def test_every_bit_counts(tmp_path: Path, size: int) -> None:
    rng = random.Random(size)
    content, path, copy = bytearray(rng.randbytes(size)), tmp_path / "a.bag", tmp_path / "b.bag"
    path.write_bytes(content)
    copy.write_bytes(content)
    digest = recording_digest(path)
    assert len(digest) == 64 and recording_digest(copy) == digest
    for _ in range(30 if size else 0):
        altered = bytearray(content)
        altered[rng.randrange(size)] ^= 1 << rng.randrange(8)
        path.write_bytes(altered)
        assert recording_digest(path) != digest
    path.write_bytes(content + b"\0")
    assert recording_digest(path) != digest


def test_pages_that_change_places_change_the_hash(tmp_path: Path) -> None:
    page = 8 * LANES
    content = random.Random(1).randbytes(4 * page)
    path = tmp_path / "a.bag"
    digests = set()
    for order in ((0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 3, 2), (3, 2, 1, 0)):
        path.write_bytes(b"".join(content[i * page : (i + 1) * page] for i in order))
        digests.add(recording_digest(path))
    assert len(digests) == 4


def test_a_folder_counts_names_and_contents_but_not_its_labels(tmp_path: Path) -> None:
    (tmp_path / "ir").mkdir()
    (tmp_path / "ir/1.png").write_bytes(b"one")
    first = recording_digest(tmp_path)
    (tmp_path / "labels.npz").write_bytes(b"of a teacher")
    assert recording_digest(tmp_path) == first
    (tmp_path / "ir/1.png").rename(tmp_path / "ir/2.png")
    assert recording_digest(tmp_path) != first


def test_the_sha256_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = random.Random(2).randbytes(BLOCK_BYTES + 17)
    (tmp_path / "a").write_bytes(content)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"gone\.bag: cannot be read"):
        recording_digest(tmp_path / "gone.bag")
