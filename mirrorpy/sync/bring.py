"""One file brought into `incoming` and proved there, by whichever thread or process has it to do."""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import TYPE_CHECKING

import msgspec

from mirrorpy.errors import FetchError, LocalError, MirrorError, NotFound, UpstreamError
from mirrorpy.rpmmd.model import Kind
from mirrorpy.store.durable import translated
from mirrorpy.store.incoming import Partial, keep_whole, place_in
from mirrorpy.upstream import is_small

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirrorpy.rpmmd.model import Checksum, RemoteFile, Repomd
    from mirrorpy.upstream import Upstream

GIVE_UP_AFTER = 16
"""Files in a row that upstream does not give for its own reasons; the rest would take hours to fail one by one."""
MOST_AHEAD = 8
"""Files that are asked for before their turn; apt asks for ten (Acquire::http::Pipeline-Depth)."""
MANY = 32
"""Files that are left, from which on it pays to be quicker with small ones that are near."""
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

    def reaches(self, files: Sequence[RemoteFile], following: RemoteFile, left: int) -> bool:
        """Whether a thread that is to bring these files, one after the other, should bring the following one too.

        Asked for ahead, small files do not wait for a round trip each, and where they are near, and many, cost fewer
        calls. Large ones gain nothing, and what waits behind them could be brought by another thread.
        """
        if len(files) > MOST_AHEAD or _size(following) >= LONG_REACH:
            return False
        size = sum(map(_size, files))
        if self._upstream.near:
            return left >= MANY and size < REACH and is_small(following)
        return self._upstream.far and (size < REACH or (len(files) == 1 and size < LONG_REACH))

    def leave(self) -> None:
        """Say that this thread brings nothing more."""
        self._upstream.leave()

    def do(self, files: Sequence[RemoteFile]) -> list[Landed | Failed]:
        """Download one or more of these files, from the first on, and see that a record unpacks to what is promised.

        This thread brings the others next.

        Raises:
            LocalError: This machine cannot take it.
        """
        if self.halted or self._barren >= GIVE_UP_AFTER:
            self.leave()
            return [
                Failed(files[0], FetchError("not tried any more: upstream stopped giving files", href=files[0].href))
            ]
        if landed := self._whole(files):
            return landed
        try:
            return [self._fetch(files[0], files[1:])]
        finally:
            self._upstream.settle(last=len(files) == 1)

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

    def _whole(self, files: Sequence[RemoteFile]) -> list[Landed | Failed]:
        """Bring small files in one piece each, as most come; it ends at the first that does not."""
        landed: list[Landed | Failed] = []

        def take(file: RemoteFile, data: memoryview, modified: float | None) -> bool:
            path = place_in(self._incoming, file)
            key = keep_whole(path, file, data, modified)
            if key is not None:
                landed.append(Landed(file, path, len(data), 0, key))
                self._received(len(data))
            return key is not None

        try:
            self._upstream.whole(list(itertools.takewhile(self._is_new, files)), take)
        except LocalError:
            # The next file will tell.
            if not landed:
                raise
        if landed:
            self._barren = 0
        return landed

    def _is_new(self, file: RemoteFile) -> bool:
        """Whether a file is to be checked by its checksum alone, and no part of it is here."""
        checked = self.repomd is not None and file.kind is Kind.RECORD
        return not checked and place_in(self._incoming, file) not in self._left


def _size(file: RemoteFile) -> int:
    return LONG_REACH if file.size is None else file.size


def _discard(partial: Partial) -> None:
    with translated("cannot remove a refused download"):
        os.unlink(partial.path)
