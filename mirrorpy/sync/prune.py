"""Dropping what nobody needs any more: old generations, files past their grace, and the pool's leftovers."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from mirrorpy.errors import LockHeld
from mirrorpy.store.durable import translated
from mirrorpy.store.generation import Freed, drop_generation, list_generations, published_generation
from mirrorpy.store.lock import lock_repository, own_pool, share_pool
from mirrorpy.store.pool import Pool, iter_unused
from mirrorpy.store.stage import clear_stage
from mirrorpy.store.state import read_state, write_state
from mirrorpy.sync.publish import drop_superseded, publish_entries, read_indexes_of, sweep_marker

if TYPE_CHECKING:
    from mirrorpy.config import Repository
    from mirrorpy.store.generation import Generation
    from mirrorpy.store.layout import Layout


def prune_repository(repo: Repository, layout: Layout, now: float) -> Freed:
    """Drop one repository's generations past keep, and publish it without the files past their grace.

    Raises:
        LockHeld: A sync is under way; it prunes by itself.
        LocalError: This machine refuses.
    """
    own, place = layout.repo(repo.id), layout.place(repo.path)
    if not os.path.isdir(own.folder):
        return Freed()
    with lock_repository(own.lock), share_pool(layout):
        published = published_generation(place, own)
        indexes = read_indexes_of(published) if published else None
        if published is not None and indexes is not None and _retirement_due(published, repo.grace, now):
            publish_entries(
                lambda: (
                    entry
                    for entry in published.entries()
                    if entry.key is not None and (entry.retired is None or entry.due(repo.grace) > now)
                ),
                indexes,
                place,
                layout,
                own,
                Pool(layout),
                published,
                now,
            )
            state = read_state(own.state)
            current = published_generation(place, own)
            state.generation = current.name if current else None
            with translated("cannot write"):
                write_state(own.state, state)
        return drop_superseded(layout, place, own, repo.keep)


def _retirement_due(published: Generation, grace: float, now: float) -> bool:
    return any(entry.retired is not None and entry.due(grace) <= now for entry in published.entries())


def sweep_pool(layout: Layout, *, owed_only: bool = False) -> Freed | None:
    """Remove the pool's files that no generation links to; None where a sync keeps the pool.

    owed_only does nothing unless a generation was dropped since the last sweep.
    """
    freed = Freed()
    marker = sweep_marker(layout)
    if not os.path.isdir(layout.pool) or (owed_only and not os.path.exists(marker)):
        return freed
    try:
        with own_pool(layout), translated("cannot prune the pool"):
            for path, size in iter_unused(layout):
                os.unlink(path)
                freed.files += 1
                freed.bytes += size
            with contextlib.suppress(FileNotFoundError):
                os.unlink(marker)
    except LockHeld:
        return None
    return freed


def forget_repository(repo_id: str, layout: Layout, current_path: str | None) -> Freed:
    """Drop everything of a repository that left the configuration, or what it left at former paths.

    Raises:
        LockHeld: A sync of it is under way.
        LocalError: This machine refuses, or something else is at its path by now.
    """
    own = layout.repo(repo_id)
    freed = Freed()
    with lock_repository(own.lock), share_pool(layout):
        state = read_state(own.state)
        for path in {state.path, *state.former_paths} - {current_path, ""}:
            place = layout.place(path)
            published = published_generation(place, own)
            with translated("cannot remove the repository"):
                if published is not None:
                    os.unlink(place.link)
                for generation in list_generations(place, own):
                    freed.add(drop_generation(generation))
                _remove_empty(place.folder, layout.root)
        with translated("cannot remove the repository's state"):
            if current_path is None:
                clear_stage(own)
                shutil.rmtree(own.incoming, ignore_errors=True)
                for name in os.listdir(own.folder):
                    if name != os.path.basename(own.lock):
                        os.unlink(f"{own.folder}/{name}")
            else:
                state.former_paths = []
                write_state(own.state, state)
    return freed


def _remove_empty(folder: str, root: str) -> None:
    """Remove folders that publishing made, as far up as they are empty."""
    with contextlib.suppress(OSError):
        while folder != root:
            os.rmdir(folder)
            folder = os.path.dirname(folder)
