"""`mirrorpy sync`: bring repositories up to date."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from mirrorpy.cli.watch import watch_for
from mirrorpy.config.selection import select_repositories
from mirrorpy.figures import files_text, size_text
from mirrorpy.sync.report import Options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from mirrorpy.config.model import Config
    from mirrorpy.mirror import RunReport
    from mirrorpy.sync.report import RepoReport

logger = logging.getLogger(__name__)


def declare(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add("sync", help="bring repositories up to date")
    parser.add_argument("repos", nargs="*", metavar="REPOID", help="which (default: all; globs allowed)")
    parser.add_argument("-n", "--dry-run", action="store_true", help="print what would be done; write nothing")
    parser.add_argument("--checksum", action="store_true", help="trust no size: hash every local file first")
    parser.add_argument("--allow-shrink", action="store_true", help="take a repository that shrank past max_shrink")
    parser.add_argument("--allow-rollback", action="store_true", help="take one that is older than what is published")
    parser.set_defaults(run=run, online=True, when_ended="; what was downloaded is kept for the next run")


def run(config: Config, args: argparse.Namespace) -> int:
    """Sync, and tell how it went."""
    from mirrorpy.mirror import sync_all  # noqa: PLC0415  # with it comes all that speaks HTTP

    repos = select_repositories(config, args.repos)
    options = Options(
        dry_run=args.dry_run,
        checksum=args.checksum,
        allow_shrink=args.allow_shrink,
        allow_rollback=args.allow_rollback,
    )
    with watch_for(args) as watch:
        report = sync_all(config, repos, options, watch)
    tell(report, args)
    return report.exit


def tell(report: RunReport, args: argparse.Namespace) -> None:
    """Tell how a run went: on standard output what was done, on standard error what was not."""
    if args.json:
        import msgspec  # noqa: PLC0415  # only for this format

        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    held = [repo.id for repo in report.repos if repo.error is not None and repo.error.kind == "LockHeld"]
    if len(held) > 1:
        logger.error("%s are held by another run", ", ".join(held))
    for repo in report.repos:
        for warning in repo.warnings:
            logger.warning("%s: %s", repo.id, warning)
        if repo.id in held and len(held) > 1:
            continue
        if repo.error is not None:
            logger.error("%s: %s", repo.id, repo.error.message)
        elif not args.json and not args.quiet:
            print(summary(repo))


def summary(repo: RepoReport) -> str:
    """Return one line of what became of a repository."""
    if repo.outcome == "unchanged":
        return f"{repo.id}: unchanged, {repo.packages:,} packages"
    fetched, would = repo.downloaded, repo.outcome == "planned"
    parts = [
        f"{'would download' if would else 'downloaded'} {files_text(fetched.files)} ({size_text(fetched.bytes)})",
        f"{'reuse' if would else 'reused'} {repo.reused.files:,} ({size_text(repo.reused.bytes)})",
        f"{'retire' if would else 'retired'} {repo.retired.files:,} ({size_text(repo.retired.bytes)})",
        f"{'prune' if would else 'pruned'} {repo.pruned.files:,} ({size_text(repo.pruned.bytes)})",
    ]
    return f"{repo.id}: {repo.outcome}, {repo.packages:,} packages: {', '.join(parts)}; {repo.seconds:.1f} s"
