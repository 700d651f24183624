"""A stage that is begun early: what the pool has is linked into it while the metadata that promises it is still read.

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

from mirrorpy.store.pool import owe_sweep
from mirrorpy.store.process import Process
from mirrorpy.store.stage import Stage, clear_stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mirrorpy.rpmmd.model import Checksum, RemoteFile
    from mirrorpy.store.layout import Layout, Place, RepoLayout
    from mirrorpy.store.pool import Pool

WORTH = 1_000
"""Files from which on a process is worth its start."""
BATCH = 256
"""Files that the process is told of at a time."""
logger = logging.getLogger(__name__)
LINKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "linker.py")
ENTRY = 1024
"""Bytes of a folder for each file in it of which we want to know, up to which it is listed: names are 64 long."""


class EarlyStage:
    """A stage, and the process that links into it."""

    def __init__(self, stage: Stage, process: Process, layout: Layout, own: RepoLayout, pool: Pool) -> None:
        self._stage: Stage | None = stage
        self._process, self._layout, self._own, self._pool = process, layout, own, pool
        self._told: list[tuple[str, Checksum]] = []
        self._batch: list[tuple[bytes, bytes, int]] = []

    def along(self, files: Iterable[RemoteFile]) -> Iterator[RemoteFile]:
        """Yield files, and have those linked that the pool has."""
        for file in files:
            if file.size is not None and (key := self._pool.key(file.checksum)) is not None:
                path = file.path
                self._told.append((path, key))
                self._batch.append((os.fsencode(self._pool.path(key)), os.fsencode(path), file.size))
                if len(self._batch) == BATCH:
                    self._tell()
            yield file

    def _tell(self) -> None:
        """Tell the process of a batch."""
        self._process.tell(marshal.dumps(self._batch))
        self._batch = []

    def stage(self) -> Stage | None:
        """Return the stage with its links, as far as they are the pool's own files by now; None where it is no good."""
        inodes, folders = self._answer()
        if self._stage is None or len(inodes) != len(self._told):
            logger.info("links made early are not used: their process did not tell of them")
            return None
        stage, self._stage = self._stage, None
        stage.take(self._linked(inodes), [os.fsdecode(folder) for folder in folders])
        return stage

    def _linked(self, inodes: list[int]) -> dict[str, Checksum | None]:
        """Return what was linked, by path, and its key; None where that is another file by now, or came in this run."""
        told: defaultdict[str, list[tuple[str, int, str, Checksum]]] = defaultdict(list)
        for (path, key), inode in zip(self._told, inodes, strict=True):
            if inode:
                folder, _, name = self._pool.path(key).rpartition("/")
                told[folder].append((name, inode, path, key))
        linked: dict[str, Checksum | None] = {}
        for folder, files in told.items():
            here = _inodes(folder, [name for name, *_ in files])
            for name, inode, path, key in files:
                linked[path] = key if here.get(name) == inode and not self._pool.came(key) else None
        return linked

    def _answer(self) -> tuple[list[int], list[bytes]]:
        """Let the process finish, and return the inodes that it linked and the folders that it made."""
        if self._batch:
            self._tell()
        self._tell()
        try:
            inodes, folders = marshal.load(self._process.answers)  # noqa: S302  # our own process wrote it
        except (EOFError, OSError, TypeError, ValueError):
            return [], []
        return inodes, folders

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


def begin_early(layout: Layout, place: Place, own: RepoLayout, pool: Pool, lock: int, count: int) -> EarlyStage | None:
    """Return a stage that is begun early, for about so many files; None where it is not worth it, or starts no process.

    The process keeps the open file lock's lock with us, so that no other run takes the stage for its own.

    Raises:
        LocalError: This machine refuses a folder.
    """
    if count < WORTH:
        return None
    stage = Stage(layout, place, own)
    try:
        process = Process(["-I", "-S", LINKER], lock, cwd=own.staged, quiet=True)
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
