"""What one sync of one repository works with, and what it knows so far."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.signatures import Demands
from mirrorpy.store.lock import lock_repository, share_pool
from mirrorpy.store.pool import Pool
from mirrorpy.store.probe import prepare_repository, prepare_root
from mirrorpy.store.state import read_state
from mirrorpy.store.weak import read_weak
from mirrorpy.sync.beside import Beside
from mirrorpy.sync.crew import Crew
from mirrorpy.sync.extras import Extras
from mirrorpy.sync.fill import Filler
from mirrorpy.sync.report import Failure, RepoReport
from mirrorpy.sync.shortfall import Shortfall
from mirrorpy.sync.signed import Signed
from mirrorpy.upstream import Upstream

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable

    from mirrorpy.config.model import Repository
    from mirrorpy.errors import MirrorError
    from mirrorpy.store.early import EarlyStage
    from mirrorpy.store.generation import Generation
    from mirrorpy.store.layout import Layout
    from mirrorpy.sync.adopt import Adopter
    from mirrorpy.sync.claims import Claims
    from mirrorpy.sync.report import Options, Watch
    from mirrorpy.upstream import Network


@dataclass
class Run:
    """One run for one repository; `prepare` makes it ready."""

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
        """Generations that are newer than the published one: an older one was published again."""
        self.spool: str | None = None
        """Where a dry run keeps what it must read."""
        self.crew: Crew | None = None
        self.early: EarlyStage | None = None
        self.adopter: Adopter | None = None

    def prepare(self, stack: contextlib.ExitStack) -> None:
        """Lock; a dry run writes nothing, and gets a folder elsewhere for what it must read.

        Raises:
            LocalError: This machine refuses, or another run has the repository.
        """
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
        self.state, self.weak = read_state(self.own.state), read_weak(self.own.weak)
        self.signed = Signed(self.repo.id, Demands.of(self.repo), self.upstream)
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

    def step(self, doing: str | None) -> None:
        """Tell whoever watches what is being done."""
        self.watch.step(self.repo.id, doing)

    def fail(self, error: MirrorError) -> None:
        """Report what went wrong."""
        self.report.outcome, self.report.error = "failed", Failure.of(error)

    def end_early(self) -> None:
        """Let go of a stage that was begun early."""
        early, self.early = self.early, None
        if early is not None:
            early.end()
