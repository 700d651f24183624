"""`mirrorpy verify`: prove that repositories are whole."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorpy import __version__
from mirrorpy.cli.watch import watch_for
from mirrorpy.config.quantity import Duration
from mirrorpy.errors import ConfigError, one_line, redact
from mirrorpy.figures import files_text, size_text, utc_text
from mirrorpy.rpmmd.mirrors import SCHEMES
from mirrorpy.signatures import Demands, Gpgv, load_keyring
from mirrorpy.store.layout import Layout
from mirrorpy.verify import FindingKind, Settings, verify_folder, verify_repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorpy.config.model import Config, Repository
    from mirrorpy.sync.report import Watch
    from mirrorpy.verify import Verdict

FORMATS = ("text", "json", "junit")
logger = logging.getLogger(__name__)


def declare(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = add("verify", help="prove that repositories are whole: a mirror's own, any folder, or any URL")
    parser.add_argument(
        "targets", nargs="*", metavar="REPOID|PATH|URL", help="which (default: all of the configuration)"
    )
    parser.add_argument("--quick", action="store_true", help="look at presence and size only")
    parser.add_argument("--deep", action="store_true", help="of a URL: download and hash every package, keeping none")
    parser.add_argument("--all-mirrors", action="store_true", help="of a mirrorlist or metalink: compare the mirrors")
    parser.add_argument(
        "--gpgkey",
        action="append",
        default=[],
        metavar="FILE",
        help="of a PATH or URL: packages, and repomd.xml if it is signed, must be signed with this key",
    )
    parser.add_argument("--allow-sha1", action="store_true", help="with --gpgkey: take signatures over SHA-1")
    parser.add_argument("--format", choices=FORMATS, default="text", help="of the report (default: text)")
    parser.add_argument(
        "--fail-on",
        type=_kinds,
        metavar="KIND,…",
        help=f"what makes a repository damaged: {', '.join(FindingKind)} (default: all; in a folder that mirrorpy "
        "did not make, all but orphan)",
    )
    parser.add_argument(
        "--repair",
        action="store_true",
        help="fetch what is damaged again, and publish every repository that uses it anew",
    )
    parser.add_argument(
        "--since-last",
        type=_duration,
        metavar="DURATION",
        help="hash only what was not hashed for so long, oldest first",
    )
    parser.add_argument("--budget", type=_duration, metavar="DURATION", help="stop hashing after so long")
    parser.add_argument(
        "--jobs", type=_jobs, metavar="N", help="files at a time (default: as many as cores; of a URL, 8)"
    )
    parser.set_defaults(run=run, configured=False)


@dataclass(frozen=True)
class _Targets:
    """What to verify: folders by their path, everything else by the configuration."""

    folders: list[str]
    urls: list[str]
    repos: list[Repository] = field(default_factory=list)
    config: Config | None = None

    @classmethod
    def of(cls, args: argparse.Namespace) -> _Targets:
        urls = [target for target in args.targets if "://" in target]
        folders = [target for target in args.targets if target not in urls and ("/" in target or target in (".", ".."))]
        named = [target for target in args.targets if target not in urls and target not in folders]
        for folder in folders:
            if not os.path.isdir(folder):
                raise ConfigError(f"{folder} is no folder")
        for url in urls:
            if not url.lower().startswith(SCHEMES):
                raise ConfigError(f"{redact(url)} is no http://, https:// or file:// URL")
        if (folders or urls) and args.repair:
            raise ConfigError("--repair is for repositories of the configuration", hint="name them, or none for all")
        places = [folder.rstrip("/") or "/" for folder in folders]
        if (folders or urls) and not named:
            return cls(places, urls)
        from mirrorpy.config.load import find_config, load_config  # noqa: PLC0415  # a folder or URL needs none
        from mirrorpy.config.selection import select_repositories  # noqa: PLC0415  # the same

        config = load_config(find_config(args.config, os.environ), os.environ)
        return cls(places, urls, select_repositories(config, named), config)

    @property
    def layout(self) -> Layout:
        assert self.config is not None
        return Layout.of(self.config.root)


def _over_http(
    args: argparse.Namespace,
    targets: _Targets,
    verdicts: list[Verdict],
    settings: Settings,
    demands: Demands,
    watch: Watch,
) -> list[Verdict]:
    """Do what needs a network: repair what was found, verify URLs."""
    from mirrorpy.verify.remote import Depth, verify_url  # noqa: PLC0415  # with it comes all that speaks HTTP
    from mirrorpy.verify.repair import repair_all  # noqa: PLC0415  # the same

    if args.repair and targets.config is not None:
        verdicts = repair_all(targets.config, verdicts, settings, watch)
    depth = Depth(deep=args.deep, all_mirrors=args.all_mirrors, requests=args.jobs or 8)
    return verdicts + [verify_url(url, settings, depth, demands, watch) for url in targets.urls]


def _demands(args: argparse.Namespace) -> Demands:
    """Return what must be signed with the keys of --gpgkey."""
    if not args.gpgkey:
        return Demands()
    gpgv = Gpgv(load_keyring(args.gpgkey), allow_sha1=args.allow_sha1)
    return Demands(gpgv, gpgv)


def _kinds(text: str) -> frozenset[FindingKind]:
    try:
        return frozenset(FindingKind(kind.strip()) for kind in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of {', '.join(FindingKind)}") from None


def _duration(text: str) -> float:
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _jobs(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 256):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 256")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Verify, and tell what was found."""
    began, started = time.monotonic(), utc_text(time.time())
    settings = Settings(
        quick=args.quick,
        jobs=args.jobs or os.cpu_count() or 1,
        since=args.since_last,
        deadline=None if args.budget is None else began + args.budget,
        fail_on=args.fail_on,
    )
    targets = _Targets.of(args)
    with watch_for(args) as watch:
        verdicts = [verify_repository(repo, targets.layout, settings, watch) for repo in targets.repos]
        demands = _demands(args) if targets.folders or targets.urls else Demands()
        verdicts += [verify_folder(folder, settings, demands, watch) for folder in targets.folders]
        if args.repair or targets.urls:
            verdicts = _over_http(args, targets, verdicts, settings, demands, watch)
    code = _exit(verdicts)
    if args.json or args.format == "json":
        document = {
            "mirrorpy": __version__,
            "started": started,
            "seconds": round(time.monotonic() - began, 3),
            "exit": code,
            "repos": verdicts,
        }
        import msgspec  # noqa: PLC0415  # only for this format

        sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    elif args.format == "junit":
        from mirrorpy.cli.junit import junit_document  # noqa: PLC0415  # only for this format

        sys.stdout.buffer.write(junit_document(verdicts, started))
    for verdict in verdicts:
        _tell(verdict, args)
    return code


