"""What yum's variables stand for on this machine: its release, its architecture, and the files of /etc/dnf/vars."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mirrorpy.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

OS_RELEASE = "/etc/os-release"
FOLDERS = ("/etc/yum/vars", "/etc/dnf/vars")
MAX_FILE = 65536
_GIVEN = re.compile(r"(\w+)=((?:[^,\s]+(?:,[^,\s]+)*)?)", re.ASCII)
_CONDITION = re.compile(r"\$\{(\w+):([-+])([^${}]*)\}", re.ASCII)
_BY_MAJOR = {"rhel", "centos", "almalinux", "rocky", "ol"}
"""Their $releasever is the major number."""
_BASEARCH = {"i486": "i386", "i586": "i386", "i686": "i386", "armv7l": "armhfp"}


def given_variables(options: Iterable[str]) -> dict[str, list[str]]:
    """Read `releasever=8,9` of the command line.

    Raises:
        ConfigError: One is not of this form.
    """
    found: dict[str, list[str]] = {}
    for option in options:
        match = _GIVEN.fullmatch(option)
        if not match:
            raise ConfigError(f"--var {option!r} is not of the form NAME=VALUE[,VALUE…]")
        found[match[1]] = list(dict.fromkeys(match[2].split(",")))
    return found


def known_variables() -> dict[str, list[str]]:
    """Return what is known of this machine; `releasever` only where it is of the RPM world."""
    machine = platform.machine()
    found = {"basearch": [_BASEARCH.get(machine, machine)], "arch": [machine]}
    if releasever := _releasever(_read(OS_RELEASE)):
        found["releasever"] = [releasever]
    for folder in FOLDERS:
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if not os.path.isfile(f"{folder}/{name}"):
                continue
            found[name] = [_read(f"{folder}/{name}").strip().partition("\n")[0]]
    return found


def with_parts(variables: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Add dnf's `releasever_major` and `releasever_minor` where there is one release."""
    parts: dict[str, list[str]] = {}
    if len(releases := variables.get("releasever", ())) == 1:
        major, _, minor = releases[0].partition(".")
        parts = {"releasever_major": [major], "releasever_minor": [minor]}
    return parts | {name: list(dict.fromkeys(values)) for name, values in variables.items()}


def expand_conditions(url: str, variables: Mapping[str, Sequence[str]]) -> str:
    """Replace dnf's `${name:-word}` and `${name:+word}`, leaving those of variables with several values."""

    def value(match: re.Match[str]) -> str:
        name, sign, word = match.groups()
        values = variables.get(name, ())
        if len(values) != 1:
            return match[0]
        return (values[0] or word) if sign == "-" else word if values[0] else ""

    return _CONDITION.sub(value, url)


def _releasever(os_release: str) -> str | None:
    values = dict(re.findall(r"""^(ID|ID_LIKE|VERSION_ID)=["']?(.*?)["']?$""", os_release, re.MULTILINE))
    families = {values.get("ID"), *values.get("ID_LIKE", "").split()}
    version: str = values.get("VERSION_ID", "")
    if families & _BY_MAJOR:
        return version.partition(".")[0] or None
    return version or None if families & {"fedora", "suse", "opensuse"} else None


def _read(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            return file.read(MAX_FILE).decode("utf-8", "replace")
    except OSError:
        return ""
