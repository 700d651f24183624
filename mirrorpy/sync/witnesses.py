"""What is known of files that nobody promises: those that are here, as whose version, and those that are absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.errors import redact
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile
from mirrorpy.store.beside import BesideState, Witness, read_beside, write_beside
from mirrorpy.store.pool import KEY_ALGORITHM

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from mirrorpy.store.layout import RepoLayout
    from mirrorpy.store.pool import Pool
    from mirrorpy.store.unproved import Unproved
    from mirrorpy.sync.fill import Filler
    from mirrorpy.upstream.document import Answer


class Witnesses:
    """One repository's, from the last run to the next one."""

    def __init__(self, pool: Pool, own: RepoLayout, filler: Filler, *, dry_run: bool) -> None:
        self._pool, self._own, self._filler, self._dry_run = pool, own, filler, dry_run
        self._state = read_beside(own.beside)
        self._witnesses: dict[str, Witness] = {}
        """What the state is to be after this run."""
        self._base = self._repomd = ""
        self.files: dict[str, RemoteFile] = {}
        """What is there, by path; under a stand-in's checksum until it is brought."""
        self.absent: set[str] = set()

    def begin(self, base: str, repomd_sha256: str) -> None:
        """Start from nothing, for one state of one mirror; where that has no repomd.xml, nothing is known absent."""
        self._base, self._repomd = base, repomd_sha256
        for found in (self._witnesses, self.files, self.absent):
            found.clear()

    @property
    def remembered(self) -> AbstractSet[str]:
        """The paths that were there in the last run."""
        return self._state.files.keys()

    def known_absent(self, href: str) -> bool:
        """Tell whether a file was not there when this repomd.xml was followed before."""
        return self._state.repomd_sha256 == self._repomd != "" and href in self._state.absent

    def last(self, href: str) -> Witness:
        """Return what the last run knew of a file that was there."""
        return self._state.files[href]

    def here(self, href: str) -> Witness | None:
        """Return what is known of a file that the pool has."""
        witness = self._state.files.get(href)
        return witness if witness is not None and self._pool.holds(key_of(witness), witness.size) else None

    def keep(self, href: str, witness: Witness) -> None:
        """Take a file that is here as it is."""
        self._witnesses[href] = witness
        self.files[href] = RemoteFile(href, key_of(witness), witness.size, Kind.EXTRA)

    def keep_published(self, published: Iterable[RemoteFile]) -> None:
        """Take published files as they are, with what is known of them."""
        for file in published:
            witness = self.here(file.path)
            if witness is not None and key_of(witness) == file.checksum:
                self._witnesses[file.path] = witness
            self.files[file.path] = file

    def land(self, unproved: Unproved, etag: str | None, last_modified: str | None) -> None:
        """Hand a file that came to the pool, unless the pool has it: a published file stays the pool's own."""
        base = redact(self._base)
        self.keep(unproved.file.href, Witness(unproved.key.value, unproved.size, base, etag, last_modified))
        if self._pool.holds(unproved.key, unproved.size):
            unproved.discard()
        else:
            self._filler.take(unproved)

    def commit(self) -> None:
        """Make durable what came, and what is known of it, so that a killed run does not bring it once more."""
        if self._dry_run or not self._witnesses:
            return
        self._filler.commit()
        self._state.files.update(self._witnesses)
        write_beside(self._own.beside, self._state)

    def remember(self) -> None:
        """Write down what is known of all files that are there, and of nothing else."""
        state = BesideState(repomd_sha256=self._repomd, absent=sorted(self.absent), files=dict(self._witnesses))
        if state != read_beside(self._own.beside):
            write_beside(self._own.beside, state)


def key_of(witness: Witness) -> Checksum:
    """Return a file's name in the pool."""
    return Checksum(KEY_ALGORITHM, witness.key)


def is_same(witness: Witness, answer: Answer, base: str) -> bool:
    """Tell whether a file is the one that came: by its ETag, or else by size and time, as rsync does.

    Mirrors of one file call its versions by different ETags; one server does not.
    """
    if witness.etag and answer.etag and witness.base == base:
        return witness.etag == answer.etag
    timed = witness.last_modified is not None and witness.last_modified == answer.last_modified
    return timed and witness.size == answer.size
