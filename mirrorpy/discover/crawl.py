"""The walk through the folders below a URL, level by level, bounded in depth, pages and time.

A repository is a folder whose repodata/repomd.xml can be read; what lies below it is its own and not looked at. An
installer tree is one whose .treeinfo can be read, which servers often hide from their listings.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from mirrorpy.config.model import Repository
from mirrorpy.errors import MirrorError, redact
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.repomd import parse_repomd
from mirrorpy.rpmmd.treeinfo import TREEINFO_HREFS, parse_treeinfo
from mirrorpy.sync.listing import Choice
from mirrorpy.sync.parallel import unordered
from mirrorpy.upstream import Network, Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirrorpy.sync.report import Watch

REQUESTS = 4
"""At a time, to the one host there is."""
RETRIES = 2
DEPTH = 8
ROBOTS_CAP = 512 * 1024
AGENT = "mirrorpy"
MAX_ERRORS = 20
"""Told one by one."""
_OF_TREES = {"images", "isolinux", "LiveOS", *TREEINFO_HREFS}
"""Names in installer trees."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a walk goes, and where."""

    depth: int = DEPTH
    """Folders below the URL."""
    pages: int = 10_000
    seconds: float = 1800.0
    match: tuple[str, ...] = ()
    """Globs of paths below the URL; a repository fits one of them, where there are any."""
    exclude: tuple[str, ...] = ()
    """Globs of folders that are not entered."""

    def enters(self, path: str) -> bool:
        """Tell whether a folder is looked at; hidden ones are no part of what is published."""
        hidden = path.rpartition("/")[2].startswith(".")
        return not hidden and not Choice(exclude=self.exclude).leaves_out(path)

    def takes(self, path: str) -> bool:
        """Tell whether a repository is wanted."""
        return Choice(include=self.match).takes(path)


@dataclass(frozen=True, slots=True)
class Found:
    """A repository or an installer tree."""

    path: str
    """Below the URL, decoded; empty for the URL itself."""
    repository: bool
    tree: bool


@dataclass(slots=True)
class Survey:
    """What a walk found."""

    url: str
    found: list[Found] = field(default_factory=list)
    """Sorted by path."""
    pages: int = 0
    beside: int = 0
    """Files that no repository has: they lie in the folders between."""
    beside_first: str = ""
    """The path of one of them."""
    warnings: list[str] = field(default_factory=list)
    """What was not looked at, and why."""


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    above: tuple[int, ...] = ()
    """What the folders list that it lies in, as hashes."""


@dataclass(frozen=True, slots=True)
class _Visit:
    found: Found | None = None
    below: tuple[_Folder, ...] = ()
    files: tuple[str, ...] = ()
    error: MirrorError | None = None
    looked: bool = True


def explore(url: str, bounds: Bounds, watch: Watch) -> Survey:
    """Walk through what lies below a URL.

    Raises:
        FetchError: The URL itself cannot be had.
        UpstreamError: It is neither the listing of a folder nor a repository.
    """
    network = Network(max_parallel_downloads=REQUESTS)
    survey = Survey(redact(url))
    upstream = Upstream(Repository(id=survey.url, path="", baseurls=(url,), retries=RETRIES), network)
    try:
        survey.warnings += _robots(upstream, url)
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
        self._beyond = self._late = 0
        """Folders that are more than the bound of pages, and those whose turn came too late."""

    def run(self, watch: Watch) -> None:
        """Look at one level after the other."""
        survey, bounds = self._survey, self._bounds
        level = [_Folder("")]
        for _ in range(bounds.depth + 1):
            level = self._look(level, watch)
        if level:
            survey.warnings.append(f"{len(level)} folders lie deeper than {bounds.depth}, and are left out")
        if self._late:
            survey.warnings.append(f"{self._late} folders are left out: {bounds.seconds:.0f} seconds are over")
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
        for visit in unordered(first, self._visit, REQUESTS):
            survey.pages += visit.looked
            self._late += not visit.looked
            if visit.found is not None and self._bounds.takes(visit.found.path):
                survey.found.append(visit.found)
            if visit.error is not None:
                if survey.pages == 1 and not visit.below:
                    raise visit.error
                self._errors.append(visit.error)
            survey.beside += len(visit.files)
            survey.beside_first = min(filter(None, (survey.beside_first, *visit.files[:1])), default="")
            room = max(0, self._bounds.pages - len(below))
            below += visit.below[:room]
            self._beyond += len(visit.below[room:])
            watch.step(survey.url, f"{survey.pages} folders, {len(survey.found)} found")
        return sorted(below, key=lambda folder: folder.path)

    def _visit(self, folder: _Folder) -> _Visit:
        if time.monotonic() > self._until:
            return _Visit(looked=False)
        path = folder.path
        try:
            listed = self._upstream.persist(lambda base: self._upstream.listing(base, path))
        except MirrorError as error:
            # A server that lists nothing may still have a repository at the very URL.
            if not path and self._read(path, REPOMD_HREF, parse_repomd) is None:
                return _Visit(self._found(path, repository=True))
            return _Visit(error=error)
        here = hash(frozenset(listed))
        if listed and here in folder.above:
            # A link to a folder that it lies in: there is no end to what is below it.
            return _Visit()
        names = {entry.name for entry in listed}
        lack = self._read(path, REPOMD_HREF, parse_repomd) if "repodata" in names else None
        if "repodata" in names and lack is None:
            return _Visit(self._found(path, repository=True))
        found = self._found(path, repository=False) if names & _OF_TREES else None
        paths = [_below(path, entry.name) for entry in listed if entry.folder and entry.name != "repodata"]
        folders = tuple(_Folder(path, (*folder.above, here)) for path in paths if self._bounds.enters(path))
        files = tuple(_below(path, entry.name) for entry in listed if not entry.folder)
        return _Visit(found, folders, files, lack)

    def _found(self, path: str, *, repository: bool) -> Found | None:
        tree = any(self._read(path, href, parse_treeinfo) is None for href in TREEINFO_HREFS)
        return Found(path, repository, tree) if repository or tree else None

    def _read(self, path: str, href: str, parse: Callable[[bytes], object]) -> MirrorError | None:
        """Return why a document is none: not there, or a page that only stands in for it."""
        below = _below(path, href)
        try:
            document = self._upstream.persist(lambda base: self._upstream.read(base, below))
            parse(document.data or b"")
        except MirrorError as error:
            error.href = error.href or below
            return error
        return None


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _robots(upstream: Upstream, url: str) -> Iterator[str]:
    """Tell what robots.txt asks for; a person named this URL, so it is shown and not obeyed."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return
    try:
        document = upstream.read(f"{parts.scheme}://{parts.netloc}/", "robots.txt", cap=ROBOTS_CAP)
    except MirrorError:
        return
    robots = RobotFileParser()
    robots.parse((document.data or b"").decode("utf-8", "replace").splitlines())
    if not robots.can_fetch(AGENT, url):
        yield f"{document.url} asks robots to keep away from here"
    if delay := robots.crawl_delay(AGENT):
        yield f"{document.url} asks robots to wait {delay} seconds between requests"
