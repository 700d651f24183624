"""What was measured, as Markdown tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.cells import NAMES, WORKS
from tests.benchmarks.mirrorers import CONNECTIONS, NAMED
from tests.benchmarks.parsing import CREATEREPO
from tests.benchmarks.results import OURS, Range, Results, Sample
from tests.benchmarks.verifying import table as verify_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SYNCS = WORKS[:4]
NONE = "-"


def wall(sample: Sample) -> float:
    """Seconds."""
    return sample.wall


def seconds(value: float) -> str:
    """Three digits are all that a measurement is worth."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def megabytes(value: int) -> str:
    """Write bytes as MB, however few they are."""
    return f"{value / 1e6:.4f}" if value < 10_000 else f"{value / 1e6:,.2f}"


def with_range(found: Range | None, text: Callable[[float], str] = seconds) -> str:
    """Write a median with the least and the greatest."""
    return f"{text(found.median)} ({text(found.least)} to {text(found.greatest)})" if found else NONE


def place(results: Results, cell: str) -> str:
    """Say what was mirrored and from where: `centos, 300 packages, 196 MB, 50 ms`."""
    shape, _, rtt = cell.partition("@")
    extent = results.extents[cell]
    megabytes = extent.bytes / 1e6
    size = f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.{0 if megabytes >= 10 else 1}f} MB"
    far = f", {rtt} ms" if rtt else ""
    return f"{shape.partition(':')[0]}, {extent.packages:,} packages, {size}{far}"


def syncs(results: Results, *, far: bool) -> Iterator[tuple[str, str]]:
    """Yield each cell and work that was measured, in the order of the plan."""
    for cell in results.extents:
        if ("@" in cell) == far:
            yield from ((cell, work) for work in SYNCS if results.programs(cell, work))


def side_by_side(results: Results, *, far: bool) -> list[str]:
    """Seconds of all programs, and what share of a peer's time mirrorpy takes."""
    rows = list(syncs(results, far=far))
    names = [name for name in NAMED if any(name in results.programs(*row) for row in rows)]
    return _table(
        ["", "", *names],
        (
            [place(results, cell), NAMES[work], *(_beside(results, cell, work, name) for name in names)]
            for cell, work in rows
        ),
    )


def _beside(results: Results, cell: str, work: str, name: str) -> str:
    found = results.range(cell, work, name, wall)
    ratio = results.ratio(cell, work, name) if name != OURS else None
    if found is None:
        return NONE
    return seconds(found.median) + (f" ({ratio.median:.2f})" if ratio else "")


def connections_table(results: Results) -> list[str]:
    """What more connections bring, through the relay."""
    cells = [cell for cell, work in syncs(results, far=True) if work == "first"]
    rows = []
    for cell in cells:
        ranges = [results.range(cell, "first", name, wall) for name in CONNECTIONS.values()]
        if all(ranges[1:]):
            rows.append([place(results, cell), *map(with_range, ranges)])
    return _table(["first sync, seconds", *(f"{number} connections" for number in CONNECTIONS)], rows)


def growth_table(results: Results) -> list[str]:
    """How time and memory grow with the number of packages."""
    rows = []
    for cell in results.extents:
        if not cell.startswith("many:") or "@" in cell:
            continue
        for name in (OURS, "rsync"):
            samples = [s for s in results.samples if (s.cell, s.program) == (cell, name) and s.work in SYNCS]
            if samples:
                times = (with_range(results.range(cell, work, name, wall)) for work in SYNCS)
                most = f"{max(s.peak for s in samples):.0f} | {max(s.tree for s in samples):.0f}"
                rows.append([f"{results.extents[cell].packages:,}", name, *times, most])
    heads = ["packages", "", *(f"{NAMES[work]}, s" for work in SYNCS), "MB, main process", "MB, all processes"]
    return _table(heads, rows)


def detail_table(results: Results, *, far: bool) -> list[str]:
    """Everything that was measured of the syncs."""
    heads = ["", "", "", "seconds", "CPU s", "MB", "MB, all", "requests", "MB on the wire", "`sync` after it, s"]
    return _table(heads, _details(results, far=far))


def _details(results: Results, *, far: bool) -> Iterator[list[str]]:
    for cell, work in syncs(results, far=far):
        for name in results.programs(cell, work):
            samples = list(results.select(cell, work, name).values())
            traffic = results.traffic(cell, work, name)
            cpu = results.range(cell, work, name, lambda sample: sample.cpu)
            flush = results.range(cell, work, name, lambda sample: sample.flush)
            yield [
                place(results, cell),
                NAMES[work],
                name,
                with_range(results.range(cell, work, name, wall)),
                with_range(cpu),
                f"{max(sample.peak for sample in samples):.0f}",
                f"{max(sample.tree for sample in samples):.0f}",
                f"{traffic.requests:,}" if traffic and traffic.requests is not None else NONE,
                megabytes(traffic.wire) if traffic else NONE,
                seconds(flush.median) if flush else NONE,
            ]


def verified(results: Results) -> list[str]:
    """How fast `mirrorpy verify` is beside what only hashes."""
    lines = []
    for cell, extent in results.extents.items():
        if samples := [s for s in results.samples if (s.cell, s.work) == (cell, "verify")]:
            lines += [f"{place(results, cell)}:", "", *verify_table(samples, extent.bytes)]
    return lines


def parsed(results: Results) -> list[str]:
    """The parser beside createrepo_c's."""
    rows = []
    for cell, extent in results.extents.items():
        ours = results.range(cell, "parse", OURS, wall)
        theirs = results.range(cell, "parse", CREATEREPO, wall)
        ratio = results.ratio(cell, "parse", CREATEREPO)
        rise = results.range(cell, "parse", OURS, lambda sample: sample.peak)
        if ours and theirs and ratio and rise:
            cells = [with_range(ours), with_range(theirs), with_range(ratio, "{:.2f}".format)]
            rows.append([f"{extent.packages:,}", *cells, f"{rise.greatest:.1f}"])
    return _table(["packages", "mirrorpy, s", "createrepo_c, s", "ratio", "MB that mirrorpy's takes"], rows)


def _table(heads: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Return the lines; none where there are no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *lines] if lines else []
