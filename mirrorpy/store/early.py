"""A stage that is begun early: what is published is linked into it while the metadata that promises it is still read.

A sync that changes little of a large repository takes longer to link what stays than to download what is new. So a
process makes these links meanwhile. Nobody relies on it: what it did not link, or what is another file by now, is
linked when the generation is built.
"""

from __future__ import annotations

import contextlib
import logging
import marshal
import os
from collections import defaultdict
from typing import TYPE_CHECKING

from mirrorpy.rpmmd.href import INDEX_FILES
from mirrorpy.store.pool import owe_sweep
from mirrorpy.store.process import Process
from mirrorpy.store.stage import Stage, clear_stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorpy.rpmmd.model import Checksum, RemoteFile
    from mirrorpy.store.generation import Generation
    from mirrorpy.store.layout import Layout, Place, RepoLayout
    from mirrorpy.store.pool import Pool

WORTH = 1_000
"""Files from which on a process is worth its start."""
logger = logging.getLogger(__name__)
LINKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "linker.py")
ENTRY = 1024
"""Bytes of a folder for each file in it of which we want to know, up to which it is listed: names are 64 long."""


class EarlyStage:
    """A stage, and the process that links into it."""

    def __init__(self, stage: Stage, process: Process, layout: Layout, own: RepoLayout, pool: Pool) -> None:
        self._stage: Stage | None = stage
        self._process, self._layout, self._own, self._pool = process, layout, own, pool

    def stage(self, promised: Mapping[str, RemoteFile]) -> Stage | None:
        """Return the stage with its links, by path, as far as they are what the pool has now of what is promised.

        None where the stage is no good.
        """
        answer = self._answer()
        if self._stage is None or answer is None:
            logger.info("links made early are not used: their process did not tell of them")
            return None
        linked, folders = answer
        stage, self._stage = self._stage, None
        stage.take(self._sorted(linked, promised), [os.fsdecode(folder) for folder in folders])
        return stage

    def _sorted(
        self, linked: list[tuple[bytes, int]], promised: Mapping[str, RemoteFile]
    ) -> dict[str, Checksum | None]:
        """Return what was linked, by path, and its key; None where that is another file by now, or came in this run."""
        keys: dict[str, Checksum | None] = {}
        wanted: defaultdict[str, list[tuple[str, int, str, Checksum]]] = defaultdict(list)
        for name, inode in linked:
            path = os.fsdecode(name)
            file, keys[path] = promised.get(path), None
            key = None if file is None else self._pool.key(file.checksum)
            if key is not None and not self._pool.came(key):
                folder, _, name_there = self._pool.path(key).rpartition("/")
                wanted[folder].append((name_there, inode, path, key))
        for folder, files in wanted.items():
            here = _inodes(folder, [name for name, *_ in files])
            keys.update((path, key) for name, inode, path, key in files if here.get(name) == inode)
        return keys

    def _answer(self) -> tuple[list[tuple[bytes, int]], list[bytes]] | None:
        """Let the process finish; return path and inode of each file that it linked, and the folders that it made."""
        self._process.tell(b"?")
        try:
            linked, folders = marshal.load(self._process.answers)  # noqa: S302  # our own process wrote it
        except (EOFError, OSError, TypeError, ValueError):
            return None
        return linked, folders

    def end(self) -> None:
        """End the process; a stage that nobody took is cleared away."""
        self._process.end()
        if self._stage is not None:
            self._stage = None
            # Where this fails, the next run does it.
            with contextlib.suppress(OSError):
                if _has_last_links(self._own.staged):
                    owe_sweep(self._layout)
                clear_stage(self._own)


def begin_early(
    layout: Layout, place: Place, own: RepoLayout, pool: Pool, lock: int, published: Generation, count: int
) -> EarlyStage | None:
    """Return a stage that is begun with what is published, for about so many files; None where it is not worth it.

    The process keeps the open file lock's lock with us, so that no other run takes the stage for its own.

    Raises:
        LocalError: This machine refuses a folder.
    """
    if count < WORTH:
        return None
    stage = Stage(layout, place, own)
    try:
        process = Process(["-I", "-S", LINKER, published.folder, *INDEX_FILES], lock, cwd=own.staged, quiet=True)
    except OSError as error:
        logger.info("cannot start a process: %s", error)
        with contextlib.suppress(OSError):
            clear_stage(own)
        return None
    return EarlyStage(stage, process, layout, own, pool)


def _inodes(folder: str, names: list[str]) -> dict[str, int]:
    """Return the inodes of these files, as far as they are there: others' may be many more."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):
        if os.stat(folder).st_size <= ENTRY * len(names):
            with os.scandir(folder) as files:
                return {file.name: file.inode() for file in files}
    for name in names:
        with contextlib.suppress(OSError):
            found[name] = os.lstat(f"{folder}/{name}").st_ino
    return found


def _has_last_links(folder: str) -> bool:
    """Tell whether the pool's would be a file's only name, were this folder gone."""
    paths = (f"{parent}/{name}" for parent, _, names in os.walk(folder) for name in names)
    return any(os.lstat(path).st_nlink <= 2 for path in paths)
