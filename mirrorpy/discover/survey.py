"""How far a walk goes, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field

from mirrorpy.sync.listing import Choice

DEPTH = 8


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
