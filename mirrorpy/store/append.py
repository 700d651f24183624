"""Appending to a file: a large one in whole blocks past the page cache, which nobody needs to have it in.

Written through the cache, each page is copied once more, evicts what clients are being served, and waits for the flush
at the end. Where a filesystem cannot do without its cache, the blocks go through it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os

LARGE = 256 * 1024
"""Bytes from which on a file is written so."""
BLOCK = 1024 * 1024
"""Bytes that are written at a time: enough to keep a disk with heads busy between two seeks."""
ALIGNMENT = 4096
"""Bytes of which offsets, lengths and addresses are multiples, as every disk of today wants it."""
_spare: list[memoryview] = []


class Appender:
    """The end of an open file; `large` is that the file will be, and `flush` has to be called when all is there.

    Raises:
        OSError: The disk does not take what was written, now or earlier.
    """

    def __init__(self, descriptor: int, *, large: bool) -> None:
        self._descriptor, self._large, self._direct = descriptor, large, False
        self._block: memoryview | None = None
        self._held = 0

    def _begin(self) -> None:
        """Choose the way, now that it is known where the first byte goes."""
        self._large = False
        if os.lseek(self._descriptor, 0, os.SEEK_CUR) % ALIGNMENT == 0:
            self._past_cache(wanted=True)
            try:
                self._block = _spare.pop()
            except IndexError:
                self._block = memoryview(mmap.mmap(-1, BLOCK))

    def _past_cache(self, *, wanted: bool) -> None:
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if wanted else flags & ~os.O_DIRECT)
            self._direct = wanted

    def write(self, data: bytes | memoryview) -> None:
        """Append data, at once or with what comes after it."""
        if self._large:
            self._begin()
        if self._block is None:
            self._put(data)
            return
        data = memoryview(data)
        while data:
            part, data = data[: BLOCK - self._held], data[BLOCK - self._held :]
            self._block[self._held : self._held + len(part)] = part
            self._held += len(part)
            if self._held == BLOCK:
                self._held = 0
                self._put(self._block)

    def _put(self, data: bytes | memoryview) -> None:
        written = 0
        while written < len(data):
            try:
                written += os.write(self._descriptor, memoryview(data)[written:] if written else data)
            except OSError as error:
                if error.errno != errno.EINVAL or not self._direct:
                    raise
                self._past_cache(wanted=False)

    def flush(self) -> None:
        """Write what is held; the odd end of a file can only go through the cache."""
        held, self._held = self._held, 0
        if self._block is not None and held:
            whole = held - held % ALIGNMENT
            self._put(self._block[:whole])
            if whole < held:
                self._past_cache(wanted=False)
                self._put(self._block[whole:held])

    def drop(self) -> None:
        """Forget what is held, and write from the file's place as it is now."""
        self._held = 0

    def end(self) -> None:
        """Give the block back; nothing is written any more."""
        if self._block is not None:
            _spare.append(self._block)
            self._block = None
