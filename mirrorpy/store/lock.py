"""Locks: one run for each repository, and the pool shared by syncs and taken alone by a sweep.

flock(2) on files that are never removed: a killed holder's lock is free at once, and nobody locks a file that is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from mirrorpy.errors import LockHeld
from mirrorpy.store.durable import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorpy.store.layout import Layout


@contextlib.contextmanager
def _locked(path: str, operation: int) -> Iterator[int]:
    with translated("cannot lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        with translated(f"cannot lock {path}"):
            try:
                fcntl.flock(descriptor, operation)
            except BlockingIOError:
                raise LockHeld(f"{path} is held by another run", hint="wait for it to end") from None
        yield descriptor
    finally:
        os.close(descriptor)


def lock_repository(path: str) -> contextlib.AbstractContextManager[int]:
    """Hold a repository, its lock file being path; the open file's number is what processes of ours keep it with.

    Raises:
        LockHeld: Another run holds it.
    """
    return _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)


def share_pool(layout: Layout) -> contextlib.AbstractContextManager[int]:
    """Keep the pool from being swept, waiting for a sweep under way."""
    return _locked(f"{layout.state}/lock", fcntl.LOCK_SH)


def own_pool(layout: Layout) -> contextlib.AbstractContextManager[int]:
    """Hold the pool alone, for a sweep.

    Raises:
        LockHeld: A sync is under way.
    """
    return _locked(f"{layout.state}/lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
