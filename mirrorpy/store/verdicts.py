"""Which files of the pool were found well signed, under which keys; the first line names these, then a name each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.store.durable import open_regular, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_verdicts(path: str, trust: str) -> set[str]:
    """Return the names in the pool of what was found good under this trust; what is lost costs another check."""
    try:
        with open(open_regular(path), encoding="ascii", errors="replace") as file:
            lines = file.read().split("\n")
    except OSError:
        return set()
    return set(lines[1:-1]) if lines[0] == trust and lines[-1] == "" else set()


def write_verdicts(path: str, trust: str, good: Iterable[str]) -> None:
    """Write the file durably."""
    write_file(path, "".join(f"{line}\n" for line in (trust, *good)).encode())
