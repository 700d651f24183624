"""All repositories of a configuration: in parallel, independent of each other, with one report."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorpy import __version__
from mirrorpy.errors import ConfigError, LocalError, MirrorError
from mirrorpy.figures import utc_text
from mirrorpy.store.generation import Freed, list_generations
from mirrorpy.store.layout import Layout
from mirrorpy.store.state import RepoState, known_repositories, read_state
from mirrorpy.sync.claims import Claims
from mirrorpy.sync.parallel import unordered
from mirrorpy.sync.prune import forget_repository, prune_repository, sweep_pool
from mirrorpy.sync.report import Failure, Moved, RepoReport
from mirrorpy.sync.story import sync_repository
from mirrorpy.upstream import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorpy.config.model import Config, Repository
    from mirrorpy.sync.report import Options, Watch

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class RunReport:
    """What `sync --json` prints."""

    mirrorpy: str = __version__
    started: str
    seconds: float = 0.0
    exit: int = 0
    repos: list[RepoReport] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class RepoStatus:
    """One repository's line of `status`."""

    id: str
    path: str
    configured: bool
    state: RepoState
    generations: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class PruneReport:
    """What `prune --json` prints."""

    exit: int = 0
    generations: Moved = field(default_factory=Moved)
    """Files of dropped generations that nothing else needs."""
    pool: Moved = field(default_factory=Moved)
    """Files removed from the pool."""
    left: list[str] = field(default_factory=list)
    """What was left alone, and why."""
    unconfigured: list[str] = field(default_factory=list)
    """Repositories that left the configuration and are still published."""
    errors: list[Failure] = field(default_factory=list)


def sync_all(
    config: Config, repos: Sequence[Repository], options: Options, watch: Watch, network: Network | None = None
) -> RunReport:
    """Bring repositories up to date; one that fails never stops the others.

    The exit status is that of the first failed one in configuration order.
    """
    began = time.monotonic()
    layout, claims = Layout.of(config.root), Claims(shared=len(repos) > 1)
    width = min(config.max_parallel_repos, len(repos))
    net = network or Network(
        max_parallel_downloads=config.max_parallel_downloads, throttle=config.throttle, alone=width == 1
    )

    def work(repo: Repository) -> RepoReport:
        return sync_repository(repo, layout, net, options, claims=claims, watch=watch)

    report = RunReport(started=utc_text(time.time()))
    try:
        done = {found.id: found for found in unordered(repos, work, width)}
    finally:
        net.close()
    report.repos = [done[repo.id] for repo in repos]
    if not options.dry_run:
        _sweep(layout)
    report.exit = next((found.error.exit for found in report.repos if found.error), 0)
    report.seconds = round(time.monotonic() - began, 3)
    return report


def _sweep(layout: Layout) -> None:
    """Do the sweep that dropped generations owe; another run that keeps the pool will do it otherwise."""
    try:
        if sweep_pool(layout, owed_only=True) is None:
            logger.info("the pool is in use by another run, which will prune it")
    except LocalError as error:
        logger.warning("the pool could not be pruned: %s", error.message)


def prune_all(config: Config, forget: Sequence[str] = ()) -> PruneReport:
    """Drop what nobody needs any more; see `prune_repository`, `forget_repository` and `sweep_pool`."""
    layout, report = Layout.of(config.root), PruneReport()
    by_id = {repo.id: repo for repo in config.repos}
    for repo_id in forget:
        if repo_id not in known_repositories(layout.repos):
            raise ConfigError(f"{config.root}: nothing is known of a repository {repo_id!r}")

    def attempt(repo_id: str) -> Freed:
        if repo_id in forget:
            return forget_repository(repo_id, layout, config)
        return prune_repository(by_id[repo_id], layout, time.time())

    for repo_id in dict.fromkeys([*forget, *by_id]):
        try:
            freed = attempt(repo_id)
            report.generations = Moved(report.generations.files + freed.files, report.generations.bytes + freed.bytes)
        except LocalError as error:
            report.errors.append(Failure.of(error))
        except MirrorError as error:
            report.left.append(f"{repo_id}: {error.message}")
    _sweep_reported(layout, report)
    report.unconfigured = [repo_id for repo_id in known_repositories(layout.repos) if repo_id not in by_id]
    report.exit = report.errors[0].exit if report.errors else 0
    return report


def _sweep_reported(layout: Layout, report: PruneReport) -> None:
    try:
        swept = sweep_pool(layout)
    except LocalError as error:
        report.errors.append(Failure.of(error))
        return
    if swept is None:
        report.left.append("the pool: a sync is under way and keeps it; it prunes when it ends")
    else:
        report.pool = Moved(swept.files, swept.bytes)


def status_of(config: Config, repos: Sequence[Repository]) -> list[RepoStatus]:
    """Return what is known of each repository, those that left the configuration last."""
    layout = Layout.of(config.root)
    lines = [_status(layout, repo.id, repo.path, configured=True) for repo in repos]
    configured = {repo.id for repo in config.repos}
    if len(repos) == len(config.repos):
        left = [repo_id for repo_id in known_repositories(layout.repos) if repo_id not in configured]
        lines += [_status(layout, repo_id, None, configured=False) for repo_id in left]
    return lines


def _status(layout: Layout, repo_id: str, path: str | None, *, configured: bool) -> RepoStatus:
    own = layout.repo(repo_id)
    state = read_state(own.state)
    place = path if path is not None else state.path
    generations = list_generations(layout.place(place), own) if place else []
    return RepoStatus(
        id=repo_id,
        path=place,
        configured=configured,
        state=state,
        generations=[generation.name for generation in generations],
    )
