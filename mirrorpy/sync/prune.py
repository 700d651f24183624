"""Dropping what nobody needs any more: old generations, files past their grace, and the pool's leftovers."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from mirrorpy.errors import LeftPool, LocalError, LockHeld
from mirrorpy.rpmmd.model import Kind
from mirrorpy.store.adoption import call_off, read_adoption, restore
from mirrorpy.store.durable import is_there, translated
from mirrorpy.store.generation import (
    Freed,
    drop_empty,
    drop_generation,
    list_generations,
    published_generation,
    superseded,
)
from mirrorpy.store.lock import lock_repository, own_pool, share_pool
from mirrorpy.store.pool import Pool, iter_unused, owe_sweep, sweep_marker
from mirrorpy.store.stage import clear_stage
from mirrorpy.store.state import read_state, write_state
from mirrorpy.sync.publish import drop_superseded, publish_entries, read_indexes_of

if TYPE_CHECKING:
    from mirrorpy.config.model import Config, Repository
    from mirrorpy.store.generation import Generation
    from mirrorpy.store.layout import Layout, Place, RepoLayout


def prune_repository(repo: Repository, layout: Layout, now: float) -> Freed:
    """Drop one repository's generations past keep, and publish it without the files past their grace.

    Raises:
        LockHeld: A sync is under way; it prunes by itself.
        LocalError: This machine refuses.
    """
    own, place = layout.repo(repo.id), layout.place(repo.path)
    if not is_there(own.folder) or not _has_work(place, own, repo, now):
        return Freed()
    with lock_repository(own.lock), share_pool(layout):
        published = published_generation(place, own)
        indexes = read_indexes_of(published) if published else None
        if published is not None and indexes is not None and _retirement_due(published, repo.grace, now):
            # What a repair could not replace is not in the pool: the next sync publishes.
            with contextlib.suppress(LeftPool):
                _republish(repo, layout, published, indexes, now)
        return drop_superseded(layout, place, own, repo.keep)


def republish_repository(repo: Repository, layout: Layout, now: float) -> bool:
    """Publish once more what is published, out of the pool; False where the pool has not every file, proved whole.

    Raises:
        LockHeld: A sync is under way.
        LocalError: This machine refuses.
    """
    own, place = layout.repo(repo.id), layout.place(repo.path)
    with lock_repository(own.lock), share_pool(layout):
        published = published_generation(place, own)
        indexes = read_indexes_of(published) if published else None
        if published is None or indexes is None:
            return False
        pool = Pool(layout, trust=False)
        files = (entry for entry in published.entries() if entry.kind is not Kind.INDEX)
        if not all(entry.key is not None and pool.holds(entry.key, entry.size) for entry in files):
            return False
        _republish(repo, layout, published, indexes, now)
        drop_superseded(layout, place, own, repo.keep)
        return True


def _republish(repo: Repository, layout: Layout, published: Generation, indexes: dict[str, bytes], now: float) -> None:
    """Switch to a new generation of the published one's files, without those past their grace."""
    own, place = layout.repo(repo.id), layout.place(repo.path)
    publish_entries(
        lambda: (
            entry
            for entry in published.entries()
            if entry.kind is not Kind.INDEX and (entry.retired is None or entry.due(repo.grace) > now)
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


def _has_work(place: Place, own: RepoLayout, repo: Repository, now: float) -> bool:
    """Look before locking, so that a sync that starts just now is not turned away for nothing."""
    try:
        published = published_generation(place, own)
        due = published is not None and _retirement_due(published, repo.grace, now)
        return due or bool(superseded(place, own, repo.keep))
    except LocalError:
        # It changes under our eyes; the lock will tell.
        return True


def _retirement_due(published: Generation, grace: float, now: float) -> bool:
    return any(entry.retired is not None and entry.due(grace) <= now for entry in published.entries())


def sweep_pool(layout: Layout, *, owed_only: bool = False) -> Freed | None:
    """Remove the pool's files that no generation links to; None where a sync keeps the pool.

    owed_only does nothing unless a generation was dropped since the last sweep.
    """
    freed = Freed()
    marker = sweep_marker(layout)
    if not is_there(layout.pool) or (owed_only and not is_there(marker)):
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


def forget_repository(repo_id: str, layout: Layout, config: Config) -> Freed:
    """Drop everything of a repository that left the configuration, or what it left at former paths.

    A path at which the configuration publishes something by now is left alone.

    Raises:
        LockHeld: A sync of it is under way.
        LocalError: This machine refuses.
    """
    own = layout.repo(repo_id)
    configured = any(repo.id == repo_id for repo in config.repos)
    freed = Freed()
    with lock_repository(own.lock), share_pool(layout):
        state, adoption = read_state(own.state), read_adoption(own)
        with translated("cannot write"):
            owe_sweep(layout)
        if adoption is not None:
            restore(adoption)
        for path in {state.path, *state.former_paths} - {""}:
            if all(path != repo.path for repo in config.repos):
                freed.add(_remove_published(layout.place(path), own, layout))
        with translated("cannot remove the repository's state"):
            # Where the published link has taken the old tree's place, the next sync ends it.
            if adoption is not None and (not configured or adoption.now == adoption.tree):
                call_off(adoption, own, Pool(layout))
            if configured:
                state.former_paths = []
                write_state(own.state, state)
            else:
                _remove_state(own)
    return freed


def _remove_published(place: Place, own: RepoLayout, layout: Layout) -> Freed:
    """Remove a published link and its generations, of which this repository has the manifest."""
    freed = Freed()
    with translated("cannot remove the repository"):
        published = published_generation(place, own)
        if published is not None and published.known:
            os.unlink(place.link)
        for generation in list_generations(place, own):
            if generation.known:
                freed.add(drop_generation(generation))
            else:
                drop_empty(generation)
        with contextlib.suppress(OSError):
            folder = place.folder
            while folder != layout.root:
                os.rmdir(folder)
                folder = os.path.dirname(folder)
    return freed


def _remove_state(own: RepoLayout) -> None:
    """Remove all but the lock, which is never removed; last the state, by which the next run knows of the rest."""
    clear_stage(own)
    shutil.rmtree(own.incoming, ignore_errors=True)
    state, lock = os.path.basename(own.state), os.path.basename(own.lock)
    for name in sorted(os.listdir(own.folder), key=lambda name: name == state):
        if name != lock:
            os.unlink(f"{own.folder}/{name}")
