"""`mirrorpy discover`: what repositories lie below a URL, as a configuration."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING

from mirrorpy import __version__
from mirrorpy.cli.watch import watch_for
from mirrorpy.config.connection import Wrong
from mirrorpy.config.resolve import check_url
from mirrorpy.config.starter import converted
from mirrorpy.discover import DEPTH, Bounds, Found, explore, find_families, nested
from mirrorpy.errors import ConfigError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorpy.discover import Family, Survey

MAX_DEPTH = 32
logger = logging.getLogger(__name__)


def declare(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add("discover", help="find every repository below a URL, and print configuration for them")
    parser.add_argument("url", metavar="URL", help="whose folders are listed: http://, https:// or file://")
    parser.add_argument(
        "--match",
        action="append",
        default=[],
        metavar="GLOB",
        help="only repositories whose path below the URL fits, such as x86_64 or '9*/BaseOS' (repeatable)",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="GLOB",
        help="do not enter folders that fit, such as debug or '5.*/updates' (repeatable)",
    )
    parser.add_argument(
        "--depth", type=_depth, default=DEPTH, metavar="N", help=f"folders below the URL (default: {DEPTH})"
    )
    parser.add_argument("--root", default="/pub", metavar="FOLDER", help="where to publish (default: /pub)")
    parser.set_defaults(run=run, configured=False)


def run(args: argparse.Namespace) -> int:
    """Walk, print what was found, and say what was left out."""
    try:
        url = check_url(args.url, "baseurl")
    except Wrong as wrong:
        raise ConfigError(wrong.problem) from wrong
    bounds = Bounds(depth=args.depth, match=tuple(args.match), exclude=tuple(args.exclude))
    with watch_for(args) as watch:
        survey = explore(url, bounds, watch)
    families = find_families(url, survey.found)
    survey.warnings += [
        f"{survey.url.rstrip('/')}/{found.path} is an installer tree and no repository: mirror it with `tree: all`"
        for found in survey.found
        if not found.repository
    ]
    if inner := nested(survey.found):
        survey.warnings.append(
            f"{len(inner)} of what was found lies below another repository, such as {survey.url.rstrip('/')}/"
            f"{inner[0].path}: published folders do not lie in each other, so it has an entry and a path of its own"
        )
    for warning in survey.warnings:
        logger.warning("%s", warning)
    if not families:
        raise ConfigError(f"{survey.url}: no repository lies below it", hint="look deeper with --depth")
    if args.json:
        _print_json(survey, families)
    else:
        sys.stdout.write(converted(args.root, [(_options(family), _comments(family)) for family in families]))
        if survey.beside:
            sys.stdout.write(_whole(url, survey))
    return 0


def _options(family: Family) -> dict[str, object]:
    options: dict[str, object] = {"id": family.id, "path": family.path, "baseurl": family.baseurl}
    return options | ({"vars": family.vars} if family.vars else {})


def _comments(family: Family) -> list[str]:
    count = f"{family.repositories} repositories" if family.repositories > 1 else "1 repository"
    trees = f"{family.trees} installer trees" if family.trees > 1 else "1 installer tree"
    return [f"{count}, {trees}"] if family.trees else [count] if family.vars else []


def _whole(url: str, survey: Survey) -> str:
    """Return an entry, as a comment, for everything that there is."""
    (whole,) = find_families(url, [Found("", repository=True, tree=False)])
    options = _options(whole) | {"tree": "all"}
    entry = converted("/", [(options, [])]).partition("repos:\n")[2].rstrip("\n").splitlines()
    files = f"{survey.beside} files lie" if survey.beside > 1 else "1 file lies"
    such = f"{files} beside the repositories, such as {one_line(survey.beside_first)}."
    lines = [f"{such} One entry for everything, in place of all:", *entry]
    return "".join(["\n", *(f"  # {line.removeprefix('  ')}\n" for line in lines)])


def _print_json(survey: Survey, families: list[Family]) -> None:
    import msgspec  # noqa: PLC0415  # only for this format

    document = {
        "mirrorpy": __version__,
        "url": survey.url,
        "exit": 0,
        "pages": survey.pages,
        "found": survey.found,
        "beside": survey.beside,
        "families": families,
        "warnings": survey.warnings,
    }
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")


def _depth(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 3 and int(text) <= MAX_DEPTH):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of folders, at most {MAX_DEPTH}")
    return int(text)
