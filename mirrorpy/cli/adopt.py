"""`mirrorpy adopt`: take over a tree that rsync, reposync, wget or a copy made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mirrorpy.cli.sync import tell
from mirrorpy.cli.watch import watch_for
from mirrorpy.errors import ConfigError
from mirrorpy.sync.report import OldTree, Options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from mirrorpy.config.model import Config


def declare(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add("adopt", help="take over a tree that rsync, reposync or wget made")
    parser.add_argument("repo", metavar="REPOID", help="which repository it is a copy of")
    parser.add_argument("path", nargs="?", metavar="PATH", help="the tree (default: what lies where it is published)")
    parser.add_argument("--remove-old", action="store_true", help="remove what is left of the tree afterwards")
    parser.set_defaults(run=run, online=True, when_ended="; `mirrorpy adopt` or `mirrorpy sync` goes on from here")


def run(config: Config, args: argparse.Namespace) -> int:
    """Adopt, and tell how it went."""
    from mirrorpy.mirror import sync_all  # noqa: PLC0415  # with it comes all that speaks HTTP

    repo = next((repo for repo in config.repos if repo.id == args.repo), None)
    if repo is None:
        raise ConfigError(f"{config.file}: no repository is named {args.repo!r}", hint="`mirrorpy status` lists them")
    old = OldTree(
        path=os.path.abspath(args.path) if args.path is not None else None,
        remove=args.remove_old,
        others=tuple(other.path for other in config.repos if other is not repo),
    )
    with watch_for(args) as watch:
        report = sync_all(config, [repo], Options(adopt=old), watch)
    tell(report, args)
    return report.exit
