"""What mirrorpy should hold beside its peers, and whether it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.cells import NAMES, STATES
from tests.benchmarks.mirrorers import CURL, CURL_8, REPOSYNC, RSYNC
from tests.benchmarks.parsing import CREATEREPO
from tests.benchmarks.results import OURS, Results
from tests.benchmarks.tables import place

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL, CENTOS, LARGE, MANY_10, MANY = "small:10000", "centos:2500", "large:20", "many:10000", "many:70000"
FAR_CENTOS, FAR_SMALL = "centos:300@50", "small:2000@50"


@dataclass(frozen=True, slots=True)
class Ratio:
    """mirrorpy's time is at most so many times that of a peer."""

    limit: float
    peer: str
    work: str
    cells: tuple[str, ...]


RATIOS = (
    Ratio(0.25, RSYNC, "first", (FAR_CENTOS,)),
    Ratio(0.8, RSYNC, "first", (FAR_SMALL,)),
    Ratio(1.1, CURL_8, "first", (FAR_CENTOS, FAR_SMALL)),
    Ratio(1.0, RSYNC, "first", (CENTOS, LARGE)),
    Ratio(1.0, CURL, "first", (CENTOS, LARGE)),
    Ratio(3.0, RSYNC, "first", (SMALL, MANY)),
    Ratio(2.0, CURL, "first", (SMALL, MANY)),
    Ratio(0.25, REPOSYNC, "first", (SMALL, CENTOS, LARGE)),
    Ratio(2.0, RSYNC, "1%", (SMALL,)),
    Ratio(0.5, REPOSYNC, "1%", (SMALL,)),
    Ratio(1.0, RSYNC, "none", (SMALL, MANY)),
    Ratio(0.2, REPOSYNC, "none", (SMALL,)),
    Ratio(2.0, CREATEREPO, "parse", (MANY,)),
)


@dataclass(frozen=True, slots=True)
class Goal:
    """One of them, and what was measured."""

    what: str
    limit: float
    measured: float
    unit: str = ""

    @property
    def row(self) -> str:
        """Its line in the table."""
        measured = f"{self.measured:,}" if isinstance(self.measured, int) else f"{self.measured:.2f}"
        kept = "yes" if self.measured <= self.limit else "**no**"
        return f"| {self.what} | {self.limit:g}{self.unit} | {measured}{self.unit} | {kept} |"


def goals(results: Results) -> Iterator[Goal]:
    """Yield those whose figures were measured."""
    for bar in RATIOS:
        for cell in bar.cells:
            if found := results.ratio(cell, bar.work, bar.peer):
                yield Goal(f"{place(results, cell)}: {NAMES[bar.work]}, to {bar.peer}", bar.limit, found.median)
    yield from _memory(results)
    yield from _processor(results)
    for cell in (SMALL, MANY):
        if traffic := results.traffic(cell, "none", OURS):
            yield Goal(f"{place(results, cell)}: {NAMES['none']}, requests", 1, traffic.requests or 0)
            yield Goal(f"{place(results, cell)}: {NAMES['none']}, bytes of bodies", 0, traffic.bodies or 0)


def goals_table(results: Results) -> list[str]:
    """Return the lines of the table; none where nothing was measured."""
    rows = [goal.row for goal in goals(results)]
    return ["| what | at most | measured | holds |", "|---|---|---|---|", *rows] if rows else []


def _memory(results: Results) -> Iterator[Goal]:
    """Of all syncs at 70,000 packages; and what each package more costs, which the plan is the most of."""
    ours = [s for s in results.samples if s.program == OURS and s.work in STATES]
    peaks = {cell: [s for s in ours if s.cell == cell] for cell in (MANY_10, MANY)}
    if many := peaks[MANY]:
        yield Goal(f"{place(results, MANY)}: peak of the main process", 150, max(s.peak for s in many), " MB")
        yield Goal(f"{place(results, MANY)}: peak of all processes", 250, max(s.tree for s in many), " MB")
    if peaks[MANY] and peaks[MANY_10]:
        rise = max(s.peak for s in peaks[MANY]) - max(s.peak for s in peaks[MANY_10])
        packages = results.extents[MANY].packages - results.extents[MANY_10].packages
        yield Goal("each package beyond 10,000, main process", 0.5, rise * 1000 / packages, " kB")
    rises = [results.range(cell, "parse", OURS, lambda sample: sample.peak) for cell in (MANY_10, MANY)]
    if rises[0] and rises[1]:
        more = rises[1].median - rises[0].median
        yield Goal("parser: more memory at 70,000 packages than at 10,000", 1, more, " MB")


def _processor(results: Results) -> Iterator[Goal]:
    """curl's seconds and those that SHA-256 alone takes are what there is to be done."""
    extent = results.extents.get(CENTOS)
    ours, curl = (results.range(CENTOS, "first", name, lambda sample: sample.cpu) for name in (OURS, CURL))
    if extent and ours and curl and results.sha256:
        needed = curl.median + extent.bytes / 1e6 / results.sha256
        yield Goal(
            f"{place(results, CENTOS)}: {NAMES['first']}, CPU to curl's and SHA-256's own", 1.5, ours.median / needed
        )
