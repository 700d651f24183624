"""One sync of one repository, in order; docs/explanation/architecture.md tells the same story."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
from typing import TYPE_CHECKING

from mirrorpy.errors import LeftPool, MirrorError, UpstreamMoving, redact
from mirrorpy.store.generation import published_generation
from mirrorpy.store.probe import check_space, probe_place
from mirrorpy.sync.ending import leave_unchanged, publish_plan, tell_plan
from mirrorpy.sync.memory import recall, remember_run
from mirrorpy.sync.old_tree import begin_adoption
from mirrorpy.sync.planning import plan_of
from mirrorpy.sync.promised import doubt_nested
from mirrorpy.sync.publish import audit_published
from mirrorpy.sync.report import tell_followed
from mirrorpy.sync.run import Run
from mirrorpy.sync.shortfall import Restart, fill_elsewhere
from mirrorpy.sync.snapshot import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorpy.config.model import Repository
    from mirrorpy.store.layout import Layout
    from mirrorpy.sync.claims import Claims
    from mirrorpy.sync.publish import Audit
    from mirrorpy.sync.report import Options, RepoReport, Watch
    from mirrorpy.sync.snapshot import Snapshot
    from mirrorpy.upstream import Network

MAX_RESTARTS = 3
logger = logging.getLogger(__name__)


def sync_repository(
    repo: Repository,
    layout: Layout,
    network: Network,
    options: Options,
    *,
    claims: Claims,
    watch: Watch,
    clock: Callable[[], float] = time.time,
) -> RepoReport:
    """Bring one repository up to date, and report; what goes wrong is in the report, not raised."""
    started, run = time.monotonic(), Run(repo, layout, network, options, claims, watch, clock)
    try:
        with contextlib.ExitStack() as stack:
            run.prepare(stack)
            try:
                _follow(run)
                if run.adopter is not None:
                    run.adopter.finish(run.place, run.report)
            except MirrorError as error:
                run.fail(error)
            if not options.dry_run:
                remember_run(run.own.state, run.state, run.report, clock())
    except MirrorError as error:
        run.fail(error)
    except Exception as error:  # a fault of ours must not stop the other repositories
        logger.info("%s: the fault happened here", repo.id, exc_info=True)
        run.fail(MirrorError(f"unexpected {type(error).__name__}: {error}", hint="please report this, with -v"))
    run.step(None)
    run.report.requests, run.report.retries = run.upstream.tally.requests, run.upstream.tally.retries
    run.report.seconds = round(time.monotonic() - started, 3)
    return run.report


def _follow(run: Run) -> None:
    """Follow upstream, from the start again when it changes under way, or a repair takes away what was here."""
    if not run.options.dry_run:
        probe_place(run.layout, run.place, run.own)
        _begin_adoption(run)
    run.published = published_generation(run.place, run.own)
    for _ in range(MAX_RESTARTS + 1):
        lost = None
        try:
            _bring(run, _snapshot(run))
        except Restart:
            logger.info("%s: upstream changed meanwhile; starting again with what is here", run.repo.id)
        except LeftPool as error:
            logger.info("%s: %s: starting again with what is here", run.repo.id, error.cause)
            lost = error
        else:
            run.report.warnings += run.beside.warnings
            return
        finally:
            run.end_early()
    if lost is not None:
        raise lost
    raise UpstreamMoving(
        f"upstream changed under {MAX_RESTARTS + 1} attempts",
        url=redact(run.upstream.order[0]),
        hint="run again when it has settled",
    )


def _begin_adoption(run: Run) -> None:
    adoption = begin_adoption(run.options.adopt, run.repo, run.layout, run.place, run.own)
    if adoption is not None:
        from mirrorpy.sync.adopt import Adopter  # noqa: PLC0415  # once in a repository's life

        width = min(run.network.width, os.cpu_count() or 1)
        run.adopter = Adopter(
            adoption, run.layout, run.pool, run.own, repo_id=run.repo.id, width=width, watch=run.watch
        )


def _snapshot(run: Run) -> Snapshot:
    """Return the state of upstream to follow."""
    run.shortfall.clear()
    run.step("asking upstream")
    run.upstream.resolve()
    return read_snapshot(
        run.upstream,
        recall(run.published, run.state, run.repo, run.clock()),
        run.signed.check_pair,
        allow_rollback=run.options.allow_rollback,
        with_indexes=not run.options.dry_run or run.repo.repo_gpgcheck,
        or_plain=run.repo.tree == "all",
    )


def _bring(run: Run, snapshot: Snapshot) -> None:
    """Make the published tree what a snapshot promises."""
    tell_followed(run.report, snapshot, run.repo.max_age, run.clock())
    audit = _auditor(run)
    run.pool.trust_unsized = lambda: audit().whole
    run.step("looking beside the repository")
    run.beside.look(snapshot, run.published)
    _doubt_nested(run, snapshot)
    still = snapshot.lagging or run.shortfall.still(run.state.forgone, run.clock())
    settled = still and _settled(run, snapshot, audit) and run.beside.settled(run.published, audit().extras)
    if settled or snapshot.lagging:
        run.shortfall.keep(run.state.forgone)
    if settled:
        leave_unchanged(run, snapshot, audit().packages, audit().files, audit().bytes)
        return
    run.step("reading metadata")
    if not run.options.dry_run and not snapshot.plain:
        run.signed.bring_indexes(snapshot, run.published)
    plan = plan_of(run, snapshot)
    if run.options.dry_run:
        tell_plan(run, plan)
        return
    check_space(run.layout, plan.fetch_bytes)
    run.step("downloading")
    outcome = run.filler.fill(plan.fetch, snapshot.whole)
    fill_elsewhere(run.filler, plan, outcome)
    run.shortfall.judge(outcome, snapshot)
    run.shortfall.leave_out(plan)
    run.step("checking signatures")
    run.report.warnings += run.signed.check_packages(plan, run.pool, run.own, os.cpu_count() or 1)
    other = snapshot.changed or plan.changes or run.signed.anew
    if not (other or run.options.rebuild or run.filler.filled) and audit().whole:
        leave_unchanged(run, snapshot, plan.packages, len(plan.files), audit().bytes)
        return
    publish_plan(run, plan, snapshot)


def _auditor(run: Run) -> Callable[[], Audit]:
    """Return what looks at the published files when it is first asked; a state that upstream left needs no look."""

    @functools.cache
    def audit() -> Audit:
        run.step("looking at what is here")
        now, same_inode = run.clock(), run.options.checksum
        return audit_published(run.published, run.pool, run.repo.grace, now, same_inode=same_inode)

    return audit


def _doubt_nested(run: Run, snapshot: Snapshot) -> None:
    # Upstream's one bad repository of a hundred is no reason to stop, unless somebody asked for proof.
    lenient = run.repo.tree == "all" and not run.repo.strict_tree and run.signed.demands.repomd is None
    allow_rollback = run.options.allow_rollback
    run.report.warnings += doubt_nested(
        snapshot, run.published, run.clock(), lenient=lenient, allow_rollback=allow_rollback
    )


def _settled(run: Run, snapshot: Snapshot, audit: Callable[[], Audit]) -> bool:
    """Tell whether nothing changed, there or here or in the configuration, so that no metadata need be read."""
    same = not snapshot.changed and run.state.fingerprint == run.repo.fingerprint
    calm = same and not run.options.checksum and not run.state.missing
    if not calm or run.state.trust != run.signed.demands.trust or not audit().whole:
        return False
    if run.published is None or run.options.dry_run or run.clock() > run.state.signature_due:
        return True
    return not run.signed.came_since(snapshot, run.published)
