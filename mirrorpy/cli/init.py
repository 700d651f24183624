"""`mirrorpy init`: a new configuration, with examples or from yum's .repo files."""

from __future__ import annotations

import logging
import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mirrorpy.config.load import DEFAULT_FILES, load_config
from mirrorpy.config.starter import converted, starter
from mirrorpy.config.variables import given_variables, known_variables
from mirrorpy.config.yum import convert
from mirrorpy.errors import ConfigError, LocalError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

GUESS = "9"
"""A release, where the machine that runs this has none of its own."""
_SECRET = re.compile(r"^ +password: |://[^/\s]*@", re.MULTILINE)
logger = logging.getLogger(__name__)


def declare(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add("init", help="write a new configuration, to --config or mirrorpy.yaml; `-c -` prints it")
    parser.add_argument("--root", default="/pub", metavar="FOLDER", help="where to publish (default: /pub)")
    parser.add_argument("--from", nargs="+", default=[], dest="files", metavar="FILE.repo", help="take yum's own files")
    parser.add_argument(
        "--var",
        action="append",
        default=[],
        metavar="NAME=VALUE,…",
        help="what a variable of theirs stands for, such as releasever=8,9 (repeatable)",
    )
    parser.set_defaults(run=run, configured=False)


def run(args: argparse.Namespace) -> int:
    """Write it, and say what could not be taken."""
    target = args.config or os.environ.get("MIRRORPY_CONFIG") or str(DEFAULT_FILES[0])
    text = _converted(args) if args.files else starter(args.root)
    if target == "-":
        sys.stdout.write(text)
        return 0
    _write(Path(target), text)
    if not args.quiet:
        print(f"mirrorpy: wrote {target}", file=sys.stderr)
    _look_ahead(Path(target))
    return 0


def _look_ahead(target: Path) -> None:
    """Say what would keep the first sync from working."""
    try:
        config = load_config(target, os.environ)
    except ConfigError as error:
        logger.warning("to be mended before the first sync: %s", error.message)
        return
    keys = dict.fromkeys(key for repo in config.repos for key in repo.gpgkey if repo.gpgcheck or repo.repo_gpgcheck)
    for key in keys:
        if not os.path.exists(key):
            logger.warning("to be put there before the first sync: %s, which signatures are checked with", key)


def _converted(args: argparse.Namespace) -> str:
    known = known_variables() | given_variables(args.var)
    variables = {"releasever": [GUESS]} | known
    conversion = convert([(name, _read(name)) for name in args.files], variables)
    for complaint in conversion.complaints:
        logger.warning("%s", complaint)
    if not conversion.entries:
        raise ConfigError(f"{', '.join(args.files)}: nothing could be taken")
    if "releasever" not in known and any("releasever" in entry.variables for entry in conversion.entries):
        logger.warning("$releasever is not known here: %s was written; say it with --var releasever=VALUE", GUESS)
    return converted(args.root, [(entry.options, entry.comments) for entry in conversion.entries])


def _read(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from error


def _write(target: Path, text: str) -> None:
    """Write a file that is not there yet, or is empty; only its owner reads one with a secret in it."""
    secret = bool(_SECRET.search(text))
    try:
        if target.exists() and target.stat().st_size:
            raise ConfigError(f"{target}: is there already, and is not overwritten", hint="name another with --config")
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT, 0o600 if secret else 0o644)
        with open(descriptor, "w", encoding="utf-8") as file:
            if secret and stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.fchmod(descriptor, 0o600)
            file.write(text)
    except OSError as error:
        raise LocalError(f"{target}: cannot be written: {error.strerror}") from error
