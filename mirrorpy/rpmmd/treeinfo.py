"""`.treeinfo`: what an installer tree has besides packages, in the old format (Anaconda's) and the new (productmd's).

The syntax is Python's ConfigParser's with case-sensitive keys and without interpolation, read here line by line: that
parser takes the square of what is not INI at all. What a section means is productmd's reading of it (`treeinfo.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from posixpath import normpath
from typing import TYPE_CHECKING

from mirrorpy.errors import MirrorError, RepodataError, one_line
from mirrorpy.rpmmd.href import check_href
from mirrorpy.rpmmd.model import Checksum, Kind, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

TREEINFO_HREFS = (".treeinfo", "treeinfo")
MAX_TREEINFO = 1024**2
"""Bytes; real ones have some thousands."""
MAX_ENTRIES = 10_000
"""Files and repositories."""
_STARTS = frozenset({"general", "header", "tree", "release"})
"""A .treeinfo has one of these sections, whatever wrote it."""
_STAGE2 = ("mainimage", "instimage")
_REPOSITORIES = ("repository", "debug_repository", "source_repository")
_BARE = {32: "md5", 40: "sha1", 64: "sha256"}
"""Digits → the algorithm of a checksum that does not name it, as old trees have them."""
_SETTING = re.compile(r"([^=:]*)[=:](.*)", re.DOTALL)
_PARENTS = re.compile(r"(?:\.\./)*")

Sections = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of the tree, and what it must be where the tree says so."""

    href: str
    checksum: Checksum | None


@dataclass(frozen=True, slots=True)
class Treeinfo:
    """What a .treeinfo says that a mirror needs."""

    files: tuple[TreeFile, ...]
    """Images, kernels, stage2 and what else has a checksum, but no metadata, whose checksums here age; each once."""
    repositories: tuple[str, ...]
    """Of variants and addons, below the tree: `addons/HighAvailability`; those outside lead with `../`. Not its own."""
    warnings: tuple[str, ...]
    """What was left out, and why."""


def parse_treeinfo(data: bytes) -> Treeinfo:
    """Read a .treeinfo; what cannot be used of it is a warning.

    Raises:
        RepodataError: It is none, or has more than a tree can have.
    """
    sections = _read_sections(data)
    if not _STARTS & sections.keys():
        raise RepodataError("is no .treeinfo: it has none of the sections general, header, tree and release")
    old = "version" not in sections.get("header", {})
    warnings: list[str] = []
    files: dict[str, Checksum | None] = {}
    for written, digest in _iter_files(sections):
        path = _inside(written) if old else written
        if plain(path) in TREEINFO_HREFS or "repodata" in path.split("/")[:-1]:
            continue
        try:
            href = plain(check_href(path, Kind.RECORD))
        except MirrorError as error:
            warnings.append(_left_out(written or "a file without a name", error))
            continue
        files.setdefault(href, None)
        if digest is None:
            continue
        try:
            checksum = _parse_checksum(digest)
        except RepodataError as error:
            warnings.append(f"{href} is not verified: {error.cause}")
            continue
        if files[href] not in (None, checksum):
            warnings.append(f"{href} has two checksums; the first counts")
            continue
        files[href] = checksum
    repositories = _repositories(sections, warnings, old=old)
    if len(files) + len(repositories) > MAX_ENTRIES:
        raise RepodataError(f".treeinfo names more than {MAX_ENTRIES} files and repositories")
    tree = tuple(TreeFile(href, files[href]) for href in sorted(files))
    return Treeinfo(tree, repositories, tuple(dict.fromkeys(warnings)))


def _read_sections(data: bytes) -> Sections:
    """Return settings by section; of a section or setting that stands there twice the last counts."""
    if len(data) > MAX_TREEINFO:
        raise RepodataError(f"has more than {MAX_TREEINFO} bytes")
    if data.lstrip()[:1] == b"<":
        raise RepodataError("is a web page, not a .treeinfo")
    sections: Sections = {}
    settings: dict[str, str] = {}
    key, indent = None, 0
    for number, line in enumerate(data.decode("utf-8-sig", "surrogateescape").split("\n"), 1):
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        before, indent = indent, line.index(text[0])
        if key is not None and indent > before:
            raise RepodataError(f".treeinfo has a setting of two lines, the second of which is line {number}")
        if text[0] == "[" and text[-1] == "]":
            settings, key = sections.setdefault(text[1:-1], {}), None
            continue
        setting = _SETTING.fullmatch(text)
        if setting is None or not sections:
            raise RepodataError(f"is no .treeinfo: line {number} is no setting of a section")
        key = setting[1].strip()
        settings[key] = setting[2].strip()
    return sections


def _iter_files(sections: Sections) -> Iterator[tuple[str, str | None]]:
    """Yield paths as they are written, with their checksums."""
    for title, settings in sections.items():
        if title.startswith("images-"):
            yield from ((path, None) for path in settings.values())
    stage2 = sections.get("stage2", {})
    yield from ((stage2[key], None) for key in _STAGE2 if key in stage2)
    yield from sections.get("checksums", {}).items()


def _inside(path: str) -> str:
    """Return a path of the old format below the tree, where it was written as one of the build host's."""
    if not path.startswith("/"):
        return path
    return path.partition("/os/")[2] or path.lstrip("/")


def _parse_checksum(text: str) -> Checksum:
    algorithm, colon, value = text.partition(":")
    return Checksum.parse(algorithm, value.strip()) if colon else Checksum.parse(_BARE.get(len(text)), text)


def _repositories(sections: Sections, warnings: list[str], *, old: bool) -> tuple[str, ...]:
    found: set[str] = set()
    for title, settings in sections.items():
        # The new format's [general] is for old readers, and says again what a variant says.
        if not title.startswith(("variant-", "addon-")) and not (old and title == "general"):
            continue
        for key in _REPOSITORIES:
            if not (written := settings.get(key)):
                continue
            try:
                found.add(_check_repository(written))
            except MirrorError as error:
                warnings.append(_left_out(f"repository {written} of [{title}]", error))
    return tuple(sorted(found - {"."}))


def _left_out(what: str, error: MirrorError) -> str:
    return f"{one_line(what[:300])} is left out: {error.cause}"


def _check_repository(written: str) -> str:
    """Return the path of a repository from the tree, normalised; old trees name its repodata folder."""
    if "://" in written:
        raise RepodataError("is a URL")
    path = normpath(written)
    path = path.removesuffix("/repodata") if path != "repodata" else "."
    parents = _PARENTS.match(f"{path}/")
    assert parents is not None
    below = path[parents.end() :]
    if below not in ("", "."):
        check_href(below, Kind.PACKAGE)
    return path if below else parents[0]
