"""Generations: the published one, its predecessors, and dropping them."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.errors import LocalError
from mirrorpy.store.adoption import in_the_way
from mirrorpy.store.durable import is_there, translated
from mirrorpy.store.manifest import is_whole, read_manifest, tree_entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorpy.plan import Entry
    from mirrorpy.store.layout import Place, RepoLayout


@dataclass(frozen=True)
class Generation:
    """One state of a repository, on disk."""

    name: str
    stamp: str
    folder: str
    manifest: str

    @functools.cached_property
    def known(self) -> bool:
        """Whether its manifest is there, whole; asked of the disk once."""
        return is_whole(self.manifest)

    def entries(self) -> Iterator[Entry]:
        """Yield its files, from the manifest or, where that is lost, from the folder."""
        with translated(f"cannot read {self.folder}"):
            yield from read_manifest(self.manifest) if self.known else tree_entries(self.folder)

    def read(self, path: str) -> bytes | None:
        """Return a small file's bytes; None where it is not there."""
        with contextlib.suppress(OSError):
            descriptor = os.open(f"{self.folder}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:
                return file.read()
        return None

    def damage(self, entry: Entry, same_as: str | None = None) -> str | None:
        """Say what is wrong with one file, by presence and size; None if nothing.

        same_as names the pool object that it has to be, where no size is trusted.
        """
        try:
            info = os.lstat(f"{self.folder}/{entry.path}")
        except OSError:
            return "is gone"
        if not stat.S_ISREG(info.st_mode):
            return "is no regular file"
        if info.st_size != entry.size:
            return f"has {info.st_size} bytes instead of {entry.size}"
        if same_as is not None:
            with contextlib.suppress(OSError):
                return None if os.path.samestat(info, os.lstat(same_as)) else "is another file than the pool's"
            return "is not in the pool"
        return None


def published_generation(place: Place, own: RepoLayout) -> Generation | None:
    """Return what the published link points to; None where nothing is published, or an adoption is under way.

    Raises:
        LocalError: Something is there that mirrorpy did not make.
    """
    with translated("cannot read the published link"):
        try:
            info = os.lstat(place.link)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISDIR(info.st_mode):
            if in_the_way(place, own):
                return None
            raise LocalError(
                f"{place.link} is a real folder, not made by mirrorpy",
                hint="take it over with `mirrorpy adopt`, or move it away",
            )
        if not stat.S_ISLNK(info.st_mode):
            raise LocalError(f"{place.link} is no link of mirrorpy's", hint="move it away")
        name = os.readlink(place.link)
    stamp = place.stamp(name)
    if stamp is None:
        raise LocalError(f"{place.link} is a link to {name!r}, not made by mirrorpy", hint="move it away")
    folder = f"{place.folder}/{name}"
    return Generation(name, stamp, folder, own.manifest(stamp)) if os.path.isdir(folder) else None


def list_generations(place: Place, own: RepoLayout) -> list[Generation]:
    """Return every generation of a path, newest first."""
    if not is_there(place.folder):
        return []
    with translated("cannot list the generations"):
        names = os.listdir(place.folder)
    found = ((place.stamp(name), name) for name in names)
    return [
        Generation(name, stamp, f"{place.folder}/{name}", own.manifest(stamp))
        for stamp, name in sorted(((stamp, name) for stamp, name in found if stamp), reverse=True)
    ]


@dataclass(slots=True)
class Freed:
    """What a removal gave back."""

    files: int = 0
    bytes: int = 0

    def add(self, other: Freed) -> None:
        """Count another removal too."""
        self.files += other.files
        self.bytes += other.bytes


def drop_generation(generation: Generation) -> Freed:
    """Remove a generation's files and its manifest; what somebody else put there stays, with its folders."""
    freed = Freed()
    with translated("cannot remove an old generation"):
        real = {folder for folder, _, _ in os.walk(generation.folder)}
        for entry in generation.entries():
            path = f"{generation.folder}/{entry.path}"
            if os.path.dirname(path) not in real:
                continue
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                info = os.lstat(path)
                if stat.S_ISREG(info.st_mode):
                    os.unlink(path)
                    if entry.key is not None and info.st_nlink == 2:
                        freed.files += 1
                        freed.bytes += info.st_size
        # The folder last: while it is there, a run after a crash finds what is left.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(generation.manifest)
        drop_empty(generation)
    return freed


def drop_empty(generation: Generation) -> None:
    """Remove the folders of a generation that have no file in them any more."""
    for folder, _, _ in os.walk(generation.folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def later_generations(current: Generation | None, place: Place, own: RepoLayout) -> list[Generation]:
    """Return generations newer than the published one: of a crash, or of a rollback by hand, which served them."""
    return [found for found in list_generations(place, own) if current is not None and found.stamp > current.stamp]


def superseded(place: Place, own: RepoLayout, keep: int) -> list[Generation]:
    """Return the generations past keep, oldest first; what a crash left newer than the published one is among them."""
    current = published_generation(place, own)
    if current is None:
        return []
    older = [found for found in list_generations(place, own) if found.stamp < current.stamp]
    return later_generations(current, place, own) + older[keep - 1 :][::-1]
