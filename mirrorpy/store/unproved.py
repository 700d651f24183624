"""A download of which nobody says what it must be: its checksum is computed, and is its name from then on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile

import msgspec

from mirrorpy.errors import UpstreamError
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile
from mirrorpy.store.durable import FILE_MODE, translated
from mirrorpy.store.incoming import UNKNOWN_SIZE_CAP
from mirrorpy.store.pool import KEY_ALGORITHM

_PREFIX = "unproved-"


def stand_in(href: str, size: int | None = None) -> RemoteFile:
    """Return a file whose bytes are not known yet, under a checksum that no file has."""
    digest = hashlib.sha256(b"not known yet: " + href.encode()).hexdigest()
    return RemoteFile(href, Checksum(KEY_ALGORITHM, digest), size, Kind.EXTRA)


class Unproved:
    """One file on its way; nothing of an earlier run is used, as nothing would tell that it belongs."""

    provable = False
    complete = False
    resumed = 0

    def __init__(self, folder: str, href: str) -> None:
        self.file = stand_in(href)
        """What it is; its checksum and size are only known when it is finished."""
        self.offset = 0
        self._digest = hashlib.new(KEY_ALGORITHM)
        with translated("cannot write the download"):
            self._descriptor, self.path = tempfile.mkstemp(prefix=_PREFIX, dir=folder)

    def write(self, data: bytes | memoryview) -> None:
        """Append data.

        Raises:
            UpstreamError: The file becomes absurdly large.
            LocalError: The disk does not take it.
        """
        if self.offset + len(data) > UNKNOWN_SIZE_CAP:
            self.restart()
            raise UpstreamError(f"is longer than a file of no promised size may be, {UNKNOWN_SIZE_CAP} bytes")
        with translated(f"cannot write {self.path}"):
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, memoryview(data)[written:])
        self._digest.update(data)
        self.offset += len(data)

    def restart(self) -> None:
        """Begin again from nothing."""
        with translated(f"cannot write {self.path}"):
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.offset = 0
        self._digest = hashlib.new(KEY_ALGORITHM)

    def finish(self, modified: float | None = None) -> None:
        """Name the file by its bytes, make it read-only and give it upstream's time."""
        checksum = Checksum(KEY_ALGORITHM, self._digest.hexdigest())
        self.file = msgspec.structs.replace(self.file, checksum=checksum, size=self.offset)
        with translated(f"cannot finish {self.path}"):
            if modified is not None:
                os.utime(self._descriptor, (modified, modified))
            os.fchmod(self._descriptor, FILE_MODE)
        self.close()

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.offset

    @property
    def key(self) -> Checksum:
        """The file's name in the pool, once it is finished."""
        return self.file.checksum

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Remove it."""
        self.close()
        with contextlib.suppress(FileNotFoundError), translated("cannot remove a download"):
            os.unlink(self.path)


def clear_abandoned(folder: str) -> None:
    """Remove what a killed run left unfinished; what the pool has too stays."""
    with translated("cannot remove what a killed run left"):
        for name in os.listdir(folder):
            path = f"{folder}/{name}"
            if name.startswith(_PREFIX) and os.lstat(path).st_nlink == 1:
                os.unlink(path)
