"""Repair: what is damaged is fetched again, and published as a new generation of every repository that uses it.

A published file and the pool's object are one inode, so nothing is mended in place: a sync that trusts nothing hashes
what is here, takes what is damaged out of the pool, brings it anew, and switches to a generation built from that.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from mirrorpy.errors import LocalError, MirrorError
from mirrorpy.store.generation import published_generation
from mirrorpy.store.layout import Layout
from mirrorpy.store.pool import Pool
from mirrorpy.store.state import read_state
from mirrorpy.sync.claims import Claims
from mirrorpy.sync.prune import republish_repository, sweep_pool
from mirrorpy.sync.report import Options
from mirrorpy.sync.story import sync_repository
from mirrorpy.upstream import Network
from mirrorpy.verify.folder import verify_repository
from mirrorpy.verify.report import FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mirrorpy.config.model import Config, Repository
    from mirrorpy.rpmmd.model import Checksum
    from mirrorpy.sync.report import Watch
    from mirrorpy.verify.report import Finding, Settings, Verdict

LOCAL = (FindingKind.MISSING, FindingKind.SIZE, FindingKind.CHECKSUM, FindingKind.ORPHAN)
"""What may be wrong here alone."""
DISTRUST = Options(checksum=True, rebuild=True)


def repair_all(config: Config, verdicts: Sequence[Verdict], settings: Settings, watch: Watch) -> list[Verdict]:
    """Mend every damaged repository, and those that share a damaged file; return what is found afterwards.

    A file that upstream does not give any more stays a finding.
    """
    layout, damaged = Layout.of(config.root), {verdict.id: verdict for verdict in verdicts if verdict.findings}
    keys = {key for repo in config.repos if repo.id in damaged for key in _damaged_keys(layout, repo, damaged[repo.id])}
    affected = [repo for repo in config.repos if repo.id in damaged or keys & _keys(layout, repo)]
    network = Network(max_parallel_downloads=config.max_parallel_downloads, throttle=config.throttle)
    mended: dict[str, Verdict] = {}
    try:
        for repo in affected:
            before = damaged[repo.id].findings if repo.id in damaged else []
            _discard(layout, keys)
            mended[repo.id] = _mend(repo, layout, network, before, replace(settings, deadline=None), watch)
    finally:
        network.close()
    _sweep(layout, mended.values())
    return [mended.pop(verdict.id, verdict) for verdict in verdicts] + list(mended.values())


def _mend(
    repo: Repository, layout: Layout, network: Network, before: Sequence[Finding], settings: Settings, watch: Watch
) -> Verdict:
    """Bring one repository anew, by its upstream or else out of the pool, and verify it."""
    report = sync_repository(repo, layout, network, DISTRUST, claims=Claims(), watch=watch)
    if report.error is not None and (not before or any(found.kind in LOCAL for found in before)):
        _republish(repo, layout)
    verdict = verify_repository(repo, layout, settings, watch)
    gone = set(read_state(layout.repo(repo.id).state).missing)
    for path in sorted(
        {found.path for found in before if found.path in gone and found.kind is not FindingKind.MISSING}
    ):
        verdict.add(FindingKind.MISSING, path, "was damaged, and upstream does not have it any more")
    verdict.conclude(frozenset(verdict.fail_on), verdict.seconds)
    left = set(verdict.findings)
    verdict.repaired = [found for found in before if found not in left and found.path not in gone]
    if report.error and verdict.findings:
        verdict.warnings.append(f"not repaired: {report.error.message}")
    return verdict


def _republish(repo: Repository, layout: Layout) -> None:
    """Do without upstream, where another repository's repair brought all that was damaged."""
    with contextlib.suppress(MirrorError):
        republish_repository(repo, layout, time.time())


def _discard(layout: Layout, keys: set[Checksum]) -> None:
    """Take damaged files out of the pool, wanted by anybody or not: what a later sync finds there it would publish."""
    pool = Pool(layout, trust=False)
    for key in keys:
        pool.discard_damaged(key)


def _damaged_keys(layout: Layout, repo: Repository, verdict: Verdict) -> set[Checksum]:
    paths = {finding.path for finding in verdict.findings}
    return {key for path, key in _entries(layout, repo) if path in paths}


def _keys(layout: Layout, repo: Repository) -> set[Checksum]:
    return {key for _, key in _entries(layout, repo)}


def _entries(layout: Layout, repo: Repository) -> Iterable[tuple[str, Checksum]]:
    """Yield path and pool name of each published file."""
    try:
        published = published_generation(layout.place(repo.path), layout.repo(repo.id))
        if published is not None:
            yield from ((entry.path, entry.key) for entry in published.entries() if entry.key is not None)
    except LocalError:
        return


def _sweep(layout: Layout, mended: Iterable[Verdict]) -> None:
    try:
        sweep_pool(layout, owed_only=True)
    except LocalError as error:
        for verdict in mended:
            verdict.warnings.append(f"the pool could not be pruned: {error.message}")
