"""How a sync ends: with a new generation, with the one that is there, or, dry, with what it would have done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.store.durable import translated
from mirrorpy.store.weak import write_weak
from mirrorpy.sync.fill import clear_leftovers
from mirrorpy.sync.memory import keep_validators, remember_publication, remember_signature
from mirrorpy.sync.publish import drop_superseded, plan_entries, publish_entries, would_free
from mirrorpy.sync.report import Moved, tell_planned, tell_retired, tell_unchanged

if TYPE_CHECKING:
    from mirrorpy.plan import Plan
    from mirrorpy.sync.run import Run
    from mirrorpy.sync.snapshot import Snapshot


def publish_plan(run: Run, plan: Plan, snapshot: Snapshot) -> None:
    """Publish what a plan wants, all of which is here.

    Raises:
        LeftPool: Something was here a moment ago.
        LocalError: This machine refuses.
    """
    run.step("publishing")
    done = publish_entries(
        lambda: plan_entries(plan, run.pool),
        snapshot.published_indexes,
        run.place,
        run.layout,
        run.own,
        run.pool,
        run.published,
        run.clock(),
        run.early.stage(plan.files) if run.early else None,
    )
    report, run.published = run.report, done.generation
    remember_publication(run.state, run.repo, done.generation, run.shortfall, run.signed.demands.trust)
    remember_signature(run.state, snapshot, run.clock())
    run.beside.remember()
    keep_validators(run.state, snapshot, run.upstream, run.repo, run.clock())
    report.outcome, report.generation = "updated", done.generation.name
    report.packages, report.bytes = plan.packages, done.bytes
    fetched = report.downloaded
    report.reused = Moved(max(0, done.files - fetched.files), max(0, done.bytes - fetched.bytes))
    tell_retired(report, plan)
    report.warnings += done.warnings
    _tidy(run)


def leave_unchanged(run: Run, snapshot: Snapshot, packages: int, files: int, size: int) -> None:
    """Leave the published generation, which has so many packages, files and bytes, as it is."""
    tell_unchanged(run.report, run.published.name if run.published else None, packages, files, size)
    if run.options.dry_run:
        return
    if run.published is not None:
        remember_publication(run.state, run.repo, run.published, run.shortfall, run.signed.demands.trust)
    run.beside.remember()
    keep_validators(run.state, snapshot, run.upstream, run.repo, run.clock())
    _tidy(run, lagging=snapshot.lagging)


def _tidy(run: Run, *, lagging: bool = False) -> None:
    """Remove what neither clients nor the next run need; where all mirrors lag, it may be of the state to come."""
    if not lagging:
        clear_leftovers(run.layout, run.own)
    freed = drop_superseded(run.layout, run.place, run.own, run.repo.keep, run.later)
    run.report.pruned = Moved(freed.files, freed.bytes)
    if run.pool.weak != run.weak:
        with translated("cannot write"):
            write_weak(run.own.weak, run.pool.weak)
    run.report.warnings += [
        f"is still published at {path} too; `mirrorpy prune --forget {run.repo.id}` removes that"
        for path in run.state.former_paths
    ]


def tell_plan(run: Run, plan: Plan) -> None:
    """Report what a run that is not dry would do."""
    tell_planned(run.report, plan)
    needed = {key for file in plan.files.values() if (key := run.pool.key(file.checksum))}
    needed |= {entry.key for entry in plan.carried if entry.key}
    freed = would_free(run.place, run.own, run.repo.keep, needed)
    run.report.pruned = Moved(freed.files, freed.bytes)
