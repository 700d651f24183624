"""What is tried: each test says its line of the catalogue, and docs/reference/faults.md is made of that.

    @fault(74, "`../` in a package's location", "4; nothing is fetched, nothing leaves the repository")
    def test_fault_074_dotdot_in_primary(world: World) -> None: ...

`python -m tests.faults.catalogue` writes the page.
"""

import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/faults.md"
LINES = 114
ARGUED: dict[int, str] = {}
"""Lines that no test tries, and why."""
SECTIONS = {
    1: "Transport",
    35: "Metadata",
    59: "XML",
    66: "Compression",
    73: "Paths and filesystem",
    86: "Publication and crashes",
    96: "Pruning",
    101: "Signatures",
    109: "Configuration, locks, disk, serving",
}
"""By the number of the first line."""
PREFACE = """\
# Faults

What mirrorpy does with broken servers, wrong metadata, hostile upstreams and full disks. Every line is a test in
`tests/faults/`, and this page is made of those tests.

The number that an outcome begins with is the [exit status](exit-status.md) of `sync`. Where it is not 0, what is served
stays as it was, byte for byte, nothing is pruned, no temporary file is visible below the served paths, the other
repositories of the run are brought up to date, and the message is one line that names the repository, the file or URL,
and the cause. The next sync from an upstream that is well again succeeds. All of that is asserted for each such line.
Rows without a status are of what serves, or of runs that are killed.
"""
Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the catalogue, as one test tries it."""

    number: int
    given: str
    outcome: str


def fault(number: int, given: str, outcome: str) -> Callable[[Test], Test]:
    """Say which line a test tries; its name begins with the number."""
    line = Line(number, given, outcome)

    def declare(test: Test) -> Test:
        assert test.__name__.startswith(f"test_fault_{number:03}_"), test.__name__
        test.fault = line  # type: ignore[attr-defined]
        return test

    return declare


def iter_lines() -> Iterator[Line]:
    """Yield what all tests of this package declare, module by module."""
    package = importlib.import_module("tests.faults")
    for module in pkgutil.iter_modules(package.__path__, "tests.faults."):
        if module.name.startswith("tests.faults.test_"):
            for _, test in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
                line = getattr(test, "fault", None)
                if line is not None:
                    yield line


def page() -> str:
    """Return the reference page."""
    rows = sorted(iter_lines(), key=lambda line: line.number)
    rows += [Line(number, "not tried", reason) for number, reason in ARGUED.items()]
    parts = [PREFACE]
    starts = [*SECTIONS, LINES + 1]
    for first, following in itertools.pairwise(starts):
        parts.append(f"\n## {SECTIONS[first]}\n\n| | given | outcome |\n|---|---|---|\n")
        within = sorted((line for line in rows if first <= line.number < following), key=lambda line: line.number)
        parts += [f"| {line.number} | {_cell(line.given)} | {_cell(line.outcome)} |\n" for line in within]
    return "".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
