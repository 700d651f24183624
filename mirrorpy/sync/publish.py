"""From a plan whose files are all here to a published generation, and from there to fewer old ones."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorpy.errors import LeftPool
from mirrorpy.plan import Entry
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.model import Checksum, Kind
from mirrorpy.store.durable import translated
from mirrorpy.store.generation import Freed, Generation, drop_generation, list_generations, superseded
from mirrorpy.store.pool import KEY_ALGORITHM, hash_file, owe_sweep
from mirrorpy.store.stage import Stage, next_stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mirrorpy.plan import Plan
    from mirrorpy.store.layout import Layout, Place, RepoLayout
    from mirrorpy.store.pool import Pool


@dataclass(slots=True)
class Audit:
    """What a look at every published file says, by presence and size."""

    whole: bool = True
    """Whether all is there and no retirement is due."""
    packages: int = 0
    files: int = 0
    """Promised files, repomd.xml and retired ones aside."""
    extras: int = 0
    """Those among them that upstream itself does not promise."""
    bytes: int = 0


def audit_published(published: Generation | None, pool: Pool, grace: float, now: float, *, same_inode: bool) -> Audit:
    """Look at every file of the published generation.

    same_inode asks besides that each is the pool's own file, which then needs to be hashed only there.
    """
    audit = Audit()
    if published is None or not published.known:
        audit.whole = False
        return audit
    for entry in published.entries():
        if entry.retired is not None:
            audit.whole = audit.whole and entry.due(grace) > now
        elif entry.kind is not Kind.INDEX:
            audit.packages += entry.kind is Kind.PACKAGE
            audit.extras += entry.kind is Kind.EXTRA
            audit.files += 1
            audit.bytes += entry.size
        object_path = pool.path(entry.key) if same_inode and entry.key else None
        audit.whole = audit.whole and published.damage(entry, object_path) is None
        if same_inode and audit.whole:
            audit.whole = _proved(entry, published, pool)
    return audit


def _proved(entry: Entry, published: Generation, pool: Pool) -> bool:
    """Hash what no plan looks at: index files, and retired ones."""
    if entry.kind is Kind.INDEX and entry.promised is not None:
        return hash_file(f"{published.folder}/{entry.path}", entry.promised.algorithm) == [entry.promised.value]
    return entry.retired is None or entry.key is None or pool.holds(entry.key, entry.size)


@dataclass(slots=True)
class Publication:
    """What was published."""

    generation: Generation
    files: int = 0
    bytes: int = 0
    warnings: list[str] = field(default_factory=list)


def plan_entries(plan: Plan, pool: Pool) -> Iterator[Entry]:
    """Yield what the next generation holds; every promised file is in the pool by now.

    Raises:
        LeftPool: One is not.
    """
    for path, file in plan.files.items():
        key = pool.key(file.checksum)
        size = file.size if file.size is not None else pool.size(file)
        if key is None or size is None:
            raise LeftPool(path)
        yield Entry(path, size, file.kind, file.checksum, key)
    yield from plan.carried


def publish_entries(
    entries: Callable[[], Iterable[Entry]],
    indexes: dict[str, bytes],
    place: Place,
    layout: Layout,
    own: RepoLayout,
    pool: Pool,
    published: Generation | None,
    now: float,
    early: Stage | None = None,
) -> Publication:
    """Build a generation of these entries and index files, in a stage begun early if there is one, and switch to it.

    Retired files that cannot be linked any more are left out, with a warning; nobody is promised them.

    Raises:
        LeftPool: The pool lacks one.
        LocalError: This machine refuses.
    """
    stamp, seconds = next_stamp(published, list_generations(place, own), now)
    stage = early or Stage(layout, place, own)
    done = Publication(Generation(place.generation(stamp), stamp, "", ""))
    lost: set[str] = set()
    for entry in entries():
        if entry.retired is None:
            stage.link(entry, pool)
            done.files += 1
            done.bytes += entry.size
        elif not stage.carry(entry, pool, published):
            lost.add(entry.path)
            done.warnings.append(f"retired file {entry.path} is gone before its time")
    for path, data in indexes.items():
        stage.write(path, data, seconds)
    index_entries = [
        Entry(path, len(data), Kind.INDEX, Checksum.of(KEY_ALGORITHM, data), None) for path, data in indexes.items()
    ]
    kept = (entry for entry in entries() if entry.path not in lost)
    done.generation = stage.publish(stamp, itertools.chain(kept, index_entries))
    return done


def read_indexes_of(published: Generation) -> dict[str, bytes] | None:
    """Return the index files of a published generation, to be published once more; None if one is not whole."""
    found: dict[str, bytes] = {}
    for entry in published.entries():
        if entry.kind is Kind.INDEX:
            data = published.read(entry.path)
            if (
                data is None
                or len(data) != entry.size
                or entry.promised not in (None, Checksum.of(KEY_ALGORITHM, data))
            ):
                return None
            found[entry.path] = data
    plain = published.known and not found
    return found if REPOMD_HREF in found or plain else None


def drop_superseded(
    layout: Layout, place: Place, own: RepoLayout, keep: int, later: Iterable[Generation] = ()
) -> Freed:
    """Remove generations past keep, and those that are later than the one that was published until now.

    The pool's files that nothing needs any more are left to `sweep_pool`. That a sweep is owed is written down first,
    so that a killed run's successor does it.
    """
    freed = Freed()
    _drop(list(later), layout, freed)
    _drop(superseded(place, own, keep), layout, freed)
    return freed


def _drop(generations: list[Generation], layout: Layout, freed: Freed) -> None:
    if generations:
        with translated("cannot write"):
            owe_sweep(layout)
    for generation in generations:
        freed.add(drop_generation(generation))


def would_free(place: Place, own: RepoLayout, keep: int, needed: set[Checksum]) -> Freed:
    """Count what `drop_superseded` and a sweep would remove after one more publication."""
    dropped = list_generations(place, own)[max(0, keep - 1) :]
    links: dict[int, int] = {}
    freed = Freed()
    for generation in dropped:
        for entry in generation.entries():
            try:
                info = os.lstat(f"{generation.folder}/{entry.path}")
            except OSError:
                continue
            if entry.key is None or entry.key in needed:
                continue
            links[info.st_ino] = links.get(info.st_ino, 0) + 1
            if links[info.st_ino] + 1 == info.st_nlink:
                freed.files += 1
                freed.bytes += info.st_size
    return freed
