"""Filling the pool: what is missing comes in parallel, is proved, made durable, and only then gets its name."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorpy.errors import NotFound
from mirrorpy.rpmmd.model import Kind
from mirrorpy.store.durable import UNFINISHED, sync_filesystem, translated
from mirrorpy.store.pool import owe_sweep
from mirrorpy.store.stage import clear_stage
from mirrorpy.store.weak import write_weak
from mirrorpy.sync.bring import Bringer, Failed
from mirrorpy.sync.parallel import Pace, unordered_ahead

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mirrorpy.errors import MirrorError
    from mirrorpy.rpmmd.model import RemoteFile, Repomd
    from mirrorpy.store.layout import Layout, RepoLayout
    from mirrorpy.store.pool import Pool
    from mirrorpy.store.unproved import Unproved
    from mirrorpy.sync.bring import Landed
    from mirrorpy.sync.claims import Claims
    from mirrorpy.sync.crew import Crew
    from mirrorpy.sync.report import Downloaded, Watch
    from mirrorpy.upstream import Upstream

COMMIT_BYTES = 1024**3
COMMIT_FILES = 4_000
"""How much may be downloaded before it is made durable; a power cut costs a hashing of this at most."""
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcome:
    """What became of the files that were asked for."""

    failures: list[tuple[RemoteFile, MirrorError]] = field(default_factory=list)


class Filler:
    """Brings one repository's files into the pool."""

    def __init__(
        self,
        upstream: Upstream,
        pool: Pool,
        own: RepoLayout,
        *,
        repo_id: str,
        width: int,
        claims: Claims,
        watch: Watch,
        downloaded: Downloaded,
        allow_missing: bool = False,
        crew: Crew | None = None,
    ) -> None:
        self._pool, self._own, self._crew, self._allow_missing = pool, own, crew, allow_missing
        self._upstream = upstream
        self._bringer = Bringer(upstream, own.incoming, self.received)
        self._repo_id, self._width, self._claims, self._watch = repo_id, width, claims, watch
        self._downloaded = downloaded
        self._landed: list[Landed | Unproved] = []
        self.filled = 0
        """Files that went into the pool so far."""

    def fill(self, files: Iterable[RemoteFile], repomd: Repomd | None = None) -> Outcome:
        """Download files, each claimed by one repository of the run; what others claimed is waited for last.

        A file that fails does not stop the others, unless it is a record, without which nothing will be published.
        repomd is what promises the records among them, which have to unpack to what it says.

        Raises:
            LocalError: This machine cannot take them.
        """
        outcome = Outcome()
        rest = list({file.checksum: file for file in files}.values())
        self._watch.expect(self._repo_id, len(rest), sum(file.size or 0 for file in rest))
        while rest:
            claimed = {file.checksum for file in rest if self._claims.claim(file.checksum)}
            mine = [file for file in rest if file.checksum in claimed]
            if self._claims.shared:
                # Another repository may have brought a file just before the claim to it.
                mine = [file for file in mine if file not in self._pool]
            try:
                self._download(mine, repomd, outcome)
            finally:
                self._claims.release(claimed)
            theirs = [file for file in rest if file.checksum not in claimed]
            self._claims.wait(file.checksum for file in theirs)
            rest = [file for file in theirs if file not in self._pool]
        return outcome

    def _download(self, files: list[RemoteFile], repomd: Repomd | None, outcome: Outcome) -> None:
        pending = 0
        self._halt(halted=False)
        try:
            for result in self._results(files, repomd):
                if isinstance(result, Failed):
                    self._fail(result, outcome)
                    continue
                self._count(result)
                pending += result.size
                if pending >= COMMIT_BYTES or len(self._landed) >= COMMIT_FILES:
                    self.commit()
                    pending = 0
        finally:
            self.commit()

    def _results(self, files: list[RemoteFile], repomd: Repomd | None) -> Iterator[Landed | Failed]:
        if self._crew is not None and self._crew.suits(len(files)) and self._crew.start():
            records = any(file.kind is Kind.RECORD for file in files)
            return self._crew.bring(files, repomd if records else None)
        self._bringer.repomd = repomd
        width, pace = max(1, min(self._width, len(files))), Pace(lambda: self._upstream.trip)
        return unordered_ahead(files, self._bringer.do, width, self._bringer.reaches, self._bringer.leave, pace)

    def _fail(self, failed: Failed, outcome: Outcome) -> None:
        if self._bringer.halted:
            return
        logger.info("%s: %s", self._repo_id, failed.error.message)
        outcome.failures.append((failed.file, failed.error))
        spared = self._allow_missing and isinstance(failed.error, NotFound)
        self._halt(halted=failed.file.kind is Kind.RECORD and not spared)

    def _halt(self, *, halted: bool) -> None:
        self._bringer.halted = halted
        if self._crew is not None:
            self._crew.halted = halted

    def received(self, size: int) -> None:
        """Tell of bytes that came."""
        self._watch.receive(self._repo_id, size)

    def take(self, unproved: Unproved) -> None:
        """Take a file that came another way; it is here when it is committed."""
        self._count(unproved)

    def _count(self, landed: Landed | Unproved) -> None:
        self._landed.append(landed)
        self._watch.land(self._repo_id)
        received = landed.size - landed.resumed
        if received or not landed.size:
            self._downloaded.count(received)
            if landed.file.kind is Kind.RECORD:
                self._downloaded.metadata_bytes += received

    def commit(self) -> None:
        """Make what has landed durable, then give it its names in the pool."""
        if not self._landed:
            return
        landed, self._landed = self._landed, []
        self.filled += len(landed)
        with translated("cannot keep what was downloaded"):
            for partial in landed:
                self._pool.promise(partial.file.checksum, partial.key)
            if any(not partial.file.checksum.strong for partial in landed):
                write_weak(self._own.weak, self._pool.weak)
            sync_filesystem(self._own.folder)
            for partial in landed:
                self._pool.admit(partial.path, partial.key)


def clear_leftovers(layout: Layout, own: RepoLayout) -> None:
    """Remove what earlier runs left, once everything that is wanted has its place.

    Some of it may be the last name but the pool's of what a failed run brought, and nobody wants any more.
    """
    with translated("cannot clear incoming"):
        left = [f"{own.incoming}/{name}" for name in os.listdir(own.incoming)]
        if os.path.lexists(own.staged) or any(os.lstat(path).st_nlink > 1 for path in left):
            owe_sweep(layout)
        clear_stage(own)
        left += [f"{own.folder}/{name}" for name in os.listdir(own.folder) if name.endswith(UNFINISHED)]
        for path in left:
            # What a verify beside us writes, which takes no lock, may have its name by now.
            with contextlib.suppress(IsADirectoryError, FileNotFoundError):
                os.unlink(path)
