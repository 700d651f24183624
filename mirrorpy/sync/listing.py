"""Everything below a URL, as its folders' listings show it: bounded, and nothing outside."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mirrorpy.errors import FetchError, MirrorError, NotFound, RepodataError, UpstreamError, redact
from mirrorpy.rpmmd.href import INDEX_FILES, check_href
from mirrorpy.rpmmd.model import Kind
from mirrorpy.sync.parallel import unordered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorpy.rpmmd.listing import Listing
    from mirrorpy.upstream import Upstream

MAX_LEVELS = 32
MAX_FOLDERS = 100_000
MAX_FILES = 1_000_000
"""Entries, wanted or not."""
MAX_WARNINGS = 100
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the listed files are wanted.

    A pattern without a slash matches a name at any depth, one with a slash the whole path; `**` stands for any folders.
    A folder's match is that of everything in it. What is excluded is not included again.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def leaves_out(self, path: str) -> bool:
        """Tell whether a file, or a folder with all that is in it, is excluded."""
        return any(_matches(glob, path) for glob in self.exclude)

    def takes(self, path: str) -> bool:
        """Tell whether a file is wanted."""
        included = not self.include or any(_matches(glob, path) for glob in self.include)
        return included and not self.leaves_out(path)


def _matches(glob: str, path: str) -> bool:
    names = path.split("/")
    parts = glob.rstrip("/").split("/")
    if len(parts) == 1:
        return any(fnmatchcase(name, parts[0]) for name in names)
    return _fits(parts[1:] if not parts[0] else parts, names)


def _fits(parts: Sequence[str], names: Sequence[str]) -> bool:
    if not parts:
        return True
    if parts[0] == "**":
        return any(_fits(parts[1:], names[skipped:]) for skipped in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], parts[0]) and _fits(parts[1:], names[1:])


@dataclass(slots=True)
class Crawl:
    """What was found."""

    files: set[str] = field(default_factory=set)
    """Paths of wanted files."""
    folders: set[str] = field(default_factory=set)
    """Paths of folders that were looked into; the base is not among them."""
    unread: dict[str, str] = field(default_factory=dict)
    """Folders that are there and could not be listed, and why: what is in them is not known."""
    warnings: list[str] = field(default_factory=list)
    """The first of them."""
    untold: int = 0
    """How many more there are."""
    entries: int = 0
    """How many were listed, wanted or not."""

    def warn(self, text: str) -> None:
        """Take one more warning."""
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(text)
        else:
            self.untold += 1

    def hiding(self, path: str) -> set[str]:
        """Return the folders above a file that could not be listed."""
        parts = path.split("/")[:-1]
        return {"/".join(parts[:count]) for count in range(1, len(parts) + 1)} & self.unread.keys()


def crawl(upstream: Upstream, base: str, choice: Choice, width: int) -> Crawl:
    """Read the listings of a base and of all folders below it, level by level.

    Raises:
        FetchError: A server does not answer.
        RepodataError: The base itself shows no listing, or there is more below it than anything real has.
    """
    found = Crawl()
    above: dict[str, tuple[int, ...]] = {"": ()}
    """Hashes of the listings above each folder of a level: a link to a folder above shows the same again."""
    look = functools.partial(_look, upstream, base)
    while above:
        below: dict[str, tuple[int, ...]] = {}
        for folder, listed in unordered(sorted(above), look, max(1, min(width, len(above)))):
            if listed is None:
                found.folders.discard(folder)
                continue
            if isinstance(listed, MirrorError):
                found.unread[folder] = listed.cause
                continue
            shown = hash(frozenset(listed))
            if len(listed) > 1 and shown in above[folder]:
                found.warn(f"{folder}/ is left out: it shows what a folder above it does, as a link to it")
                continue
            below |= dict.fromkeys(_take(folder, listed, choice, found), (*above[folder], shown))
            if len(found.folders) > MAX_FOLDERS or found.entries > MAX_FILES:
                more = f"there are more than {MAX_FOLDERS} folders or {MAX_FILES} entries below it"
                raise RepodataError(more, url=redact(base))
        deep = {path for path in below if path.count("/") >= MAX_LEVELS}
        for path in sorted(deep)[:1]:
            found.warn(f"{path}/ is left out: it is {MAX_LEVELS} folders deep")
        above = {path: chain for path, chain in below.items() if path not in deep}
    return found


def _look(upstream: Upstream, base: str, folder: str) -> tuple[str, Listing | MirrorError | None]:
    """Read a folder's listing; None if it went meanwhile, which the folder above has to show too."""

    def read(path: str) -> Listing:
        return upstream.persist(lambda mirror: upstream.listing(mirror, path), [base])

    try:
        return folder, read(folder)
    except (FetchError, UpstreamError) as error:
        if not folder or (isinstance(error, FetchError) and error.retryable):
            error.href = error.href or folder or None
            raise
        failure = error
    if isinstance(failure, NotFound):
        parent, _, name = folder.rpartition("/")
        if not any(entry.folder and entry.name == name for entry in read(parent)):
            return folder, None
    return folder, failure


def _take(folder: str, listed: Listing, choice: Choice, found: Crawl) -> list[str]:
    """Sort one folder's entries; return the folders."""
    found.entries += len(listed)
    folders = []
    if listed.unusable:
        number, first = listed.unusable, listed.first_unusable
        found.warn(f"{folder or '.'}/ lists {number} names that no file here can have, and they are left out: {first}")
    for entry in listed:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if path in INDEX_FILES or choice.leaves_out(path):
            continue
        try:
            check_href(f"{path}/any" if entry.folder else path, Kind.EXTRA)
        except UpstreamError as error:
            found.warn(f"{error.message} (and is left out)")
            continue
        if entry.folder:
            folders.append(path)
            found.folders.add(path)
        elif choice.takes(path):
            found.files.add(path)
    return folders


def expand(upstream: Upstream, base: str, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the paths that globs mean, by the listings of their folders, and the globs that mean none.

    Raises:
        FetchError: A listing cannot be had.
        RepodataError: What is there is none.
    """
    listings: dict[str, Listing] = {}

    def children(folder: str) -> Listing:
        if folder not in listings:
            listings[folder] = upstream.persist(lambda mirror: upstream.listing(mirror, folder), [base])
        return listings[folder]

    def walk(folder: str, parts: list[str]) -> list[str]:
        part, rest = parts[0], parts[1:]
        if not _GLOB.search(part):
            path = f"{folder}/{part}" if folder else part
            return walk(path, rest) if rest else [path]
        fitting = [entry for entry in children(folder) if fnmatchcase(entry.name, part) and entry.folder == bool(rest)]
        paths = [f"{folder}/{entry.name}" if folder else entry.name for entry in fitting]
        return [below for path in paths for below in walk(path, rest)] if rest else paths

    means = {name: walk("", name.split("/")) for name in names}
    checked = [path for paths in means.values() for path in paths if _is_safe(path)]
    return checked, [name for name, paths in means.items() if not paths]


def _is_safe(path: str) -> bool:
    try:
        check_href(path, Kind.EXTRA)
    except UpstreamError:
        return False
    return path not in INDEX_FILES
