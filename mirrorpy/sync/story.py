"""One sync of one repository, in order; docs/explanation/architecture.md tells the same story."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.errors import FetchError, LeftPool, MirrorError, UpstreamMoving, redact
from mirrorpy.plan import Plan, Rules, collect, plan_sync
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.signatures import Demands
from mirrorpy.store.durable import translated
from mirrorpy.store.early import begin_early
from mirrorpy.store.generation import later_generations, published_generation
from mirrorpy.store.lock import lock_repository, share_pool
from mirrorpy.store.pool import Pool
from mirrorpy.store.probe import check_space, prepare_repository, prepare_root, probe_place
from mirrorpy.store.state import read_state
from mirrorpy.store.weak import read_weak, write_weak
from mirrorpy.sync.beside import Beside
from mirrorpy.sync.crew import Crew
from mirrorpy.sync.extras import Extras
from mirrorpy.sync.fill import Filler, clear_leftovers
from mirrorpy.sync.memory import keep_validators, recall, remember_publication, remember_run, remember_signature
from mirrorpy.sync.old_tree import begin_adoption
from mirrorpy.sync.promised import doubt_nested, tree_files
from mirrorpy.sync.publish import (
    audit_published,
    drop_superseded,
    plan_entries,
    publish_entries,
    read_indexes_of,
    would_free,
)
from mirrorpy.sync.records import Records, check_bases, lacking_records, open_check, recover
from mirrorpy.sync.report import Failure, Moved, RepoReport, tell_followed, tell_planned, tell_retired, tell_unchanged
from mirrorpy.sync.shortfall import Restart, Shortfall, fill_elsewhere
from mirrorpy.sync.signed import Signed
from mirrorpy.sync.snapshot import Snapshot, has_moved, read_indexes, read_snapshot
from mirrorpy.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorpy.config.model import Repository
    from mirrorpy.rpmmd.model import RemoteFile
    from mirrorpy.store.adopted import Taken
    from mirrorpy.store.early import EarlyStage
    from mirrorpy.store.generation import Generation
    from mirrorpy.store.layout import Layout
    from mirrorpy.sync.adopt import Adopter
    from mirrorpy.sync.claims import Claims
    from mirrorpy.sync.publish import Audit
    from mirrorpy.sync.report import Options, Watch
    from mirrorpy.upstream import Network

MAX_RESTARTS = 3
TYPICAL = 1_500
"""Bytes of primary.xml for a package."""
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
    return _Sync(repo, layout, network, options, claims, watch, clock).run()


@dataclass
class _Sync:
    """One run for one repository."""

    repo: Repository
    layout: Layout
    network: Network
    options: Options
    claims: Claims
    watch: Watch
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        self.own, self.place = self.layout.repo(self.repo.id), self.layout.place(self.repo.path)
        self.report = RepoReport(id=self.repo.id, path=self.repo.path)
        self.upstream = Upstream(self.repo, self.network)
        self.shortfall = Shortfall(self.repo, self.upstream, self.report, self.network.width)
        self.published: Generation | None = None
        self.later: list[Generation] = []
        self.resigned = False
        self.spool: str | None = None
        self.crew: Crew | None = None
        self.early: EarlyStage | None = None
        self.adopter: Adopter | None = None

    def run(self) -> RepoReport:
        started = time.monotonic()
        try:
            with contextlib.ExitStack() as stack:
                self._prepare(stack)
                try:
                    self._follow()
                    if self.adopter is not None:
                        self.adopter.finish(self.place, self.report)
                except MirrorError as error:
                    self._fail(error)
                if not self.options.dry_run:
                    remember_run(self.own.state, self.state, self.report, self.clock())
        except MirrorError as error:
            self._fail(error)
        except Exception as error:  # a fault of ours must not stop the other repositories
            logger.info("%s: the fault happened here", self.repo.id, exc_info=True)
            self._fail(MirrorError(f"unexpected {type(error).__name__}: {error}", hint="please report this, with -v"))
        self.watch.step(self.repo.id, None)
        self.report.requests = self.upstream.tally.requests
        self.report.retries = self.upstream.tally.retries
        self.report.seconds = round(time.monotonic() - started, 3)
        return self.report

    def _step(self, doing: str) -> None:
        self.watch.step(self.repo.id, doing)

    def _fail(self, error: MirrorError) -> None:
        self.report.outcome, self.report.error = "failed", Failure.of(error)

    def _prepare(self, stack: contextlib.ExitStack) -> None:
        """Lock; a dry run writes nothing, and gets a folder elsewhere for what it must read."""
        if self.options.dry_run:
            self.spool = stack.enter_context(tempfile.TemporaryDirectory(prefix="mirrorpy-"))
        else:
            prepare_root(self.layout)
            prepare_repository(self.layout, self.own)
            lock = stack.enter_context(lock_repository(self.own.lock))
            received = functools.partial(self.watch.receive, self.repo.id)
            self.crew = Crew(self.repo, self.network, self.upstream, self.own.incoming, lock, received)
            stack.callback(self.crew.end)
            stack.enter_context(share_pool(self.layout))
        self.state, self.signed = read_state(self.own.state), Signed(self.repo.id, Demands.of(self.repo))
        self.weak = read_weak(self.own.weak)
        self.pool = Pool(self.layout, dict(self.weak), trust=not self.options.checksum)
        self.filler = Filler(
            self.upstream,
            self.pool,
            self.own,
            repo_id=self.repo.id,
            width=self.network.width,
            claims=self.claims,
            watch=self.watch,
            downloaded=self.report.downloaded,
            allow_missing=self.repo.allow_missing,
            crew=self.crew,
        )
        width, dry_run = self.network.width, self.options.dry_run
        extras = Extras(self.upstream, self.pool, self.layout, self.own, self.filler, width=width, dry_run=dry_run)
        self.beside = Beside(self.repo, self.upstream, extras, self.signed.demands, width)

    def _follow(self) -> None:
        """Follow upstream, from the start again when it changes under way, or a repair takes away what was here."""
        if not self.options.dry_run:
            probe_place(self.layout, self.place, self.own)
            self._begin_adoption()
        self.published = published_generation(self.place, self.own)
        for _ in range(MAX_RESTARTS + 1):
            self.shortfall.clear()
            self._step("asking upstream")
            self.upstream.resolve()
            known = recall(self.published, self.state, self.repo, self.clock())
            lost = None
            try:
                snapshot = read_snapshot(
                    self.upstream,
                    known,
                    lambda found: self.signed.check_pair(found, self.upstream),
                    allow_rollback=self.options.allow_rollback,
                    with_indexes=not self.options.dry_run or self.repo.repo_gpgcheck,
                    or_plain=self.repo.tree == "all",
                )
                self._bring(snapshot)
            except Restart:
                logger.info("%s: upstream changed meanwhile; starting again with what is here", self.repo.id)
            except LeftPool as error:
                logger.info("%s: %s: starting again with what is here", self.repo.id, error.cause)
                lost = error
            else:
                self.report.warnings += self.beside.warnings
                return
            finally:
                self._end_early()
        if lost is not None:
            raise lost
        raise UpstreamMoving(
            f"upstream changed under {MAX_RESTARTS + 1} attempts",
            url=redact(self.upstream.order[0]),
            hint="run again when it has settled",
        )

    def _begin_adoption(self) -> None:
        adoption = begin_adoption(self.options.adopt, self.repo, self.layout, self.place, self.own)
        if adoption is not None:
            from mirrorpy.sync.adopt import Adopter  # noqa: PLC0415  # once in a repository's life

            width = min(self.network.width, os.cpu_count() or 1)
            self.adopter = Adopter(
                adoption, self.layout, self.pool, self.own, repo_id=self.repo.id, width=width, watch=self.watch
            )

    def _bring(self, snapshot: Snapshot) -> None:
        """Make the published tree what a snapshot promises."""
        tell_followed(self.report, snapshot, self.repo.max_age, self.clock())
        audit = self._auditor()
        self.pool.trust_unsized = lambda: audit().whole
        self._step("looking beside the repository")
        self.beside.look(snapshot, self.published)
        self._doubt_nested(snapshot)
        still = snapshot.lagging or self.shortfall.still(self.state.forgone, self.clock())
        settled = still and self._settled(snapshot, audit) and self.beside.settled(self.published, audit().extras)
        if settled or snapshot.lagging:
            self.shortfall.keep(self.state.forgone)
        if settled:
            self._unchanged(snapshot, audit().packages, audit().files, audit().bytes)
            return
        self._step("reading metadata")
        self._bring_indexes(snapshot)
        plan = self._plan(snapshot)
        if self.options.dry_run:
            self._planned(plan)
            return
        check_space(self.layout, plan.fetch_bytes)
        self._step("downloading")
        outcome = self.filler.fill(plan.fetch, snapshot.whole)
        fill_elsewhere(self.filler, plan, outcome)
        self.shortfall.judge(outcome, snapshot)
        self.shortfall.leave_out(plan)
        self._step("checking signatures")
        self.report.warnings += self.signed.check_packages(plan, self.pool, self.own, os.cpu_count() or 1)
        same = not (snapshot.changed or plan.changes or self.options.rebuild or self.filler.filled or self.resigned)
        if same and audit().whole:
            self._unchanged(snapshot, plan.packages, len(plan.files), audit().bytes)
            return
        self._publish(plan, snapshot)

    def _auditor(self) -> Callable[[], Audit]:
        """Return what looks at the published files when it is first asked; a state that upstream left needs no look."""

        @functools.cache
        def audit() -> Audit:
            self._step("looking at what is here")
            now, same_inode = self.clock(), self.options.checksum
            return audit_published(self.published, self.pool, self.repo.grace, now, same_inode=same_inode)

        return audit

    def _doubt_nested(self, snapshot: Snapshot) -> None:
        # Upstream's one bad repository of a hundred is no reason to stop, unless somebody asked for proof.
        lenient = self.repo.tree == "all" and not self.repo.strict_tree and self.signed.demands.repomd is None
        allow_rollback = self.options.allow_rollback
        self.report.warnings += doubt_nested(
            snapshot, self.published, self.clock(), lenient=lenient, allow_rollback=allow_rollback
        )

    def _bring_indexes(self, snapshot: Snapshot) -> None:
        """See that repomd.xml's signature is this one's; a published one is published again.

        Raises:
            Restart: The signature may be another state's.
        """
        if self.options.dry_run or snapshot.plain:
            return
        if not snapshot.changed and not self.resigned:
            whole = read_indexes_of(self.published) if self.published else None
            snapshot.indexes.update(whole or {})
            if whole is not None and self.signed.accepts(snapshot):
                return
            self.resigned = True
            self.upstream.persist(lambda _: read_indexes(self.upstream, snapshot), [snapshot.base])
        if snapshot.indexes and has_moved(self.upstream, snapshot.base, snapshot.data):
            raise Restart
        self.signed.check_repomd(snapshot)

    def _settled(self, snapshot: Snapshot, audit: Callable[[], Audit]) -> bool:
        """Tell whether nothing changed, there or here or in the configuration, so that no metadata need be read."""
        same = not snapshot.changed and self.state.fingerprint == self.repo.fingerprint
        calm = same and not self.options.checksum and not self.state.missing
        calm = calm and self.state.trust == self.signed.demands.trust and audit().whole
        return calm and not self._signed_since(snapshot)

    def _signed_since(self, snapshot: Snapshot) -> bool:
        """Ask once more for a signature that was not made yet when its repomd.xml was published."""
        if self.published is None or self.options.dry_run or self.clock() > self.state.signature_due:
            return False
        with contextlib.suppress(FetchError):
            read_indexes(self.upstream, snapshot)
        published = read_indexes_of(self.published) or {}
        self.resigned = bool(snapshot.indexes) and {REPOMD_HREF: snapshot.data, **snapshot.indexes} != published
        return self.resigned

    def _plan(self, snapshot: Snapshot) -> Plan:
        """Read what the snapshot promises, bringing its metadata here, and compare."""
        self.beside.read_nested(snapshot)
        repomd = snapshot.whole
        if not self.options.dry_run:
            lacking = [file for file in lacking_records(repomd, self.pool) if not self._recovers(file)]
            lacking = self._adopt(lacking, lambda taken: open_check(repomd, taken))
            check_space(self.layout, sum(file.size or 0 for file in lacking))
            self._ready(snapshot)
            self.shortfall.judge(self.filler.fill(lacking, repomd), snapshot)
        records = Records(self.pool, self.upstream, self.shortfall.missing, self.spool)
        promised = tree_files(snapshot, records.open, self.report.warnings)
        files = collect(self.early.along(promised) if self.early else promised)
        self.report.warnings += check_bases(snapshot, files.values())
        self.beside.gather(files)
        rules = Rules(self.repo.grace, self.repo.max_shrink, self.options.allow_shrink, self.repo.tree == "all")
        previous = self.published.entries() if self.published else ()
        self.later = later_generations(self.published, self.place, self.own)
        served = itertools.chain.from_iterable(generation.entries() for generation in self.later)
        plan = plan_sync(files, self.pool, previous, rules, self.clock(), served)
        rest = [file for file in plan.fetch if not self._recovers(file)]
        plan.fetch = self._adopt(rest, lambda taken: open_check(repomd, taken))
        return plan

    def _ready(self, snapshot: Snapshot) -> None:
        """Start processes while a lot of metadata comes: those that download, or one that links what is here."""
        primary = snapshot.whole.record("primary")
        count = ((primary.open_size if primary else None) or 0) // TYPICAL
        if self.crew is None:
            return
        if self.published is None:
            if self.crew.suits(count):
                self.crew.start()
        elif snapshot.changed and not self.options.checksum:
            self.early = begin_early(self.layout, self.place, self.own, self.pool, self.crew.lock, count)

    def _end_early(self) -> None:
        early, self.early = self.early, None
        if early is not None:
            early.end()

    def _adopt(self, files: list[RemoteFile], check: Callable[[Taken], None] | None = None) -> list[RemoteFile]:
        """Take from an old tree what it has of these files, and return the others."""
        if self.adopter is None:
            return files
        self._step("taking over what is here")
        rest = self.adopter.take(files, check)
        self.filler.filled += len(files) - len(rest)
        return rest

    def _recovers(self, file: RemoteFile) -> bool:
        return recover(file, self.published, self.pool, keep=not self.options.dry_run)

    def _publish(self, plan: Plan, snapshot: Snapshot) -> None:
        self._step("publishing")
        done = publish_entries(
            lambda: plan_entries(plan, self.pool),
            snapshot.published_indexes,
            self.place,
            self.layout,
            self.own,
            self.pool,
            self.published,
            self.clock(),
            self.early.stage() if self.early else None,
        )
        report, self.published = self.report, done.generation
        remember_publication(self.state, self.repo, done.generation, self.shortfall, self.signed.demands.trust)
        remember_signature(self.state, snapshot, self.clock())
        self.beside.remember()
        keep_validators(self.state, snapshot, self.upstream, self.repo, self.clock())
        report.outcome, report.generation = "updated", done.generation.name
        report.packages, report.bytes = plan.packages, done.bytes
        fetched = report.downloaded
        report.reused = Moved(max(0, done.files - fetched.files), max(0, done.bytes - fetched.bytes))
        tell_retired(report, plan)
        report.warnings += done.warnings
        self._tidy()

    def _unchanged(self, snapshot: Snapshot, packages: int, files: int, size: int) -> None:
        tell_unchanged(self.report, self.published.name if self.published else None, packages, files, size)
        if not self.options.dry_run:
            if self.published is not None:
                remember_publication(self.state, self.repo, self.published, self.shortfall, self.signed.demands.trust)
            self.beside.remember()
            keep_validators(self.state, snapshot, self.upstream, self.repo, self.clock())
            self._tidy(lagging=snapshot.lagging)

    def _tidy(self, *, lagging: bool = False) -> None:
        """Remove what neither clients nor the next run need; where all mirrors lag, it may be of the state to come."""
        if not lagging:
            clear_leftovers(self.layout, self.own)
        freed = drop_superseded(self.layout, self.place, self.own, self.repo.keep, self.later)
        self.report.pruned = Moved(freed.files, freed.bytes)
        if self.pool.weak != self.weak:
            with translated("cannot write"):
                write_weak(self.own.weak, self.pool.weak)
        self.report.warnings += [
            f"is still published at {path} too; `mirrorpy prune --forget {self.repo.id}` removes that"
            for path in self.state.former_paths
        ]

    def _planned(self, plan: Plan) -> None:
        tell_planned(self.report, plan)
        needed = {key for file in plan.files.values() if (key := self.pool.key(file.checksum))}
        needed |= {entry.key for entry in plan.carried if entry.key}
        freed = would_free(self.place, self.own, self.repo.keep, needed)
        self.report.pruned = Moved(freed.files, freed.bytes)
