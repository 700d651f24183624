"""docs/explanation/performance.md and its picture: what stands between the marks is written by a run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.goals import goals_table
from tests.benchmarks.plot import draw
from tests.benchmarks.tables import connections_table, detail_table, growth_table, parsed, side_by_side, verified

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.results import Results

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "explanation/performance.md"
PICTURE = DOCS / "images/performance.svg"
MARKED = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOTHING = "Not measured in this run."


def machine_lines(results: Results) -> list[str]:
    """Say where, with what, and how often."""
    about = dict(results.machine)
    where = "; ".join(f"{about.pop(key)}" for key in ("processor", "memory", "kernel"))
    where += f"; {about.pop('file system')}"
    scale = f" Only {results.scale:g} of the packages: a trial." if results.scale != 1 else ""
    most = f"At most {results.runs} rounds." if results.runs != 1 else "One round."
    return [f"{where}. {', '.join(f'{name} {version}' for name, version in about.items())}. {most}{scale}"]


SECTIONS: dict[str, Callable[[Results], list[str]]] = {
    "machine": machine_lines,
    "network": lambda results: side_by_side(results, far=True),
    "connections": connections_table,
    "loopback": lambda results: side_by_side(results, far=False),
    "growth": growth_table,
    "verify": verified,
    "parser": parsed,
    "goals": goals_table,
    "network_details": lambda results: detail_table(results, far=True),
    "loopback_details": lambda results: detail_table(results, far=False),
}


def write_page(results: Results, page: Path = PAGE, picture: Path = PICTURE) -> None:
    """Put the figures of one run, and of no other, where the page has marks for them.

    Raises:
        SystemExit: The page has no place for some figures, or one for figures that are not known.
    """
    text = page.read_text(encoding="utf-8")
    marks = [name for _, name, _ in MARKED.findall(text)]
    if sorted(marks) != sorted(SECTIONS):
        raise SystemExit(f"{page}: there are marks for {sorted(marks)}, but figures for {sorted(SECTIONS)}")

    def fill(found: re.Match[str]) -> str:
        lines = SECTIONS[found[2]](results) or [NOTHING]
        return "".join((found[1], "\n", "\n".join(lines), "\n\n", found[3]))

    page.write_text(MARKED.sub(fill, text), encoding="utf-8")
    if not draw(results, picture):
        picture.unlink(missing_ok=True)
