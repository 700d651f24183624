"""What a snapshot promises, read and compared with what is here; the metadata that it takes is brought first."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from mirrorpy.plan import Plan, Rules, collect, plan_sync
from mirrorpy.store.early import begin_early
from mirrorpy.store.generation import later_generations
from mirrorpy.store.probe import check_space
from mirrorpy.sync.promised import tree_files
from mirrorpy.sync.records import Records, check_bases, lacking_records, open_check, recover

if TYPE_CHECKING:
    from mirrorpy.rpmmd.model import RemoteFile
    from mirrorpy.sync.run import Run
    from mirrorpy.sync.snapshot import Snapshot

TYPICAL = 1_500
"""Bytes of primary.xml for a package."""


def plan_of(run: Run, snapshot: Snapshot) -> Plan:
    """Return what is to be done to have what a snapshot promises.

    Raises:
        Restart: Upstream changed meanwhile.
        UpstreamError: What it promises cannot be read, or not be believed.
        FetchError: Its metadata cannot be had.
        LocalError: This machine cannot take them.
    """
    run.beside.read_nested(snapshot)
    if not run.options.dry_run:
        _bring_records(run, snapshot)
    records = Records(run.pool, run.upstream, run.shortfall.missing, run.spool)
    promised = tree_files(snapshot, records.open, run.report.warnings)
    files = collect(promised)
    run.report.warnings += check_bases(snapshot, files.values())
    run.beside.gather(files)
    rules = Rules(run.repo.grace, run.repo.max_shrink, run.options.allow_shrink, run.repo.tree == "all")
    previous = run.published.entries() if run.published else ()
    run.later = later_generations(run.published, run.place, run.own)
    served = itertools.chain.from_iterable(generation.entries() for generation in run.later)
    plan = plan_sync(files, run.pool, previous, rules, run.clock(), served)
    plan.fetch = _lacking(run, plan.fetch, snapshot)
    return plan


def _bring_records(run: Run, snapshot: Snapshot) -> None:
    """Bring the records that promise files."""
    _start_processes(run, snapshot)
    lacking = _lacking(run, lacking_records(snapshot.whole, run.pool), snapshot)
    check_space(run.layout, sum(file.size or 0 for file in lacking))
    run.shortfall.judge(run.filler.fill(lacking, snapshot.whole), snapshot)


def _start_processes(run: Run, snapshot: Snapshot) -> None:
    """Start processes while a lot of metadata comes: those that download, or one that links what is here."""
    primary = snapshot.whole.record("primary")
    count = ((primary.open_size if primary else None) or 0) // TYPICAL
    if run.crew is None:
        return
    if run.published is None:
        if run.crew.suits(count):
            run.crew.start()
    elif snapshot.changed and run.published.known and not run.options.checksum:
        # Without a manifest, a link more would make somebody's file one of ours.
        lock = run.crew.lock
        run.early = begin_early(run.layout, run.place, run.own, run.pool, lock, run.published, count)


def _lacking(run: Run, files: list[RemoteFile], snapshot: Snapshot) -> list[RemoteFile]:
    """Return the files that neither the published tree has, though the pool lost them, nor an old tree."""
    keep = not run.options.dry_run
    rest = [file for file in files if not recover(file, run.published, run.pool, keep=keep)]
    if run.adopter is None:
        return rest
    run.step("taking over what is here")
    repomd = snapshot.whole
    left = run.adopter.take(rest, lambda taken: open_check(repomd, taken))
    run.filler.filled += len(rest) - len(left)
    return left
