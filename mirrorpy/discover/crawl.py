"""The walk through the folders below a URL, level by level, bounded in depth, pages and time.

A repository is a folder whose repodata/repomd.xml can be read. What lies below it is its own, so only a few folders of
it are looked at, for other repositories. An installer tree is one whose .treeinfo can be read, which servers often
hide from their listings.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mirrorpy.config.model import Repository
from mirrorpy.discover.deadline import in_time
from mirrorpy.discover.robots import read_robots
from mirrorpy.discover.survey import Bounds, Found, Survey
from mirrorpy.errors import MirrorError, RepodataError, redact
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.repomd import parse_repomd
from mirrorpy.rpmmd.treeinfo import TREEINFO_HREFS, parse_treeinfo
from mirrorpy.sync.parallel import unordered
from mirrorpy.upstream import Network, Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirrorpy.rpmmd.listing import Listed
    from mirrorpy.rpmmd.treeinfo import Treeinfo
    from mirrorpy.sync.report import Watch

T = TypeVar("T")
REQUESTS = 4
"""At a time, to the one host there is."""
RETRIES = 2
LISTING_CAP = 8 * 1024**2
"""Bytes of a page: some 80,000 entries."""
MINRATE = 8 * 1024
"""Bytes a second: no page takes all the time there is."""
ROBOTS_SECONDS = 30.0
MAX_ERRORS = 20
"""Told one by one."""
_OF_TREES = {"images", "isolinux", "LiveOS", *TREEINFO_HREFS}
"""Names in installer trees."""
INSIDE = 2
"""Folders below a repository that are looked at for others, and how many at most beside each other."""
MAX_INSIDE = 50
_CONTENT = {"Packages", "RPMS", "SRPMS", "drpms", "repoview", "images", "isolinux", "LiveOS", "EFI"}
"""Folders of a repository that have no other below them."""


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    above: tuple[int, ...] = ()
    """What the folders list that it lies in, as hashes."""
    inside: int = 0
    """How far below a repository it is."""


@dataclass(frozen=True, slots=True)
class _Visit:
    found: Found | None = None
    below: tuple[_Folder, ...] = ()
    files: tuple[str, ...] = ()
    error: MirrorError | None = None


def explore(url: str, bounds: Bounds, watch: Watch) -> Survey:
    """Walk through what lies below a URL.

    Raises:
        FetchError: The URL itself cannot be had.
        UpstreamError: It is neither the listing of a folder nor a repository.
    """
    network = Network(max_parallel_downloads=REQUESTS)
    survey = Survey(redact(url))
    repo = Repository(id=survey.url, path="", baseurls=(url,), retries=RETRIES, minrate=MINRATE)
    upstream = Upstream(repo, network)
    try:
        until = time.monotonic() + min(ROBOTS_SECONDS, bounds.seconds)
        survey.warnings += in_time(read_robots(upstream, url), until)
        _Walk(upstream, bounds, survey).run(watch)
    finally:
        network.close()
        watch.step(survey.url, None)
    return survey


class _Walk:
    def __init__(self, upstream: Upstream, bounds: Bounds, survey: Survey) -> None:
        self._upstream, self._bounds, self._survey = upstream, bounds, survey
        self._until = time.monotonic() + bounds.seconds
        self._errors: list[MirrorError] = []
        self._beyond = 0
        """Folders that are more than the bound of pages."""
        self._late: list[str] = []
        """Those whose turn came too late, or that took too long."""
        self._addons: set[str] = set()
        """Repositories that the .treeinfo of one above names, and that are mirrored with it."""

    def run(self, watch: Watch) -> None:
        """Look at one level after the other."""
        survey, bounds = self._survey, self._bounds
        level = [_Folder("")]
        for _ in range(bounds.depth + 1):
            level = self._look(level, watch)
        if level:
            survey.warnings.append(f"{len(level)} folders lie deeper than {bounds.depth}, and are left out")
        if self._late:
            left = f"{len(self._late)} folders are left out, such as {self._shown(min(self._late))}"
            survey.warnings.append(f"{left}: {bounds.seconds:.0f} seconds are over")
        if self._beyond:
            survey.warnings.append(f"{self._beyond} folders are left out: {bounds.pages} were looked at")
        survey.warnings += sorted(f"left out: {error.message}" for error in self._errors)[:MAX_ERRORS]
        if len(self._errors) > MAX_ERRORS:
            survey.warnings.append(f"left out: {len(self._errors) - MAX_ERRORS} more that could not be read")
        survey.found.sort(key=lambda found: found.path)

    def _look(self, level: Sequence[_Folder], watch: Watch) -> list[_Folder]:
        """Look at these folders, and return those right below them."""
        survey, below = self._survey, list[_Folder]()
        first = level[: self._bounds.pages - survey.pages]
        self._beyond += len(level) - len(first)
        waiting = {folder.path for folder in first}
        for path, visit in in_time(unordered(first, self._visit_in_time, REQUESTS), self._until):
            if visit is None:
                continue
            waiting.remove(path)
            survey.pages += 1
            if visit.found is not None and self._bounds.takes(visit.found.path):
                survey.found.append(visit.found)
            if visit.error is not None:
                if survey.pages == 1 and not (visit.below or visit.found):
                    raise visit.error
                self._errors.append(visit.error)
            survey.beside += len(visit.files)
            survey.beside_first = min(filter(None, (survey.beside_first, *visit.files[:1])), default="")
            room = max(0, self._bounds.pages - len(below))
            below += visit.below[:room]
            self._beyond += len(visit.below[room:])
            watch.step(survey.url, f"{survey.pages} folders, {len(survey.found)} found")
        self._late += waiting
        return sorted(below, key=lambda folder: (folder.inside, folder.path))

    def _visit_in_time(self, folder: _Folder) -> tuple[str, _Visit | None]:
        return folder.path, self._visit(folder) if time.monotonic() < self._until else None

    def _visit(self, folder: _Folder) -> _Visit:
        path = folder.path
        try:
            listed = self._upstream.persist(lambda base: self._upstream.listing(base, path, cap=LISTING_CAP))
        except MirrorError as error:
            # A server that lists nothing may still have a repository at the very URL.
            if not path and not isinstance(self._read(path, REPOMD_HREF, parse_repomd), MirrorError):
                return _Visit(self._repository(path))
            return _Visit(error=error)
        here = hash(frozenset(listed))
        if len(listed) > 1 and here in folder.above:
            # There is no end to what is below it. A lone name may be that of its folder by chance.
            return _Visit(
                error=RepodataError("shows what a folder above it does, as a link to it", url=self._shown(path))
            )
        names = {entry.name for entry in listed}
        repomd = self._read(path, REPOMD_HREF, parse_repomd) if "repodata" in names else None
        lack = repomd if isinstance(repomd, MirrorError) else None
        above = (*folder.above, here)
        if repomd and not lack:
            # First its addons are learnt, then what is below is chosen.
            found = self._repository(path)
            return self._inside(path, above, 1, listed, found)
        if folder.inside:
            return self._inside(path, above, folder.inside + 1, listed, None, lack)
        tree = names & _OF_TREES and self._tree(path)
        files = tuple(_below(path, entry.name) for entry in listed if not entry.folder)
        folders = tuple(_Folder(below, above) for below in self._entered(path, listed))
        return _Visit(Found(path, repository=False, tree=True) if tree else None, folders, files, lack)

    def _inside(
        self,
        path: str,
        above: tuple[int, ...],
        inside: int,
        listed: Sequence[Listed],
        found: Found | None,
        lack: MirrorError | None = None,
    ) -> _Visit:
        """Return what to look at of a repository's own folders: few of them, and not those that hold packages."""
        likely = [entry for entry in listed if entry.name not in _CONTENT]
        below = self._entered(path, likely) if inside <= INSIDE else []
        if len(below) > MAX_INSIDE:
            cause = f"has {len(below)} folders in a repository, too many to look for others in them"
            return _Visit(found, error=RepodataError(cause, url=self._shown(path)))
        return _Visit(found, tuple(_Folder(one, above, inside) for one in below), error=lack)

    def _shown(self, path: str) -> str:
        return _below(self._survey.url.rstrip("/"), f"{path}/" if path else "")

    def _entered(self, path: str, listed: Sequence[Listed]) -> list[str]:
        paths = [_below(path, entry.name) for entry in listed if entry.folder and entry.name != "repodata"]
        return [below for below in paths if self._bounds.enters(below) and below not in self._addons]

    def _repository(self, path: str) -> Found:
        tree = self._tree(path)
        self._addons.update(_below(path, addon) for addon in (tree.repositories if tree else ()))
        return Found(path, repository=True, tree=tree is not None)

    def _tree(self, path: str) -> Treeinfo | None:
        for href in TREEINFO_HREFS:
            tree = self._read(path, href, parse_treeinfo)
            if not isinstance(tree, MirrorError):
                return tree
        return None

    def _read(self, path: str, href: str, parse: Callable[[bytes], T]) -> T | MirrorError:
        """Return a document, or why it is none: not there, or a page that only stands in for it."""
        below = _below(path, href)
        try:
            document = self._upstream.persist(lambda base: self._upstream.read(base, below))
            return parse(document.data or b"")
        except MirrorError as error:
            error.href = error.href or below
            return error


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
