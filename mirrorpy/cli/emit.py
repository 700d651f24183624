"""`mirrorpy emit`: configuration for clients, schedulers, and web and FTP servers, on standard output."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from mirrorpy.cli.arguments import port_number
from mirrorpy.config.selection import select_repositories
from mirrorpy.emit.apache import apache_conf
from mirrorpy.emit.cron import cron_file
from mirrorpy.emit.disable import disable_script
from mirrorpy.emit.nginx import nginx_conf
from mirrorpy.emit.repofile import check_base, check_key, fold, repo_file
from mirrorpy.emit.systemd import systemd_units
from mirrorpy.emit.times import DEFAULT
from mirrorpy.emit.vsftpd import vsftpd_conf

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from mirrorpy.config.model import Config

UNITS = ("mirrorpy.service", "mirrorpy.timer")
logger = logging.getLogger(__name__)


def declare(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command, and a command below it for each kind of file."""
    kinds = add("emit", help="print configuration for clients, schedulers and servers").add_subparsers(
        title="kinds", required=True, metavar="KIND"
    )

    def kind(name: str, about: str, run: Callable[[Config, argparse.Namespace], int]) -> argparse.ArgumentParser:
        parser = add(name, within=kinds, help=about)
        parser.set_defaults(run=run)
        return parser

    _declare_repo(kind("repo", "the clients' .repo file", _repo))
    for name, about, run, port in (
        ("nginx", "a server block of nginx", _nginx, 80),
        ("apache", "a virtual host of Apache", _apache, 80),
        ("vsftpd", "a configuration of vsftpd", _vsftpd, 21),
    ):
        parser = kind(name, about, run)
        parser.add_argument("--bind", metavar="ADDRESS", help="listen there (default: every IPv4 address)")
        parser.add_argument("--port", type=port_number, default=port, help=f"listen there (default: {port})")
        if port == 80:
            parser.add_argument("--server-name", metavar="NAME", help="the name that clients ask for")
    cron = kind("cron", "a file for /etc/cron.d", _cron)
    cron.add_argument("--at", default=DEFAULT, help=f"times, or five fields of crontab(5) (default: {DEFAULT})")
    cron.add_argument("--user", default="root", help="who runs it (default: root)")
    cron.add_argument("--mailto", default="root", metavar="ADDRESS", help="who hears of failures (default: root)")
    systemd = kind("systemd", "a service and a timer", _systemd)
    systemd.add_argument("unit", nargs="?", choices=UNITS, metavar="UNIT", help=f"{' or '.join(UNITS)} alone")
    systemd.add_argument("--at", default=DEFAULT, help=f"times (default: {DEFAULT})")
    systemd.add_argument("--user", help="who runs it (default: root)")


def _declare_repo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repos", nargs="*", metavar="REPOID", help="which (default: all; globs allowed)")
    parser.add_argument("--base", metavar="URL", help="where clients see root (default: its file:// URL)")
    parser.add_argument(
        "--gpgkey", action="append", default=[], metavar="URL", help="the key that clients check with (repeatable)"
    )
    parser.add_argument(
        "--disable-others",
        action="store_true",
        help="print a shell script that installs the file and renames all others to .repo.not; it can undo that",
    )


def _repo(config: Config, args: argparse.Namespace) -> int:
    base = check_base(f"file://{quote(str(config.root))}" if args.base is None else args.base)
    sections = fold(select_repositories(config, args.repos))
    if args.gpgkey:
        sections = [replace(section, gpgkey=tuple(map(check_key, args.gpgkey))) for section in sections]
    if unchecked := [section.id for section in sections if not section.gpgkey]:
        logger.warning("no gpgkey for %s: clients check no signatures; name one by --gpgkey", ", ".join(unchecked))
    text = repo_file(sections, base)
    return _show(disable_script(text) if args.disable_others else text)


def _nginx(config: Config, args: argparse.Namespace) -> int:
    return _show(nginx_conf(config.root, args.bind, args.port, args.server_name))


def _apache(config: Config, args: argparse.Namespace) -> int:
    return _show(apache_conf(config.root, args.bind, args.port, args.server_name))


def _vsftpd(config: Config, args: argparse.Namespace) -> int:
    return _show(vsftpd_conf(config.root, args.bind, args.port))


def _cron(config: Config, args: argparse.Namespace) -> int:
    return _show(cron_file(_quiet_sync(config), args.at, args.user, args.mailto))


def _systemd(config: Config, args: argparse.Namespace) -> int:
    units = systemd_units(_quiet_sync(config), config.root, args.at, args.user)
    if args.unit:
        return _show(units[args.unit])
    return _show("\n".join(f"# /etc/systemd/system/{name}\n{text}" for name, text in units.items()))


def _quiet_sync(config: Config) -> list[str]:
    """Return the words that run this very mirrorpy, wherever they are run."""
    program = os.path.join(os.path.dirname(sys.executable), "mirrorpy")
    if not _is_installed():
        logger.warning("mirrorpy is not installed for %s: the command works where it can be imported", sys.executable)
    words = [program] if os.access(program, os.X_OK) else [sys.executable, "-m", "mirrorpy"]
    return [*words, "sync", "--quiet", "--config", os.path.abspath(config.file)]


def _is_installed() -> bool:
    import importlib.metadata  # noqa: PLC0415  # slow to import, and seldom asked for

    try:
        importlib.metadata.distribution("mirrorpy")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _show(text: str) -> int:
    sys.stdout.write(text)
    return 0
