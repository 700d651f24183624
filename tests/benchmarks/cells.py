"""What is measured: which upstream, how many packages, how far away, and which work."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.benchmarks.mirrorers import LFTP, REPOSYNC, RSYNC
from tests.benchmarks.upstreams import SHAPES

WORKS = ("first", "none", "1%", "10%", "verify", "parse")
"""In this order; `none` is a sync without change."""
STATES = {"first": "first", "none": "first", "1%": "1%", "10%": "10%"}
"""The state of the upstream that each sync meets."""
NAMES = {
    "first": "first sync",
    "none": "no change",
    "1%": "1 % changed",
    "10%": "10 % changed",
    "verify": "verify",
    "parse": "parse primary.xml",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One upstream at one distance."""

    shape: str
    packages: int
    rtt: int = 0
    """Milliseconds; 0 is loopback as it is."""
    works: tuple[str, ...] = WORKS[:4]

    @property
    def key(self) -> str:
        """`centos:300@50`."""
        return f"{self.shape}:{self.packages}" + (f"@{self.rtt}" if self.rtt else "")


NEAR = (
    Cell("small", 10_000),
    Cell("centos", 2_500, works=("first", "none", "1%", "10%", "verify")),
    Cell("large", 20, works=("first",)),
    Cell("many", 1_000),
    Cell("many", 10_000, works=("first", "none", "1%", "10%", "parse")),
    Cell("many", 70_000, works=("first", "none", "1%", "10%", "parse")),
)
FAR = tuple(
    Cell(shape, packages, rtt, ("first", "none", "1%"))
    for rtt in (50, 5)
    for shape, packages in (("centos", 300), ("small", 2_000))
)
MOST_PACKAGES = {REPOSYNC: 20_000}
"""Beyond these a program is not run: it would take most of the time of all."""
MOST_ROUNDS = {(REPOSYNC, "small"): 3, (REPOSYNC, "many"): 3}
MOST_ROUNDS_FAR = {REPOSYNC: 3, LFTP: 3, RSYNC: 3}


def rounds_of(name: str, cell: Cell, asked: int) -> int:
    """Return in how many of the rounds a program takes part."""
    if cell.packages > MOST_PACKAGES.get(name, cell.packages):
        return 0
    near = MOST_ROUNDS.get((name, cell.shape), asked)
    return min(asked, MOST_ROUNDS_FAR.get(name, asked) if cell.rtt else near)


def chosen(shapes: list[str], rtts: list[int], works: list[str]) -> list[Cell]:
    """Return the cells that a command line asks for; without any choice all of them.

    A shape is `small`, or `small:500` for another number of packages.
    """
    cells = [_cell(text, rtt) for rtt in rtts or [0] for text in shapes] if shapes else [*FAR, *NEAR]
    if rtts:
        cells = [cell for cell in cells if cell.rtt in rtts]
    if works:
        asked = tuple(work for work in WORKS if work in works)
        cells = [replace(c, works=asked if shapes else tuple(w for w in asked if w in c.works)) for c in cells]
    return [cell for cell in cells if cell.works]


def _cell(text: str, rtt: int) -> Cell:
    """Return the planned one, or one of its own."""
    shape, _, number = text.partition(":")
    if shape not in SHAPES:
        raise SystemExit(f"no shape {shape!r}; there are {', '.join(SHAPES)}")
    cell = Cell(shape, int(number) if number else SHAPES[shape].packages, rtt)
    return {planned.key: planned for planned in (*NEAR, *FAR)}.get(cell.key, cell)
