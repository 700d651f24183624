"""Building the next generation out of sight, and publishing it by renaming one link over another."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from mirrorpy.errors import LeftPool
from mirrorpy.store.adoption import in_the_way, replace_tree
from mirrorpy.store.durable import (
    FILE_MODE,
    FOLDER_MODE,
    make_folders,
    sync_filesystem,
    sync_folder,
    translated,
)
from mirrorpy.store.generation import Generation, published_generation
from mirrorpy.store.layout import seconds_of, stamp_of
from mirrorpy.store.manifest import write_manifest
from mirrorpy.store.pool import owe_sweep

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirrorpy.plan import Entry
    from mirrorpy.rpmmd.model import Checksum
    from mirrorpy.store.layout import Layout, Place, RepoLayout
    from mirrorpy.store.pool import Pool


class Stage:
    """A generation under construction, in the repository's own state folder.

    It is begun anew each time: linking 70,000 files takes less than a second, and nothing of a killed run is trusted.
    """

    def __init__(self, layout: Layout, place: Place, own: RepoLayout) -> None:
        self._layout, self._place, self._own = layout, place, own
        self._folder = own.staged
        self._made: set[str] = {""}
        self._linked: dict[str, Checksum | None] = {}
        """What was linked early, by path, and its name in the pool."""
        with translated("cannot prepare the next generation"):
            if os.path.lexists(own.staged):
                owe_sweep(layout)
            clear_stage(own)
            os.mkdir(self._folder, FOLDER_MODE)
            os.chmod(self._folder, FOLDER_MODE)

    def _target(self, path: str) -> str:
        parent = path.rpartition("/")[0]
        if parent not in self._made:
            self._make(parent)
        return f"{self._folder}/{path}"

    def _make(self, folder: str) -> None:
        parent = folder.rpartition("/")[0]
        if parent not in self._made:
            self._make(parent)
        full = f"{self._folder}/{folder}"
        os.mkdir(full, FOLDER_MODE)
        os.chmod(full, FOLDER_MODE)
        self._made.add(folder)

    def link(self, entry: Entry, pool: Pool) -> None:
        """Put a file of the pool into the generation.

        Raises:
            LeftPool: The pool has it no more.
            LocalError: This machine refuses.
        """
        assert entry.key is not None
        with translated(f"cannot link {entry.path} from the pool"):
            if self._has(entry):
                return
            target = self._target(entry.path)
            try:
                pool.place(entry.key, target)
            except FileNotFoundError:
                raise LeftPool(entry.path) from None

    def _has(self, entry: Entry) -> bool:
        """Tell whether a file was linked early."""
        return entry.key is not None and self._linked.get(entry.path) == entry.key

    def take(self, linked: dict[str, Checksum | None], folders: Iterable[str]) -> None:
        """Count on what was linked early, by path, its name in the pool; None is not wanted, and goes with its folder.

        Raises:
            LocalError: This machine refuses.
        """
        with translated("cannot prepare the next generation"):
            for path in [path for path, key in linked.items() if key is None]:
                os.unlink(f"{self._folder}/{path}")
                del linked[path]
            for folder in sorted(folders, reverse=True):
                try:
                    os.rmdir(f"{self._folder}/{folder}")
                except OSError:
                    self._made.add(folder)
        self._linked = linked

    def carry(self, entry: Entry, pool: Pool, old: Generation | None) -> bool:
        """Put a retired file into the generation, from the pool or the generation before; False if neither has it."""
        with translated(f"cannot carry {entry.path}"):
            if self._has(entry):
                return True
            if entry.key is not None and pool.holds(entry.key, entry.size):
                pool.link(entry.key, self._target(entry.path))
                return True
            same = pool.path(entry.key) if entry.key else ""
            if old is None or old.damage(entry) or os.path.exists(same):
                return False
            source = f"{old.folder}/{entry.path}"
            if entry.key is not None and not pool.vouches(source, entry.key):
                return False
            os.link(source, self._target(entry.path), follow_symlinks=False)
        return True

    def write(self, path: str, data: bytes, modified: int) -> None:
        """Write a file of this generation alone, with a time in seconds since the epoch."""
        with translated(f"cannot write {path}"):
            target = self._target(path)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(descriptor, FILE_MODE)
                os.utime(descriptor, (modified, modified))

    def publish(self, stamp: str, entries: Iterable[Entry]) -> Generation:
        """Make the generation durable and switch the published link to it.

        Raises:
            LocalError: This machine refuses; what is published stays as it was, or is the new generation whole.
        """
        name = self._place.generation(stamp)
        generation = Generation(name, stamp, f"{self._place.folder}/{name}", self._own.manifest(stamp))
        with translated("cannot publish"):
            write_manifest(f"{self._folder}.files", entries)
            make_folders(self._place.folder, below=self._layout.root)
            os.rename(self._folder, generation.folder)
            os.rename(f"{self._folder}.files", generation.manifest)
            sync_filesystem(self._layout.state)
            switch_link(self._place, self._own, name)
        return generation


def switch_link(place: Place, own: RepoLayout, name: str) -> None:
    """Point the published link to a generation, in one step that is durable."""
    published_generation(place, own)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(own.link)
    if adoption := in_the_way(place, own):
        replace_tree(adoption, name, own)
    else:
        os.symlink(name, own.link)
        os.rename(own.link, place.link)
    sync_folder(place.folder)


def clear_stage(own: RepoLayout) -> None:
    """Remove what a killed run was building."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{own.staged}.files")
    if os.path.lexists(own.staged):
        if os.path.islink(own.staged) or not os.path.isdir(own.staged):
            os.unlink(own.staged)
        else:
            shutil.rmtree(own.staged)


def next_stamp(published: Generation | None, newest: Iterable[Generation], now: float) -> tuple[str, int]:
    """Return a stamp, and its seconds since the epoch, later than every generation's.

    repomd.xml gets the same time, so that its Last-Modified and a server's ETag made of it change with each
    publication, also twice within a second and after a clock that was set back.
    """
    seconds = int(now)
    taken = [generation.stamp for generation in newest] + ([published.stamp] if published else [])
    latest = max(taken, default="")
    if latest >= stamp_of(seconds):
        seconds = (seconds_of(latest) or seconds) + 1
    return stamp_of(seconds), seconds
