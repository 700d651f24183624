"""Digests of open files, in pieces, without a copy in Python."""

from __future__ import annotations

import os
import threading

from mirrorpy.rpmmd.model import new_hash

BLOCK = 256 * 1024
_local = threading.local()


def hash_from(descriptor: int, start: int, *algorithms: str) -> list[str]:
    """Return the digests, in hex, of what follows a place in an open file, past any reader's own buffer.

    Raises:
        OSError: It cannot be read.
    """
    digests, view = [new_hash(algorithm) for algorithm in algorithms], _buffer()
    os.lseek(descriptor, start, os.SEEK_SET)
    while count := os.readv(descriptor, [view]):
        for digest in digests:
            digest.update(view[:count])
    return [digest.hexdigest() for digest in digests]


def _buffer() -> memoryview:
    """Return this thread's buffer; a new one for each file would be filled with zeros first."""
    if not hasattr(_local, "buffer"):
        _local.buffer = memoryview(bytearray(BLOCK))
    view: memoryview = _local.buffer
    return view
