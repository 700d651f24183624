"""The metadata of a snapshot: its records brought here, proved, and opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.errors import LeftPool
from mirrorpy.rpmmd.decode import verify_open
from mirrorpy.rpmmd.delta import RECORD_TYPES
from mirrorpy.store.durable import translated
from mirrorpy.store.incoming import Partial
from mirrorpy.store.pool import file_size
from mirrorpy.upstream.url import file_url

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from mirrorpy.rpmmd.model import Checksum, Record, RemoteFile, Repomd
    from mirrorpy.store.adopted import Taken
    from mirrorpy.store.generation import Generation
    from mirrorpy.store.pool import Pool
    from mirrorpy.sync.snapshot import Snapshot
    from mirrorpy.upstream import Upstream


READ_TYPES = ("primary", *RECORD_TYPES)
"""Records that promise files."""


def lacking_records(repomd: Repomd, pool: Pool) -> list[RemoteFile]:
    """Return the records that are to be read and are not here; the others come with what those promise."""
    read = (record for record in repomd.records if record.type in READ_TYPES)
    return [record.file for record in read if record.file not in pool]


def open_check(repomd: Repomd, partial: Partial | Taken) -> None:
    """Prove that a record unpacks to what repomd promises, before the pool takes it.

    Raises:
        UpstreamError: It does not.
    """
    for record in repomd.records:
        if record.file.checksum == partial.file.checksum:
            with translated("cannot read a record"), open(partial.path, "rb") as file:
                verify_open(record, file, partial.size)


def recover(file: RemoteFile, published: Generation | None, pool: Pool, *, keep: bool) -> bool:
    """Take a file of the published tree into the pool, where the state that named it is lost.

    Without keep nothing is taken, and the answer is whether it could be.
    """
    path = f"{published.folder}/{file.path}" if published else ""
    if published is None or file.size not in (None, file_size(path)):
        return False
    with translated("cannot take a published file into the pool"):
        return pool.take(path, file.checksum, keep=keep)


def check_bases(snapshot: Snapshot, files: Iterable[RemoteFile]) -> list[str]:
    """Return a warning where files lie elsewhere than below the repository.

    Raises:
        UnsafeHref: One lies where nothing may be asked for.
    """
    bases = {file.location_base: file.href for file in files if file.location_base}
    for base, href in bases.items():
        file_url(snapshot.base, href, base)
    return ["metadata has xml:base: clients go there and not to this mirror"] if bases else []


class Records:
    """Opens a snapshot's records, from the pool or, in a dry run, from a folder of its own."""

    def __init__(self, pool: Pool, upstream: Upstream, missing: set[str], spool: str | None) -> None:
        self._pool, self._upstream, self._missing, self._spool = pool, upstream, missing, spool
        self._spooled: dict[Checksum, str] = {}

    def open(self, record: Record) -> BinaryIO | None:
        """Return a record's bytes; None for one that is published without (allow_missing).

        Raises:
            LeftPool: It was here a moment ago.
        """
        file = record.file
        if file.path in self._missing:
            return None
        path = self._path(file)
        with translated("cannot read a record"):
            try:
                return open(path, "rb")
            except FileNotFoundError:
                raise LeftPool(file.path) from None

    def _path(self, file: RemoteFile) -> str:
        key = self._pool.key(file.checksum)
        if self._spool is None or (key is not None and file in self._pool):
            return self._pool.path(key or file.checksum)
        if file.checksum not in self._spooled:
            partial = Partial(self._spool, file)
            try:
                self._upstream.fetch(partial, lambda _: None)
            finally:
                partial.close()
            self._spooled[file.checksum] = partial.path
        return self._spooled[file.checksum]
