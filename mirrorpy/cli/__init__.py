"""The command line: arguments to a library call, to rendering; the only place that prints and exits."""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from mirrorpy import __version__
from mirrorpy.cli.logs import set_up_logs
from mirrorpy.errors import LocalError, MirrorError, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from mirrorpy.config.model import Config

COMMANDS = ("init", "discover", "sync", "adopt", "verify", "status", "prune", "serve", "emit")
"""A module each, in `mirrorpy.cli`; a run imports only what its command line names: starting is most of many runs."""
OF_PRINTING = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG, errno.EBADF, errno.EAGAIN)
"""What a pipe or a file gives that does not take what is printed."""
HELP = frozenset({"-h", "--help"})
EPILOG = """\
The configuration is --config, $MIRRORPY_CONFIG, ./mirrorpy.yaml or /etc/mirrorpy.yaml, the first that is there.

exit status: 0 done; 1 verify found damage; 2 usage or configuration; 3 upstream could not be reached; 4 upstream is
wrong; 5 signature; 6 this machine; 7 locked by another run; 8 a guard refused; 70 a fault of mirrorpy's own; 128+n
ended by signal n
"""
logger = logging.getLogger(__name__)


class _Ended(BaseException):
    """A signal asked us to end."""

    def __init__(self, number: int) -> None:
        self.number = number


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    given = sys.argv[1:] if argv is None else argv
    named = [command for command in COMMANDS if command in given]
    args = _parser(*(COMMANDS if HELP.intersection(given) else named or COMMANDS)).parse_args(given)
    set_up_logs(args.log_format, verbose=args.verbose, quiet=args.quiet)
    try:
        _listen_for_signals()
        status_code: int = args.run(_config(args), args) if args.configured else args.run(args)
        sys.stdout.flush()
    except MirrorError as error:
        logger.error("%s", error.message)
        return error.exit_status
    except Exception as error:  # noqa: BLE001  # a fault of ours has its own status, and is no damage found
        return _untranslated(error)
    except _Ended as ended:
        logger.error("ended by %s%s", signal.Signals(ended.number).name, args.when_ended)
        return 128 + ended.number
    return status_code


def _untranslated(error: Exception) -> int:
    """Tell of an error that no library's translation knows: printing failed, or it is a fault of ours."""
    if isinstance(error, OSError) and error.filename is None and error.errno in OF_PRINTING:
        # The interpreter would try once more to write it out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            return 128 + signal.SIGPIPE
        logger.error("standard output: %s", error.strerror)
        return LocalError.exit_status
    logger.error("unexpected %s: %s; please report this, with -v", type(error).__name__, one_line(str(error)))
    logger.info("it happened here", exc_info=error)
    return MirrorError.exit_status


def _config(args: argparse.Namespace) -> Config:
    from mirrorpy.config.load import find_config, load_config  # noqa: PLC0415  # not every command needs one

    # Secrets and certificates are for who speaks to an upstream.
    return load_config(find_config(args.config, os.environ), os.environ if args.online else None)


def _listen_for_signals() -> None:
    """End at once: every moment is one at which a run may be killed, so nothing needs to be wound up."""
    if threading.current_thread() is not threading.main_thread():
        return

    def end(number: int, _frame: FrameType | None) -> None:
        raise _Ended(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


def _parser(*names: str) -> argparse.ArgumentParser:
    """Return what reads the command line, with these commands; with all, if none are named."""
    # Two of the same: a default that the whole program has must not undo what stands before the command.
    common, before = _common(), _common()
    parser = argparse.ArgumentParser(
        prog="mirrorpy",
        description="Mirror YUM/DNF (RPM-MD) repositories over plain HTTP.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[before],
    )
    parser.add_argument("--version", action="version", version=f"mirrorpy {__version__}")
    parser.set_defaults(config=None, quiet=False, verbose=False, json=False, log_format="text")
    parser.set_defaults(configured=True, online=False, when_ended="")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, within: Any = commands, **options: Any) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = within.add_parser(
            name, parents=[common], epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, **options
        )
        return added

    for name in names or COMMANDS:
        importlib.import_module(f"mirrorpy.cli.{name}").declare(add)
    return parser


def _common() -> argparse.ArgumentParser:
    """Return the options that stand before or after the command."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("common options")
    group.add_argument("-c", "--config", metavar="FILE", help="the configuration, instead of those named below")
    group.add_argument("-q", "--quiet", action="store_true", help="errors only")
    group.add_argument("-v", "--verbose", action="store_true", help="say more: each file that failed, each restart")
    group.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    group.add_argument("--log-format", choices=("text", "json"), help="of the messages on standard error")
    return common
