"""Downloads under way: files that are hashed while they grow, kept for resuming, and trusted by nobody's word."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from mirrorpy.errors import ChecksumMismatch
from mirrorpy.rpmmd.model import Checksum, new_hash
from mirrorpy.store.append import LARGE, Appender
from mirrorpy.store.durable import FILE_MODE, translated
from mirrorpy.store.pool import KEY_ALGORITHM

if TYPE_CHECKING:
    from hashlib import _Hash

    from mirrorpy.rpmmd.model import RemoteFile

UNKNOWN_SIZE_CAP = 16 * 1024**3
"""Bytes that a file may have whose size the metadata does not say (SUSE 11)."""
_BLOCK = 1024 * 1024
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def place_in(folder: str, file: RemoteFile) -> str:
    """Return where a file lies while it is on its way."""
    return f"{folder}/{file.checksum.algorithm}-{file.checksum.value}"


def keep_whole(path: str, file: RemoteFile, data: memoryview, modified: float | None) -> Checksum | None:
    """Prove a file all of which is here, keep it as `Partial` does, and return its name in the pool.

    None where it is not what was promised, or an earlier run left something in its place.

    Raises:
        LocalError: The disk does not take it.
    """
    if len(data) != file.size or Checksum.of(file.checksum.algorithm, data) != file.checksum:
        return None
    with translated("cannot write the download"):
        try:
            descriptor = os.open(path, _FLAGS | os.O_EXCL, 0o600)
        except FileExistsError:
            return None
    with translated(f"cannot write {path}"):
        try:
            Appender(descriptor, large=False).write(data)
            _finish(descriptor, modified)
        finally:
            os.close(descriptor)
    return file.checksum if file.checksum.strong else Checksum.of(KEY_ALGORITHM, data)


def _finish(descriptor: int, modified: float | None) -> None:
    if modified is not None:
        os.utime(descriptor, (modified, modified))
    # Last: a leftover that is read-only has its time too.
    os.fchmod(descriptor, FILE_MODE)


class Partial:
    """One file on its way: bytes go in at `offset`, and `finish` proves them.

    A leftover of an earlier run is hashed when it is opened, so that resuming trusts nothing.
    """

    provable = True

    def __init__(self, folder: str, file: RemoteFile) -> None:
        self.file = file
        self.path = place_in(folder, file)
        self.limit = UNKNOWN_SIZE_CAP if file.size is None else file.size
        self.offset = 0
        self.resumed = 0
        """Bytes that an earlier run brought."""
        self._reset()
        with translated("cannot write the download"):
            try:
                self._descriptor = os.open(self.path, _FLAGS | os.O_EXCL, 0o600)
            except FileExistsError:
                finished = self._finished_before()
                self._descriptor = self._reopen()
            else:
                self._out = self._appender()
                return
        self._out = self._appender()
        try:
            self._take_leftover(finished=finished)
        except BaseException:
            self.close()
            raise

    def _appender(self) -> Appender:
        return Appender(self._descriptor, large=(self.file.size or 0) >= LARGE)

    def _finished_before(self) -> bool:
        """Tell whether `finish` saw this file to its end; then it has upstream's time."""
        return stat.S_IMODE(os.lstat(self.path).st_mode) == FILE_MODE

    def _reopen(self) -> int:
        """Open what an earlier run left under this name."""
        if os.lstat(self.path).st_nlink > 1:
            # The pool has this file too, and what the pool has is never written.
            os.unlink(self.path)
        try:
            return os.open(self.path, _FLAGS, 0o600)
        except PermissionError:
            # A run was killed between `finish` and the pool.
            os.chmod(self.path, 0o600)
            return os.open(self.path, _FLAGS)

    def _reset(self) -> None:
        self._promised: _Hash = new_hash(self.file.checksum.algorithm)
        self._key: _Hash = self._promised if self.file.checksum.strong else new_hash(KEY_ALGORITHM)

    def _update(self, data: bytes | memoryview) -> None:
        self._promised.update(data)
        if self._key is not self._promised:
            self._key.update(data)

    def _take_leftover(self, *, finished: bool) -> None:
        with translated(f"cannot read {self.path}"):
            info = os.fstat(self._descriptor)
            if not stat.S_ISREG(info.st_mode):
                raise OSError(0, "is no regular file", self.path)
            size = 0 if info.st_size > self.limit else info.st_size
            if size and size == self.file.size and not finished:
                # With the last byte comes upstream's time once more.
                size -= 1
            if size < info.st_size:
                os.ftruncate(self._descriptor, size)
            while block := os.read(self._descriptor, _BLOCK):
                self._update(block)
                self.offset += len(block)
        self.resumed = self.offset

    @property
    def complete(self) -> bool:
        """Whether every promised byte is here; never where the size is not known."""
        return self.file.size is not None and self.offset == self.file.size

    def write(self, data: bytes | memoryview) -> None:
        """Append data.

        Raises:
            ChecksumMismatch: The file becomes longer than promised; nothing of it is kept.
            LocalError: The disk does not take it.
        """
        if self.offset + len(data) > self.limit:
            self.restart()
            promised = "the promised " if self.file.size is not None else "a file of no promised size may be, "
            raise ChecksumMismatch(f"is longer than {promised}{self.limit} bytes")
        with translated(f"cannot write {self.path}"):
            self._out.write(data)
        self._update(data)
        self.offset += len(data)

    def restart(self) -> None:
        """Begin again from nothing."""
        with translated(f"cannot write {self.path}"):
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._out.drop()
        self.offset = self.resumed = 0
        self._reset()

    def finish(self, modified: float | None = None) -> None:
        """Prove the file, make it read-only and give it upstream's time.

        Raises:
            ChecksumMismatch: It is not what was promised; nothing of it is kept.
        """
        expected, got = self.file.checksum, self._promised.hexdigest()
        if self.file.size is not None and self.offset != self.file.size:
            size = self.offset
            self.restart()
            raise ChecksumMismatch(f"has {size} bytes instead of the promised {self.file.size}")
        if got != expected.value:
            self.restart()
            raise ChecksumMismatch(f"has the checksum {expected.algorithm}:{got} instead of the promised {expected}")
        with translated(f"cannot finish {self.path}"):
            self._out.flush()
            _finish(self._descriptor, modified)
        self.close()

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.offset

    @property
    def key(self) -> Checksum:
        """The file's name in the pool, once it is finished."""
        return self.file.checksum if self.file.checksum.strong else Checksum(KEY_ALGORITHM, self._key.hexdigest())

    def close(self) -> None:
        """Let go of the file; what is there stays for the next run."""
        if self._descriptor >= 0:
            # What the disk does not take now is asked for again.
            with contextlib.suppress(OSError):
                self._out.flush()
            self._out.end()
            os.close(self._descriptor)
            self._descriptor = -1
