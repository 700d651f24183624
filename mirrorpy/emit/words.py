"""Paths and names as the files of other programs take them, or refused where they cannot."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from mirrorpy.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_HOST = re.compile(r"[^\W_](?:[\w.-]*[^\W_])?")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?", re.ASCII)
HEADER = "# Made by `mirrorpy emit {}`."


def plain(text: str | Path, what: str, program: str, forbidden: str = "") -> str:
    """Return a text that can stand in one line of a program's configuration.

    Raises:
        ConfigError: It has a control character, one of the forbidden ones, or a space at an end.
    """
    word = str(text)
    bad = next((char for char in word if not char.isprintable() or char in forbidden), None)
    if bad is not None or word != word.strip():
        raise ConfigError(f"{what} {word!r} cannot stand in a file of {program}: {bad or ' '!r} in it")
    return word


def address(text: str) -> str:
    """Return an IP address to listen on, in its shortest form.

    Raises:
        ConfigError: It is none.
    """
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ConfigError(f"--bind {text!r} is no IP address") from None


def host_name(text: str) -> str:
    """Return the name of a host.

    Raises:
        ConfigError: It is none.
    """
    return _matching(_HOST, text, "--server-name", "host")


def user_name(text: str) -> str:
    """Return the name of a user.

    Raises:
        ConfigError: It is none.
    """
    return _matching(_USER, text, "--user", "user")


def _matching(pattern: re.Pattern[str], text: str, option: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise ConfigError(f"{option} {text!r} is no name of a {what}")
    return text


def quoted(word: str) -> str:
    """Return a word in double quotes, as nginx, Apache and systemd read them."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
