"""`mirrorpy status`: what is published, how old it is, and what went wrong last."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import msgspec

from mirrorpy.config.selection import select_repositories
from mirrorpy.errors import one_line
from mirrorpy.figures import age_text, size_text, utc_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from mirrorpy.config.model import Config
    from mirrorpy.mirror import RepoStatus

HEADINGS = (
    "REPOSITORY",
    "REVISION",
    "PACKAGES",
    "SIZE",
    "LAST SUCCESS",
    "AGE",
    "GENERATIONS",
    "WARNINGS",
    "LAST ERROR",
)


def declare(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add("status", help="show what is published")
    parser.add_argument("repos", nargs="*", metavar="REPOID", help="which (default: all; globs allowed)")
    parser.set_defaults(run=run)


def run(config: Config, args: argparse.Namespace) -> int:
    """Print a line for each repository."""
    from mirrorpy.mirror import status_of  # noqa: PLC0415  # with it comes all that speaks HTTP

    lines = status_of(config, select_repositories(config, args.repos))
    now = time.time()
    if args.json:
        sys.stdout.buffer.write(msgspec.json.encode({"repos": [document(line, now) for line in lines]}) + b"\n")
        return 0
    rows = [HEADINGS, *(row(line, now) for line in lines)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEADINGS))]
    for cells in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    return 0


def row(line: RepoStatus, now: float) -> tuple[str, ...]:
    """Return one repository's cells."""
    state = line.state
    name = line.id if line.configured else f"{line.id} (not configured)"
    success = time.strftime("%Y-%m-%d %H:%M", time.localtime(state.last_success)) if state.last_success else "never"
    cells = (
        name,
        state.revision or "-",
        f"{state.packages:,}",
        size_text(state.bytes),
        success,
        age_text(now - state.timestamp) if state.timestamp else "-",
        str(len(line.generations)),
        "; ".join(state.warnings) or "-",
        state.error or "-",
    )
    return tuple(map(one_line, cells))


def _utc(seconds: float) -> str | None:
    return utc_text(seconds) if seconds else None


def document(line: RepoStatus, now: float) -> dict[str, object]:
    """Return one repository as `status --json` has it; ages in seconds."""
    state = line.state
    return {
        "id": line.id,
        "path": line.path,
        "configured": line.configured,
        "revision": state.revision,
        "repomd_sha256": state.repomd_sha256,
        "packages": state.packages,
        "bytes": state.bytes,
        "last_run": _utc(state.last_run),
        "last_success": _utc(state.last_success),
        "age": round(now - state.timestamp) if state.timestamp else None,
        "generation": state.generation,
        "generations": line.generations,
        "former_paths": state.former_paths,
        "missing": state.missing,
        "warnings": state.warnings,
        "error": state.error,
    }
