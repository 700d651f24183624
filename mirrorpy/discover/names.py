"""Ids and paths for what was found: such as a configuration takes, and no two alike."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.config.resolve import MAX_NAME, folders_above

if TYPE_CHECKING:
    from collections.abc import Callable

RELEASE, ARCH, REPO = "\x01", "\x02", "\x03"
"""Stand for variables in a pattern: no name that was found has a control character."""
VARIABLES = {RELEASE: "releasever", ARCH: "basearch", REPO: "repo"}
ROOM = 10
"""Bytes of a name that are kept for a number."""
_PIECE = re.compile(r"([\x01-\x03])|([^\x01-\x03]+)")
_UNFIT = re.compile(r"[^A-Za-z0-9._:+\x01-\x03-]+")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Paths that differ in release, architecture and `repo` only, all combinations of which were found."""

    text: str
    values: dict[str, list[str]]
    """By the variable's character."""

    def expanded(self, text: str) -> list[str]:
        """Return a text with each combination put in."""
        texts = [text]
        for char, values in self.values.items():
            texts = [one.replace(char, value) for one in texts for value in values]
        return texts


def unambiguous(pattern: Pattern) -> list[Pattern]:
    """Return a pattern, or each of its paths as one where their ids would be too long, or not all different."""
    ids = pattern.expanded(_id_of(pattern.text))
    if not pattern.values or (len(set(ids)) == len(ids) and _fit(ids, pattern.expanded(_path_of(pattern.text)))):
        return [pattern]
    return [Pattern(text, {}) for text in pattern.expanded(pattern.text)]


class Names:
    """What entries are called; `fallback` is the name of one that has none."""

    def __init__(self, fallback: str) -> None:
        self._fallback = fallback
        self._ids: set[str] = set()
        self._paths: set[str] = set()
        self._folders: set[str] = set()
        self._numbers: defaultdict[str, int] = defaultdict(lambda: 1)

    def take(self, pattern: Pattern) -> tuple[str, str]:
        """Return a pattern's id and path; where others lie in the way its path is its id, with a number if need be."""
        text = pattern.text or self._fallback
        repo_id, path = _id_of(text), _path_of(text)
        if not _fit(pattern.expanded(repo_id), pattern.expanded(path)):
            repo_id = path = "repository"
        first = repo_id
        if not self._are_free(pattern.expanded(repo_id), pattern.expanded(path)):
            path = repo_id
        while not self._are_free(pattern.expanded(repo_id), pattern.expanded(path)):
            self._numbers[first] += 1
            repo_id = path = f"{first}-{self._numbers[first]}"
        self._ids.update(pattern.expanded(repo_id))
        self._paths.update(pattern.expanded(path))
        self._folders.update(*map(folders_above, pattern.expanded(path)))
        return repo_id, path

    def _are_free(self, ids: list[str], paths: list[str]) -> bool:
        above = (folder for path in paths for folder in folders_above(path))
        return (
            self._ids.isdisjoint(ids)
            and self._paths.isdisjoint(paths)
            and self._folders.isdisjoint(paths)
            and self._paths.isdisjoint(above)
        )


def shown(text: str, literally: Callable[[str], str] = str) -> str:
    """Return a pattern's text with its variables as `$name`, and everything else written by a function."""
    written = ""
    for match in _PIECE.finditer(text):
        char, literal = match[1], match[2]
        if literal:
            written += literally(literal)
        elif re.match(r"\w", text[match.end() :], re.ASCII):
            written += f"${{{VARIABLES[char]}}}"
        else:
            written += f"${VARIABLES[char]}"
    return written


def _fit(ids: list[str], paths: list[str]) -> bool:
    names = (name for path in paths for name in path.split("/"))
    return all(len(name.encode()) <= MAX_NAME - ROOM for some in (ids, names) for name in some)


def _id_of(text: str) -> str:
    name = _UNFIT.sub("_", text.replace("/", "-"))
    return name if name[:1] in VARIABLES or name[:1].isalnum() else f"repo-{name}"


def _path_of(text: str) -> str:
    """Return a path below root; what none may have is replaced."""
    fit = "".join(char if char in VARIABLES or (char.isprintable() and char != "$") else "_" for char in text)
    return "/".join(f"_{segment[1:]}" if segment.startswith(".") else segment for segment in fit.split("/"))
