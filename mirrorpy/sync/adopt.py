"""Taking over an old tree: what upstream promises goes into the pool, and the rest is left aside."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorpy.errors import UpstreamError, one_line
from mirrorpy.figures import files_text, size_text
from mirrorpy.store.adopted import Listing, Taken, list_tree, take_file
from mirrorpy.store.adoption import end_adoption, is_folder, leave_tree, note_adopted
from mirrorpy.store.durable import sync_filesystem, translated
from mirrorpy.store.generation import published_generation
from mirrorpy.store.layout import names_generation
from mirrorpy.store.weak import write_weak
from mirrorpy.sync.parallel import unordered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirrorpy.rpmmd.model import RemoteFile
    from mirrorpy.store.adoption import Adoption
    from mirrorpy.store.layout import Layout, Place, RepoLayout
    from mirrorpy.store.pool import Pool
    from mirrorpy.sync.report import RepoReport, Watch

COMMIT_BYTES, COMMIT_FILES = 1024**3, 5_000
"""How much may be taken before it is made durable."""
SHOWN = 3
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Search:
    """Files that are wanted, and the only files of the old tree that can be them."""

    wanted: list[RemoteFile]
    candidates: list[str]
    """Paths below the old tree, the likeliest first."""


@dataclass(slots=True)
class _Found:
    """What a search gave."""

    taken: list[tuple[Taken, str]] = field(default_factory=list)
    """With its path below the old tree."""
    faults: list[str] = field(default_factory=list)


class Adopter:
    """Takes one repository's files from an old tree."""

    def __init__(
        self,
        adoption: Adoption,
        layout: Layout,
        pool: Pool,
        own: RepoLayout,
        *,
        repo_id: str,
        width: int,
        watch: Watch,
    ) -> None:
        self._adoption, self._layout, self._pool, self._own = adoption, layout, pool, own
        self._repo_id, self._width, self._watch = repo_id, width, watch
        self._top = adoption.now
        self._known: Listing | None = None
        self._faults: list[str] = []

    def take(self, files: Sequence[RemoteFile], check: Callable[[Taken], None] | None = None) -> list[RemoteFile]:
        """Bring into the pool what the old tree has, under whatever name; return what it has not.

        Only files of the promised size are hashed, or where none is promised, of the same name. check may refuse a
        file that is otherwise what was promised.

        Raises:
            LocalError: This machine cannot take them.
        """
        if not files or not is_folder(self._top):
            return list(files)
        searches = list(self._searches(files))
        likely = [file for search in searches for file in search.wanted]
        self._watch.expect(self._repo_id, len(likely), sum(file.size or 0 for file in likely))
        landed: list[tuple[Taken, str]] = []
        pending = 0
        try:
            for found in unordered(searches, lambda search: self._search(search, check), self._width):
                self._faults += found.faults
                landed += found.taken
                pending += sum(taken.size for taken, _ in found.taken if not taken.linked)
                if pending >= COMMIT_BYTES or len(landed) >= COMMIT_FILES:
                    self._commit(landed)
                    landed, pending = [], 0
        finally:
            self._commit(landed)
        return [file for file in files if file not in self._pool]

    def _searches(self, files: Sequence[RemoteFile]) -> Iterator[_Search]:
        """Pair what is wanted with what could be it, so that each old file is hashed once at most."""
        if self._known is None:
            self._known = self._list(self._top)
        by_size, by_name = defaultdict(list), defaultdict(list)
        for file in files:
            if file.size is None:
                by_name[os.path.basename(file.path)].append(file)
            else:
                by_size[file.size].append(file)
        for size, wanted in by_size.items():
            if found := self._known.by_size.get(size):
                names = {os.path.basename(file.path) for file in wanted}
                yield _Search(wanted, sorted(found, key=lambda path: (os.path.basename(path) not in names, path)))
        named = defaultdict(list)
        for path in (path for paths in self._known.by_size.values() for path in paths) if by_name else ():
            named[os.path.basename(path)].append(path)
        for name, wanted in by_name.items():
            if name in named:
                yield _Search(wanted, sorted(named[name]))

    def _list(self, folder: str) -> Listing:
        """List an old tree; if it is below root, whatever is published there is none of it."""
        below_root = os.path.realpath(folder).startswith(f"{os.path.realpath(self._layout.root)}/")
        return list_tree(folder, lambda name: below_root and names_generation(name))

    def _search(self, search: _Search, check: Callable[[Taken], None] | None) -> _Found:
        found, lacking = _Found(), {file.checksum: file for file in search.wanted}
        for path in search.candidates:
            if not lacking:
                break
            try:
                taken = take_file(f"{self._top}/{path}", lacking.values(), self._own.incoming)
                if taken is None:
                    continue
                if check is not None:
                    check(taken)
            except OSError as error:
                found.faults.append(f"{path}: {error.strerror}")
                continue
            except UpstreamError as error:
                # A download will fail likewise, and be told of.
                logger.info("%s: %s is not taken: %s", self._repo_id, one_line(path), error.message)
                break
            del lacking[taken.file.checksum]
            found.taken.append((taken, path))
            self._watch.receive(self._repo_id, taken.size)
            self._watch.land(self._repo_id)
        return found

    def _commit(self, landed: list[tuple[Taken, str]]) -> None:
        """Make what was taken durable and its origin known, then give it its names in the pool."""
        if not landed:
            return
        with translated("cannot keep what was taken over"):
            for taken, _ in landed:
                self._pool.promise(taken.file.checksum, taken.key)
            if any(not taken.file.checksum.strong for taken, _ in landed):
                write_weak(self._own.weak, self._pool.weak)
            note_adopted(self._own, ((taken.key, path) for taken, path in landed if taken.linked))
            sync_filesystem(self._own.folder)
            for taken, _ in landed:
                self._pool.admit(taken.path, taken.key)

    def finish(self, place: Place, report: RepoReport) -> None:
        """Once the new tree is published: let nothing but mirrorpy reach the pool's files, and say what is left.

        Raises:
            LocalError: Something cannot leave the old tree; the next run tries again.
        """
        if is_folder(place.link):
            return
        adoption, top = self._adoption, self._adoption.now
        if adoption.remove and not adoption.same:
            adoption = adoption.leaving(remove=False)
            report.warnings.append(one_line(f"{top} is another folder than the one that was taken over: not removed"))
        published = published_generation(place, self._own)
        keys = {entry.key for entry in published.entries() if entry.key} if published else set()
        with translated("cannot leave the old tree"):
            leave_tree(adoption, self._own, self._pool, keys)
            left = self._list(top) if is_folder(top) else Listing()
            end_adoption(adoption, self._own)
        if left.files:
            told = f"{files_text(left.files)} ({size_text(left.bytes)})"
            where = "removed" if adoption.remove else f"set aside in {top}" if adoption.aside else f"left in {top}"
            report.warnings.append(one_line(f"{told} of the old tree {where}"))
        report.warnings += self._oddities(self._known or Listing())

    def _oddities(self, known: Listing) -> Iterator[str]:
        for what, paths in (
            ("cannot be taken over", [*known.unreadable, *self._faults]),
            ("symbolic link, not followed", known.links),
            ("no regular file", known.others),
        ):
            for path in paths[:SHOWN]:
                yield one_line(f"old tree: {what}: {path}")
            if len(paths) > SHOWN:
                yield f"old tree: {what}: {len(paths) - SHOWN:,} more"
