"""Who watches a run: bars where there is a terminal, else nobody."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from mirrorpy.sync.report import Watch


class _Nobody:
    """Watches nothing."""

    def step(self, repo_id: str, doing: str | None) -> None:
        """Do not care."""

    def expect(self, repo_id: str, files: int, size: int) -> None:
        """Do not care."""

    def receive(self, repo_id: str, size: int) -> None:
        """Do not care."""

    def land(self, repo_id: str) -> None:
        """Do not care."""


def watch_for(args: argparse.Namespace) -> contextlib.AbstractContextManager[Watch]:
    """Return what is told how a run goes."""
    if args.quiet or args.verbose or not sys.stderr.isatty():
        return contextlib.nullcontext(_Nobody())
    from mirrorpy.cli.progress import Bars  # noqa: PLC0415  # rich takes as long to import as a sync without change

    return Bars()
