"""How to speak to an upstream, out of the options: secrets from the environment, certificates, headers."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from mirrorpy.config.model import Connection, FileOptions, RepoOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TIMEOUT = 86_400
_ENV = re.compile(r"\$\{(\w+)\}", re.ASCII)


class Wrong(Exception):
    """One option of one entry is wrong."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key, self.problem = key, problem


def resolve_connection(entry: RepoOptions, top: FileOptions, environ: Mapping[str, str], folder: str) -> Connection:
    """Return an entry's connection; its own options go before the file's, relative names are below folder.

    Raises:
        Wrong: An option has a value that cannot be used.
    """

    def pick(key: str) -> str | None:
        own = getattr(entry, key)
        value = own if own is not None else getattr(top, key)
        return None if value is None else str(value)

    def secret(key: str) -> str | None:
        return _expanded(pick(key), key, environ)

    def file(key: str) -> str | None:
        return _readable(pick(key), key, folder)

    headers = entry.headers if entry.headers is not None else top.headers or {}
    timeout = entry.timeout if entry.timeout is not None else top.timeout
    sslverify = entry.sslverify if entry.sslverify is not None else top.sslverify
    return Connection(
        timeout=Connection().timeout if timeout is None else _positive(timeout),
        proxy=secret("proxy"),
        username=secret("username"),
        password=secret("password"),
        sslverify=True if sslverify is None else sslverify,
        sslcacert=file("sslcacert"),
        sslclientcert=file("sslclientcert"),
        sslclientkey=file("sslclientkey"),
        user_agent=_printable(pick("user_agent"), "user_agent"),
        headers=tuple(_header(name, value, environ) for name, value in headers.items()),
    )


def _expanded(text: str | None, key: str, environ: Mapping[str, str]) -> str | None:
    """Replace `${NAME}` by the environment's value."""
    if text is None:
        return None
    for name in _ENV.findall(text):
        if name not in environ:
            raise Wrong(key, f"the environment has no {name}")
        if any("\ud800" <= char <= "\udfff" for char in environ[name]):
            raise Wrong(key, f"{name} in the environment is no UTF-8")
    return _ENV.sub(lambda match: environ[match[1]], text)


def _readable(name: str | None, key: str, folder: str) -> str | None:
    if name is None:
        return None
    path = os.path.join(folder, os.path.expanduser(name))
    if "\0" in path:
        raise Wrong(key, f"{path!r} is no path")
    if not os.access(path, os.R_OK):
        raise Wrong(key, f"{path} cannot be read")
    return path


def _positive(timeout: float) -> float:
    if not 0 < timeout <= MAX_TIMEOUT:
        raise Wrong("timeout", f"has to be more than 0 and at most {MAX_TIMEOUT} seconds")
    return float(timeout)


def _header(name: str, value: str, environ: Mapping[str, str]) -> tuple[str, str]:
    key = f"headers.{name}"
    if not name:
        raise Wrong("headers", "a header has no name")
    _printable(name, key)
    return name, _printable(_expanded(value, key, environ), key) or ""


def _printable(text: str | None, key: str) -> str | None:
    if text is not None and not (text.isascii() and text.isprintable()):
        raise Wrong(key, "is no header: only printable ASCII is")
    return text
