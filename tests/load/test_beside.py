"""Two syncs, prune and repair of one root beside each other, while upstream publishes and clients read."""

import contextlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.installation import Mirror
from tests.integration.listing import REPOMD, faults
from tests.integration.test_publication import running
from tests.integration.upstream import Upstream
from tests.integration.webserver import Serve

from . import MORE_SECONDS, SECONDS
from .busy import Busy, Turnover
from .debris import debris, leftovers
from .readers import Walker, strange_answers

KEEP = 2
READ, DAMAGED = "read", "damaged"
"""Two repositories that share half of their packages; what is damaged is of the second alone."""
WALKERS = 3


class Runs(threading.Thread):
    """One command, again and again, as a process of its own."""

    def __init__(
        self, mirror: Mirror, allowed: set[int], *args: str, before: Callable[[], object] | None = None
    ) -> None:
        super().__init__(name=" ".join(args))
        self.failures: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.repaired = 0
        self._mirror, self._allowed, self._args, self._before = mirror, allowed, args, before
        self._ended = threading.Event()

    def end(self) -> None:
        """Let it finish its run."""
        self._ended.set()

    def run(self) -> None:
        """Until the end, or until one ends as it should not."""
        while not self._ended.is_set() and not self.failures:
            if self._before:
                self._before()
            done = self._mirror.run(*self._args, "--json")
            self.statuses[done.returncode] += 1
            if done.returncode not in self._allowed or "Traceback" in done.stderr or "unexpected" in done.stderr:
                self.failures.append(f"{self.name}: exit {done.returncode}: {done.stderr}")
            elif self._args[0] == "verify":
                self.repaired += sum(len(repo["repaired"]) for repo in json.loads(done.stdout)["repos"])


def damage(published: Path) -> None:
    """Flip a bit of each package that no other repository has, as a disk does: size and time stay."""
    for path in published.resolve().glob(f"Packages/{DAMAGED}*.rpm"):
        # A sync beside this drops what is not published any more.
        with contextlib.suppress(FileNotFoundError):
            info = path.stat()
            with path.open("r+b") as file:
                first = file.read(1)
                file.seek(0)
                file.write(bytes([first[0] ^ 1]))
            os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def all_happened(runs: list[Runs]) -> bool:
    """Every command went well once, two syncs met, and something was damaged and mended."""
    met, repaired = sum(one.statuses[7] for one in runs), sum(one.repaired for one in runs)
    return all(one.statuses[0] for one in runs) and met > 0 and repaired > 0


def tell(seconds: float, busy: Busy, runs: list[Runs], walkers: list[Walker]) -> None:
    """Print the figures."""
    print(f"{seconds:.0f} s, {busy.publications} publications of two repositories")
    for one in runs:
        print(f"{one.name}: {', '.join(f'{count} with {status}' for status, count in sorted(one.statuses.items()))}")
    print(f"{sum(one.repaired for one in runs)} files repaired")
    print(f"{sum(walker.reads for walker in walkers)} reads in {sum(walker.rounds for walker in walkers)} walks")
    print(f"{sum(len(walker.failures) for walker in walkers)} bad files")


@pytest.mark.timeout(300 + 3 * SECONDS)
def test_beside_each_other(tmp_path: Path, mirror: Mirror, nginx: Serve) -> None:
    """Nothing is lost: no reader misses a file, and in the end everything is whole."""
    repositories = {
        name: Turnover(
            Upstream(tmp_path / "upstream" / name),
            [f"{kind}{number}" for number in range(4) for kind in (name, "shared")],
        )
        for name in (READ, DAMAGED)
    }

    def turn() -> None:
        for repository in repositories.values():
            repository.turn()

    with Busy(tmp_path / "upstream", turn, [0]) as busy:
        (honest,) = busy.mirrors
        mirror.configure(
            {"id": READ, "baseurl": f"{honest.url}{READ}/", "grace": "1h"},
            {"id": DAMAGED, "baseurl": f"{honest.url}{DAMAGED}/", "grace": "1s"},
            keep=KEEP,
        )
        mirror.sync()
        server = nginx(mirror.root)
        walkers = [Walker(server, mirror.published(READ), seed) for seed in range(WALKERS)]
        runs = [
            Runs(mirror, {0, 3, 7}, "sync"),
            Runs(mirror, {0, 3, 7}, "sync", "--checksum"),
            Runs(mirror, {0}, "prune"),
            Runs(mirror, {0, 1}, "verify", "--repair", before=lambda: damage(mirror.published(DAMAGED))),
        ]
        with running([*walkers, *runs]):
            began, seconds = time.monotonic(), 0.0
            while seconds < SECONDS + (0 if all_happened(runs) else MORE_SECONDS):
                busy.news.wait(0.2)
                busy.news.clear()
                seconds = time.monotonic() - began
                if any(one.failures for one in (*walkers, *runs)):
                    break
        busy.end()
        tell(seconds, busy, runs, walkers)
        assert [failure for one in (*walkers, *runs) for failure in one.failures] == []
        mirror.sync()
        assert mirror.run("verify", "--repair").returncode == 0
        done = mirror.run("verify")
        assert done.returncode == 0, done.stdout + done.stderr
        assert mirror.run("prune").returncode == 0

    assert strange_answers(server) == []
    for name, repository in repositories.items():
        published = mirror.published(name)
        assert (published / REPOMD).read_bytes() == (repository.upstream.folder / REPOMD).read_bytes()
        assert faults(published) == []
        assert debris(mirror, name, KEEP) == []
    assert leftovers(mirror, READ, DAMAGED) == []
    for generation in mirror.generations(READ):
        assert faults(mirror.root / generation) == []
    assert all_happened(runs)
    assert min(walker.rounds for walker in walkers) > 0
