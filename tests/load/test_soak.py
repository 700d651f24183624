"""Upstream publishes every second and is flaky, syncs run in a loop, and clients read and install all the while."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mirrorpy.mirror import RunReport
from tests.integration.installation import Mirror
from tests.integration.listing import REPOMD, faults
from tests.integration.programs import Dnf
from tests.integration.test_publication import running
from tests.integration.upstream import Upstream
from tests.integration.webserver import Serve

from . import MORE_SECONDS, SECONDS
from .busy import Busy, Turnover
from .debris import debris, leftovers
from .readers import Installer, Walker, strange_answers
from .sync import sync

KEEP = 2
PACKAGES = [f"package{number}" for number in range(8)]
LAGS = [0, 1, 3]
WALKERS = 4
ALLOWED = {0, 3}
"""Exit status of a sync from such an upstream: done, or it could not be had this time."""


def make_flaky(busy: Busy) -> None:
    """Errors, connections that break at once and in the middle, all at random."""
    for seed, server in enumerate(busy.mirrors):
        server.fault("*", "status", chance=0.2, seed=seed)
        server.fault("*", "reset", chance=0.05, seed=seed)
        server.fault("*.rpm", "reset", at=1_000, chance=0.2, seed=seed)
        server.fault("*", "short", chance=0.05, seed=seed)


@dataclass(slots=True)
class Soak:
    """What happened."""

    busy: Busy
    walkers: list[Walker]
    dnf: Installer
    reports: list[RunReport] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """By syncs, and should not be there."""
    seconds: float = 0.0

    @property
    def failures(self) -> list[str]:
        return [failure for reader in (*self.walkers, self.dnf) for failure in reader.failures] + self.left

    @property
    def published(self) -> int:
        return sum(repo.outcome == "updated" for report in self.reports for repo in report.repos)

    @property
    def met(self) -> int:
        """How many requests met a fault."""
        return sum(bool(request.fault) for server in self.busy.mirrors for request in server.requests)

    @property
    def overtaken(self) -> int:
        """Walks during which something was published."""
        return sum(walker.overtaken for walker in self.walkers)

    def run(self, mirror: Mirror) -> None:
        """Sync over and over; after each, look at what it left."""
        began = time.monotonic()
        while not self.failures and self.seconds < SECONDS + (0 if self._all_happened() else MORE_SECONDS):
            self.busy.news.wait(0.2)
            self.busy.news.clear()
            report = sync(mirror)
            self.reports.append(report)
            self.left += debris(mirror, "busy", KEEP)
            if report.exit == 0:
                self.left += leftovers(mirror, "busy")
            self.seconds = time.monotonic() - began

    def _all_happened(self) -> bool:
        return self.published >= SECONDS / 4 and self.met > 0 and self.overtaken > 0 and self.dnf.installed > 0

    def tell(self) -> None:
        """Print the figures."""
        statuses = sorted(Counter(report.exit for report in self.reports).items())
        repos = [repo for report in self.reports for repo in report.repos]
        retries, requests = sum(repo.retries for repo in repos), sum(repo.requests for repo in repos)
        reads, walks = (sum(getattr(walker, name) for walker in self.walkers) for name in ("reads", "rounds"))
        print(f"{self.seconds:.0f} s, {self.busy.publications} publications")
        print(f"{len(repos)} syncs: {', '.join(f'{count} with {status}' for status, count in statuses)}")
        print(f"{self.published} published")
        print(f"{requests} requests, {self.met} faults met, {retries} retries")
        print(f"{reads} reads in {walks} walks, {self.overtaken} of them during a publication")
        print(f"{self.dnf.runs} dnf runs, {self.dnf.installed} installations checked")
        print(f"{len(self.failures)} bad files, failed installations and leftovers")


@pytest.mark.timeout(300 + 3 * SECONDS)
@pytest.mark.usefixtures("no_waiting_for_disks")
def test_soak(tmp_path: Path, mirror: Mirror, nginx: Serve) -> None:
    """No bad file is ever served, no sync leaves debris, and one clean sync at the end converges."""
    repository = Turnover(Upstream(tmp_path / "upstream"), PACKAGES)
    with Busy(repository.upstream.folder, repository.turn, LAGS) as busy:
        baseurls = [server.url for server in busy.mirrors]
        mirror.configure(
            {"id": "busy", "baseurl": baseurls}, keep=KEEP, grace="1h", retries=3, timeout=5, max_parallel_downloads=4
        )
        assert sync(mirror).exit == 0
        server, published = nginx(mirror.root), mirror.published("busy")
        walkers = [Walker(server, published, seed) for seed in range(WALKERS)]
        dnf = Installer(Dnf(tmp_path / "dnf"), f"{server.url}busy", repository.payloads)
        soak = Soak(busy, walkers, dnf)
        make_flaky(busy)
        with running([*walkers, dnf]):
            soak.run(mirror)
        busy.end()
        for flaky in busy.mirrors:
            flaky.clear()
        last = sync(mirror)
        soak.tell()

    assert soak.failures == []
    assert [report for report in soak.reports if report.exit not in ALLOWED] == []
    assert strange_answers(server) == []
    assert last.exit == 0, last
    assert (published / REPOMD).read_bytes() == (repository.upstream.folder / REPOMD).read_bytes()
    assert faults(published) == []
    assert debris(mirror, "busy", KEEP) + leftovers(mirror, "busy") == []
    assert soak.published >= SECONDS / 4, "hardly anything was published"
    assert soak.met > 0, "upstream was too good"
    assert soak.overtaken > 0, "no reader was in the middle"
    assert dnf.installed > 0
