"""One file brought into `incoming` and proved there, by whichever thread or process has it to do."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import msgspec

from mirrorpy.errors import FetchError, MirrorError, NotFound, UpstreamError
from mirrorpy.rpmmd.model import Kind
from mirrorpy.store.durable import translated
from mirrorpy.store.incoming import Partial, keep_whole, place_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirrorpy.rpmmd.model import Checksum, RemoteFile, Repomd
    from mirrorpy.upstream import Upstream

GIVE_UP_AFTER = 16
"""Files in a row that upstream does not give for its own reasons; the rest would take hours to fail one by one."""
MOST_AHEAD = 8
"""Files that are asked for before their turn; apt asks for ten (Acquire::http::Pipeline-Depth)."""
REACH, LONG_REACH = 256 * 1024, 4 * 1024**2
"""Bytes that may come before a file that is asked for ahead, and before the only one."""


class Landed(msgspec.Struct, frozen=True, gc=False):
    """A file that is in `incoming`, whole."""

    file: RemoteFile
    path: str
    size: int
    resumed: int
    """Bytes that were here before."""
    key: Checksum
    """Its name in the pool."""


class Failed(msgspec.Struct, frozen=True):
    """A file that did not come, and why."""

    file: RemoteFile
    error: MirrorError


class Bringer:
    """Brings files of one upstream, until too many in a row fail."""

    def __init__(self, upstream: Upstream, incoming: str, received: Callable[[int], None]) -> None:
        self._upstream, self._incoming, self._received = upstream, incoming, received
        self._left = set[str]()
        """Files of which a part is here: they need not come whole."""
        self._barren = 0
        with translated("cannot look for what is here"), contextlib.suppress(FileNotFoundError):
            self._left.update(f"{incoming}/{name}" for name in os.listdir(incoming))
        self.repomd: Repomd | None = None
        """What promises the records among the files."""
        self.halted = False
        """Whether nothing more is to be tried."""

    def reaches(self, files: Sequence[RemoteFile], following: RemoteFile) -> bool:
        """Whether a thread that is to bring these files, one after the other, should bring the following one too.

        Asked for ahead, small files do not wait for a round trip each. Large ones gain nothing, and what waits behind
        them could be brought by another thread.
        """
        if len(files) > MOST_AHEAD or _size(following) >= LONG_REACH or not self._upstream.far:
            return False
        size = sum(map(_size, files))
        return size < REACH or (len(files) == 1 and size < LONG_REACH)

    def leave(self) -> None:
        """Say that this thread brings nothing more."""
        self._upstream.leave()

    def bring(self, file: RemoteFile, ahead: Sequence[RemoteFile] = ()) -> Landed | Failed:
        """Download a file, and see that a record unpacks to what is promised; those ahead this thread brings next.

        Raises:
            LocalError: This machine cannot take it.
        """
        if self.halted or self._barren >= GIVE_UP_AFTER:
            self.leave()
            return Failed(file, FetchError("not tried any more: upstream stopped giving files", href=file.href))
        if not ahead and (landed := self._whole(file)) is not None:
            return landed
        try:
            return self._fetch(file, ahead)
        finally:
            self._upstream.settle()

    def _fetch(self, file: RemoteFile, ahead: Sequence[RemoteFile]) -> Landed | Failed:
        partial = Partial(self._incoming, file)
        # What a killed run brought needs no request, or another one.
        ahead = [later for later in ahead if not os.path.lexists(place_in(self._incoming, later))]
        try:
            self._upstream.fetch(partial, self._received, ahead)
            if self.repomd is not None and file.kind is Kind.RECORD:
                # Processes that bring packages need neither lxml nor zstandard.
                from mirrorpy.sync.records import open_check  # noqa: PLC0415

                open_check(self.repomd, partial)
        except (FetchError, UpstreamError) as error:
            if isinstance(error, UpstreamError):
                _discard(partial)
            self._left.add(partial.path)
            error.href = error.href or file.href
            given_up = isinstance(error, FetchError) and not isinstance(error, NotFound)
            self._barren = self._barren + 1 if given_up else 0
            return Failed(file, error)
        finally:
            partial.close()
        self._barren = 0
        return Landed(file, partial.path, partial.size, partial.resumed, partial.key)

    def _whole(self, file: RemoteFile) -> Landed | None:
        """Bring a small file in one piece, which is what most of them are; None where that is not to be."""
        path = place_in(self._incoming, file)
        if (file.kind is Kind.RECORD and self.repomd is not None) or path in self._left:
            return None
        key: Checksum | None = None

        def take(data: memoryview, modified: float | None) -> bool:
            nonlocal key
            key = keep_whole(path, file, data, modified)
            return key is not None

        if not self._upstream.whole(file, take) or key is None or file.size is None:
            return None
        self._barren = 0
        self._received(file.size)
        return Landed(file, path, file.size, 0, key)


def _size(file: RemoteFile) -> int:
    return LONG_REACH if file.size is None else file.size


def _discard(partial: Partial) -> None:
    with translated("cannot remove a refused download"):
        os.unlink(partial.path)
