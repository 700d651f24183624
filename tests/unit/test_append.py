"""Files that grow past the page cache: every byte in its place, whatever the pieces and the filesystem."""

import errno
import os
import random

import pytest

from mirrorpy.store import append
from mirrorpy.store.append import ALIGNMENT, BLOCK, Appender

SIZES = [0, 1, ALIGNMENT - 1, ALIGNMENT, ALIGNMENT + 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5 * ALIGNMENT + 7]


@pytest.fixture
def grown(tmp_path):
    """Append data in pieces to a new file, or to what is there, and return what the file holds then."""

    def grow(data: bytes, pieces: list[int], *, there: bytes = b"", large: bool = True) -> bytes:
        path = tmp_path / "file"
        path.write_bytes(there)
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.lseek(descriptor, 0, os.SEEK_END)
            out = Appender(descriptor, large=large)
            at = 0
            for piece in pieces:
                out.write(memoryview(data)[at : at + piece])
                at += piece
            out.write(data[at:])
            out.flush()
            out.end()
        finally:
            os.close(descriptor)
        return path.read_bytes()

    return grow


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("large", [False, True])
def test_sizes(grown, size, large):
    data = random.Random(size).randbytes(size)
    assert grown(data, [300] * 5, large=large) == data


@pytest.mark.parametrize("there", [ALIGNMENT, ALIGNMENT + 1, 7])
def test_going_on(grown, there):
    data = random.Random(there).randbytes(BLOCK + 99)
    assert grown(data[there:], [65_000] * 3, there=data[:there]) == data


def test_pieces_that_are_larger_than_a_block(grown):
    data = random.Random(1).randbytes(3 * BLOCK + 1)
    assert grown(data, [2 * BLOCK + 1]) == data


@pytest.mark.parametrize("refusing", ["fcntl", "write"])
def test_a_filesystem_that_cannot(grown, monkeypatch, refusing):
    real, flags = os.write, {}

    def fcntl_refuses(descriptor, command, argument=0):
        if command == append.fcntl.F_SETFL and argument & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return flags.setdefault(descriptor, os.O_RDWR)

    def write_refuses(descriptor, data):
        if append.fcntl.fcntl(descriptor, append.fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(descriptor, data)

    if refusing == "fcntl":
        monkeypatch.setattr(append.fcntl, "fcntl", fcntl_refuses)
    else:
        monkeypatch.setattr(append.os, "write", write_refuses)
    data = random.Random(2).randbytes(2 * BLOCK + 77)
    assert grown(data, [BLOCK]) == data


def test_short_writes(grown, monkeypatch):
    real = os.write
    monkeypatch.setattr(append.os, "write", lambda descriptor, data: real(descriptor, memoryview(data)[:ALIGNMENT]))
    data = random.Random(3).randbytes(BLOCK + 77)
    assert grown(data, []) == data


def test_what_was_held_is_dropped(tmp_path):
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    out = Appender(descriptor, large=True)
    out.write(b"x" * 100)
    os.ftruncate(descriptor, 0)
    out.drop()
    out.write(b"yes")
    out.flush()
    out.end()
    os.close(descriptor)
    assert (tmp_path / "file").read_bytes() == b"yes"


def test_a_full_disk_is_told(tmp_path):
    descriptor = os.open("/dev/full", os.O_WRONLY)
    out = Appender(descriptor, large=True)
    with pytest.raises(OSError, match="No space"):
        out.write(bytes(BLOCK))
    out.end()
    os.close(descriptor)


def test_blocks_are_used_again(grown):
    append._spare.clear()
    for _ in range(3):
        grown(bytes(BLOCK), [])
    assert len(append._spare) == 1
