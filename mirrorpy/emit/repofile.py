"""The clients' .repo file, of yum.conf(5) and dnf.conf(5)."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from mirrorpy.emit.words import HEADER
from mirrorpy.errors import ConfigError, redact
from mirrorpy.rpmmd.mirrors import CLIENT_VARIABLES, VARIABLE, expand, variables_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorpy.config.model import Repository

EXPIRE = "1h"
"""A mirror in the same network is asked cheaply; 48 hours, dnf's default, is longer than most keep what they drop."""
_URL = re.compile(r"(https?|ftp|file)://([^\s,?#\"'\\\\]*)", re.IGNORECASE)
_FOLDED_IN_ID = re.compile(
    rf"[-._:+]?\$(?:\{{(?:{'|'.join(CLIENT_VARIABLES)})\}}|(?:{'|'.join(CLIENT_VARIABLES)})(?!\w))", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Section:
    """One section: one repository, or those that differ in what clients fill in themselves."""

    id: str
    name: str
    path: str
    """Below the base, with `$releasever` and `$basearch`."""
    gpgkey: tuple[str, ...]
    values: tuple[tuple[str, tuple[str, ...]], ...]
    """What the variables in the path may be."""


def fold(repos: Sequence[Repository]) -> list[Section]:
    """Return the sections of repositories, in their order, each id once."""
    families: dict[tuple[str, str, tuple[str, ...]], list[Repository]] = defaultdict(list)
    for repo in repos:
        others = {name: value for name, value in repo.vars if name not in CLIENT_VARIABLES}
        family = (expand(repo.id_template, others), expand(repo.path_template, others), repo.gpgkey)
        families[family].append(repo)
    found = [_section(template, path, members) for (template, path, _), members in families.items()]
    taken = Counter(section.id for section in found)
    unfolded = [
        section
        for members, folded in zip(families.values(), found, strict=True)
        for section in (
            [folded] if taken[folded.id] == 1 else [_section(repo.id, repo.path, [repo]) for repo in members]
        )
    ]
    return _distinct(unfolded)


def _distinct(sections: list[Section]) -> list[Section]:
    """Give a number to an id that another section has, and to `main`, which is the program's own."""
    used, named = {"main"}, []
    for section in sections:
        free = (name for count in itertools.count(2) if (name := f"{section.id}-{count}") not in used)
        name = section.id if section.id not in used else next(free)
        used.add(name)
        named.append(replace(section, id=name))
    return named


def _section(template: str, path: str, members: Sequence[Repository]) -> Section:
    short = _FOLDED_IN_ID.sub("", template).lstrip("-._:+")
    inside = variables_in(path)
    return Section(
        id=(short or members[0].id).replace("+", "-"),
        name=VARIABLE.sub(_reference, template),
        path="/".join(quote(part, safe="${}") for part in VARIABLE.sub(_reference, path).split("/")),
        gpgkey=members[0].gpgkey,
        values=tuple(
            (name, tuple(dict.fromkeys(dict(repo.vars)[name] for repo in members)))
            for name in CLIENT_VARIABLES
            if name in inside
        ),
    )


def _reference(match: re.Match[str]) -> str:
    """Return a variable as the oldest yum reads it, with braces only where a letter follows."""
    name = match[1] or match[2]
    follows = match.string[match.end() : match.end() + 1]
    return f"${{{name}}}" if follows.isalnum() or follows == "_" else f"${name}"


def check_base(base: str) -> str:
    """Return the URL that clients see root at, without a slash at its end.

    Raises:
        ConfigError: It is no URL of http, https, ftp or file.
    """
    scheme, rest = _check_url("--base", base)
    if scheme == "file":
        return f"file://{rest.rstrip('/')}"
    return base.rstrip("/")


def check_key(key: str) -> str:
    """Return the URL of a key that clients check with, or its path there.

    Raises:
        ConfigError: It is no URL of http, https, ftp or file.
    """
    if not (key.startswith("/") and key.isprintable()):
        _check_url("--gpgkey", key)
    return key


def _check_url(option: str, url: str) -> tuple[str, str]:
    """Return a URL's scheme, and what follows the slashes; yum splits lists at commas and white space."""
    match = _URL.fullmatch(url) if url.isprintable() else None
    try:
        host = match is not None and (match[1].lower() == "file" or bool(urlsplit(url).hostname))
        good = host and urlsplit(url).port != 0 and not urlsplit(url).netloc.endswith(":")
    except ValueError:
        good = False
    if match is None or not good or (match[1].lower() == "file" and not match[2].startswith("/")):
        raise ConfigError(f"{option} {redact(url)!r} is no http://, https://, ftp:// or file:/// URL")
    return match[1].lower(), match[2]


def repo_file(sections: Sequence[Section], base: str) -> str:
    """Return the file for /etc/yum.repos.d."""
    lines = [HEADER.format("repo"), "# For a client's /etc/yum.repos.d/mirrorpy.repo."]
    for section in sections:
        lines += ["", f"[{section.id}]", f"name={section.name}"]
        lines += [f"# ${name} is mirrored as: {', '.join(values)}" for name, values in section.values]
        lines += [f"baseurl={base}/{section.path}/", "enabled=1"]
        if section.gpgkey:
            lines += ["gpgcheck=1", f"gpgkey={(chr(10) + '       ').join(map(_key_url, section.gpgkey))}"]
        else:
            lines += [
                "# mirrorpy's configuration names no gpgkey for it: its signatures are not checked.",
                "gpgcheck=0",
            ]
        lines += [f"metadata_expire={EXPIRE}"]
    return "\n".join(lines) + "\n"


def _key_url(key: str) -> str:
    return f"file://{quote(key)}" if key.startswith("/") else key