def _exit(verdicts: list[Verdict]) -> int:
    """Damage is 1, whatever else went wrong; else the first failure decides."""
    if any(verdict.outcome == "damaged" for verdict in verdicts):
        return 1
    return next((verdict.error.exit for verdict in verdicts if verdict.error), 0)


def _tell(verdict: Verdict, args: argparse.Namespace) -> None:
    for warning in verdict.warnings:
        logger.warning("%s: %s", verdict.id, warning)
    if verdict.error is not None:
        logger.error("%s: %s", verdict.id, verdict.error.message)
    if args.json or args.format != "text":
        return
    for finding in verdict.repaired:
        print(one_line(f"{verdict.id}: repaired: {finding.kind}: {finding.path}"))
    for finding in verdict.findings:
        print(one_line(f"{verdict.id}: {finding.kind}: {finding.path}: {finding.message}"))
    if verdict.error is None and not args.quiet:
        print(summary(verdict))


def summary(verdict: Verdict) -> str:
    """Return one line of what was found."""
    found = ", ".join(f"{count:,} {kind}" for kind, count in sorted(verdict.counts().items()))
    looked = f"{files_text(verdict.hashed.files)} hashed ({size_text(verdict.hashed.bytes)})"
    later = f", {verdict.postponed.files:,} postponed" if verdict.postponed.files else ""
    retired = f", {verdict.retired:,} retired" if verdict.retired else ""
    return (
        f"{verdict.id}: {verdict.outcome}, {verdict.packages:,} packages, {looked}{later}{retired}"
        f"{': ' if found else ''}{found}; {verdict.seconds:.1f} s"
    )
