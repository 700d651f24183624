"""The rounds of one cell: every program does every work, in turn."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from tests.benchmarks.cells import STATES, rounds_of
from tests.benchmarks.machine import flush
from tests.benchmarks.measure import measure
from tests.benchmarks.mirrorers import Rsync, check, environment
from tests.benchmarks.results import Count, Sample

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.cells import Cell
    from tests.benchmarks.mirrorers import Mirrorer
    from tests.benchmarks.origin import Address, Origin
    from tests.benchmarks.results import Results
    from tests.benchmarks.upstreams import Upstream

COUNTING = 0
"""The round whose requests are logged."""
KEPT = 20e9
"""Bytes of used mirrors that are kept before they are removed."""
FORGOTTEN = 65.0
"""Seconds after which ext4 takes an inode again that was removed; until then it goes through them all for each file."""


def put_away(targets: Path) -> None:
    """Make room for new mirrors; the old ones are removed many at a time, because whoever writes next would pay."""
    used = targets.with_name("used")
    used.mkdir(exist_ok=True)
    if targets.exists():
        targets.rename(used / str(time.monotonic_ns()))
    if sum(path.lstat().st_size for path in used.rglob("*")) > KEPT:
        shutil.rmtree(used)
        flush()
        time.sleep(FORGOTTEN)


class Rounds:
    """All rounds of one cell.

    In each, every program begins with nothing, then all meet each work in turn; the order is reversed from round to
    round. Near, a round more goes first that is not timed, warms up and counts; far, where a second more or less is the
    network's, the first of the timed ones counts.
    """

    def __init__(self, cell: Cell, upstream: Upstream, crew: list[Mirrorer], results: Results) -> None:
        self._cell, self._upstream, self._results = cell, upstream, results
        self._works = [work for work in cell.works if work in STATES]
        self._warm = 0 if cell.rtt else 1
        self._rounds = {
            peer: rounds
            for peer in crew
            if (rounds := rounds_of(peer.name, cell, results.runs)) and peer.works.intersection(self._works)
        }

    def run(self, origin: Origin, addresses: dict[bool, Address], targets: Path) -> None:
        """Run them; addresses are those of the quiet server and of that which counts."""
        for number in range(max(self._rounds.values(), default=0) + self._warm):
            counts = number == COUNTING
            taking = [peer for peer, rounds in self._rounds.items() if number < rounds + self._warm]
            put_away(targets)
            for peer in taking:
                (targets / peer.name).mkdir(parents=True)
                peer.prepare(targets / peer.name, addresses[counts], list(self._upstream.files("first")))
            for work in self._chain():
                origin.switch(self._upstream[STATES[work]])
                for peer in taking if number % 2 else taking[::-1]:
                    if work in peer.works:
                        origin.begin_counting()
                        self._run(peer, work, number, addresses[counts], targets / peer.name)
                        if counts and work in self._works:
                            traffic = origin.traffic(rsync=isinstance(peer, Rsync))
                            self._results.counts.append(Count(self._cell.key, work, peer.name, traffic))
        put_away(targets)

    def _chain(self) -> list[str]:
        """Return what is done: also what has to come before the works that were asked for."""
        last = list(STATES).index(self._works[-1])
        return [work for work in list(STATES)[: last + 1] if work in self._works or work != "none"]

    def _run(self, peer: Mirrorer, work: str, number: int, address: Address, folder: Path) -> None:
        """Run one program once, keep what it took, and look at its mirror."""
        flush()
        log = folder / "output"
        used = measure(peer.command(folder, address), log, environment(folder))
        left = flush()
        state = STATES[work]
        if wrong := check(peer.mirror(folder), self._upstream.files(state), self._upstream[state]):
            raise SystemExit(
                f"{self._cell.key}, {work}: {peer.name} made no mirror: {wrong}\n{log.read_text()[-2000:]}"
            )
        timed = number >= self._warm and work in self._works
        print(
            f"{time.strftime('%H:%M:%S')} {self._cell.key:16} round {number} {work:6} {peer.name:26}"
            f" {used.wall:8.2f} s  {used.cpu:7.2f} s CPU  {used.peak:6.0f} MB{'' if timed else '  (not counted)'}",
            flush=True,
        )
        if timed:
            self._results.samples.append(
                Sample(self._cell.key, work, peer.name, number, used.wall, used.cpu, used.peak, used.tree, left)
            )
