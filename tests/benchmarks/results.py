"""What a run measured: kept as JSON, asked for medians and ratios."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OURS = "mirrorpy"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the server saw of one run."""

    requests: int | None
    """None where the protocol has none."""
    wire: int
    """Bytes of both directions, without what TCP and IP add."""
    bodies: int | None
    """Bytes of what was asked for."""


@dataclass(frozen=True, slots=True)
class Range:
    """A median, with the least and the greatest."""

    median: float
    least: float
    greatest: float


def spread(values: list[float]) -> Range:
    """Return the range of some values."""
    return Range(statistics.median(values), min(values), max(values))


class Sample(msgspec.Struct, frozen=True):
    """One program, once."""

    cell: str
    """What it mirrored: `small`, `centos:300@50`."""
    work: str
    program: str
    round: int
    wall: float
    cpu: float
    peak: float = 0.0
    tree: float = 0.0
    flush: float = 0.0
    """Seconds that `sync` took after it: what it had left to the system to write."""


class Count(msgspec.Struct, frozen=True):
    """The traffic of one program, in the round that counted it."""

    cell: str
    work: str
    program: str
    traffic: Traffic


class Extent(msgspec.Struct, frozen=True):
    """How much there is to mirror."""

    packages: int
    bytes: int


class Results(msgspec.Struct):
    """Everything of one run."""

    machine: dict[str, str] = {}
    runs: int = 0
    scale: float = 1.0
    sha256: float = 0.0
    """MB/s of one core, as openssl measures it."""
    extents: dict[str, Extent] = {}
    samples: list[Sample] = []
    counts: list[Count] = []

    def save(self, file: Path) -> None:
        """Write all to a file."""
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))

    @classmethod
    def load(cls, file: Path) -> Results:
        """Read what was saved."""
        return msgspec.json.decode(file.read_bytes(), type=cls)

    def select(self, cell: str, work: str, program: str) -> dict[int, Sample]:
        """Return the samples by round."""
        return {s.round: s for s in self.samples if (s.cell, s.work, s.program) == (cell, work, program)}

    def range(self, cell: str, work: str, program: str, of: Callable[[Sample], float]) -> Range | None:
        """Return the range of a figure; None where nothing was measured."""
        values = [of(sample) for sample in self.select(cell, work, program).values()]
        return spread(values) if values else None

    def ratio(
        self, cell: str, work: str, peer: str, of: Callable[[Sample], float] = lambda sample: sample.wall
    ) -> Range | None:
        """Return mirrorpy's figure through a peer's, of the rounds that both took part in."""
        ours, theirs = self.select(cell, work, OURS), self.select(cell, work, peer)
        values = [of(ours[number]) / of(theirs[number]) for number in ours.keys() & theirs.keys()]
        return spread(values) if values else None

    def traffic(self, cell: str, work: str, program: str) -> Traffic | None:
        """Return what was counted."""
        found = [c.traffic for c in self.counts if (c.cell, c.work, c.program) == (cell, work, program)]
        return found[-1] if found else None

    def programs(self, cell: str, work: str) -> list[str]:
        """Return who did it, mirrorpy first, otherwise in order of the seconds it took."""

        def seconds(name: str) -> float:
            found = self.range(cell, work, name, lambda sample: sample.wall)
            return found.median if found else 0.0

        names = {s.program for s in self.samples if (s.cell, s.work) == (cell, work)}
        return sorted(names, key=lambda name: (name != OURS, seconds(name)))
