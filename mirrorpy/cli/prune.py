"""`mirrorpy prune`: drop old generations, files past their grace, and what nothing refers to."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import msgspec

from mirrorpy.figures import files_text, size_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from mirrorpy.config.model import Config

logger = logging.getLogger(__name__)


def declare(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add("prune", help="drop what nobody needs any more")
    parser.add_argument(
        "--forget",
        action="append",
        default=[],
        metavar="REPOID",
        help="drop a repository that left the configuration, or the former paths of one whose path was changed",
    )
    parser.set_defaults(run=run)


def run(config: Config, args: argparse.Namespace) -> int:
    """Prune, and tell what went."""
    from mirrorpy.mirror import prune_all  # noqa: PLC0415  # with it comes all that speaks HTTP

    report = prune_all(config, args.forget)
    if args.json:
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    elif not args.quiet:
        print(f"pruned {files_text(report.pool.files)} ({size_text(report.pool.bytes)}) from the pool")
    for line in report.left:
        logger.warning("left alone: %s", line)
    for repo_id in report.unconfigured:
        logger.warning("%s is not in the configuration; `mirrorpy prune --forget %s` drops it", repo_id, repo_id)
    for error in report.errors:
        logger.error("%s", error.message)
    return report.exit
