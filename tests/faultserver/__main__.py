"""Serve a folder with faults, to see what a client makes of them: `python -m tests.faultserver FOLDER --fault NAME`."""

import argparse
import contextlib
import re
import signal
import sys
import typing
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from . import REGISTRY, FaultError, FaultServer, Request
from .certificates import KINDS
from .registry import fault_named
from .rules import matches

OFTEN = {"times": int, "after": int, "chance": float, "seed": int}
ENDS = {signal.SIGINT, signal.SIGTERM}


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; returns the exit status."""
    options = parser().parse_args(arguments)
    if options.list:
        print(_listing())
        return 0
    # Threads inherit it: the signals come to sigwait alone.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        return _serve(options)
    except (FaultError, OSError, RuntimeError) as error:
        print(f"faultserver: {error}", file=sys.stderr)
        return 2
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(options: argparse.Namespace) -> int:
    if options.folder is None:
        raise FaultError("which folder? See --help")
    if not Path(options.folder).is_dir():
        raise FaultError(f"{options.folder} is no folder")
    if not 0 <= options.port < 65536:
        raise FaultError(f"{options.port} is no port")
    faults = [parse_fault(text, options.times) for text in options.fault]
    with FaultServer(options.folder, options.tls, port=options.port, tell=_tell) as server:
        for name, parameters in faults:
            server.fault(options.path, name, **parameters)
        print(f"serving {options.folder} at {server.url}")
        print(f"try: {_curl(server, options.path)}", flush=True)
        signal.sigwait(ENDS)
    return 0


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"faultserver: {message}\n")


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    made = Parser(
        prog="python -m tests.faultserver",
        description="Serve a folder over HTTP on this machine, with faults. Prints one line for each request.",
    )
    made.add_argument("folder", nargs="?", metavar="FOLDER", help="what to serve, such as a YUM repository")
    made.add_argument("--port", type=int, default=0, help="where to listen (a free port)")
    made.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:KEY=VALUE[,KEY=VALUE…]]",
        help="a fault to meet, with its parameters, or times, after, chance, seed; of several, the first that is due",
    )
    made.add_argument("--path", default="*", metavar="GLOB", help="which paths below FOLDER meet it (*)")
    made.add_argument("--times", type=int, metavar="N", help="so many requests meet each fault (all)")
    made.add_argument("--tls", choices=KINDS, metavar="KIND", help=f"speak https; the certificate: {', '.join(KINDS)}")
    made.add_argument("--list", action="store_true", help="print every fault with its parameters")
    return made


def _listing() -> str:
    """One block a fault: name, parameters with defaults, what it does."""
    lines = []
    for name, found in sorted(REGISTRY.items()):
        told = [
            f"{key}{'' if value.default is value.empty else f'={value.default}'}"
            for key, value in found.parameters.items()
        ]
        lines.append(f"{name:<16} {found.summary}")
        if told:
            lines.append(f"{'':<16}   {', '.join(told)}")
    return "\n".join(lines)


def parse_fault(text: str, times: int | None) -> tuple[str, dict[str, Any]]:
    """A fault's name and parameters from NAME:KEY=VALUE,KEY=VALUE.

    Raises:
        FaultError: There is no such fault, or it has no such parameter.
    """
    name, _, rest = text.partition(":")
    found = fault_named(name)
    # A comma within a value, as in a URL, is followed by no KEY=.
    pairs = [pair.partition("=") for pair in re.split(r",(?=[a-z_]+=)", rest) if pair]
    for key, equals, _ in pairs:
        if not equals:
            raise FaultError(f"{key!r} is no KEY=VALUE")
    given = {key: value for key, _, value in pairs}
    often = {key: _value(key, given.pop(key), kind) for key, kind in OFTEN.items() if key in given}
    found.check(given)
    kinds = typing.get_type_hints(found.meet)
    parameters = {key: _value(key, value, kinds[key]) for key, value in given.items()}
    return name, {"times": times} | often | parameters


def _value(key: str, text: str, kind: Any) -> Any:
    """A parameter's value from its text.

    Raises:
        FaultError: It is not of that kind.
    """
    kinds = typing.get_args(kind) or (kind,)
    if type(None) in kinds and text == "none":
        return None
    if bool in kinds:
        if text not in ("true", "false"):
            raise FaultError(f"{key} is true or false, not {text!r}")
        return text == "true"
    for number in (int, float):
        if number in kinds and str not in kinds:
            try:
                return number(text)
            except ValueError:
                raise FaultError(f"{key} is a number, not {text!r}") from None
    if Path in kinds and not Path(text).exists():
        raise FaultError(f"{key}: there is no {text!r}")
    if "Mapping" in str(kind) and str not in kinds:
        raise FaultError(f"{key} can be given in Python only")
    return text


def _curl(server: FaultServer, pattern: str) -> str:
    """A command that asks for the first path that the faults are for."""
    folder = server.folder
    paths = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    # Of a repository, everything starts with repomd.xml.
    first = min(
        (path for path in paths if matches(pattern, path)),
        key=lambda path: (not path.endswith("repodata/repomd.xml"), path),
        default="",
    )
    trust = f"--cacert {server.authority} " if server.url.startswith("https") else ""
    return f"curl -v {trust}-o /dev/null {server.url}{quote(first)}"


def _tell(request: Request) -> None:
    met = f" {request.fault}" if request.fault else ""
    with contextlib.suppress(BrokenPipeError):
        print(f"{request.method} {request.target} {request.status or '-'} {request.sent}{met}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
