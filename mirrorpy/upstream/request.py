"""Requests as they are sent, and to whom: those that need no whole HTTP library."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from mirrorpy.rpmmd.href import quote_href
from mirrorpy.upstream.fields import NO_PROXY, environment_has_proxy, fixed_fields, with_authorization

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorpy.config.model import Connection

_FRAMING = ("host", "connection", "content-length", "transfer-encoding")
"""Headers that a configuration may set, but not here."""
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(https?)://(?:([^/?#@\s]*)@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?((?:[/?][\w.~!$&'()*+,;=:@%/?-]*)?)",
    re.ASCII,
)
"""Scheme, login, host, port, and what is asked for."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~\w-]+", re.ASCII)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Server(NamedTuple):
    """Whom a connection leads to, and whether it may carry secrets."""

    scheme: str
    host: str
    port: int
    trusted: bool


class _Start(NamedTuple):
    """A server, and the header fields that it is always sent."""

    server: Server
    fields: str


class Request(NamedTuple):
    """A request as it is sent; a bodiless one is answered without a body."""

    server: Server
    data: bytes
    bodiless: bool


class Route(NamedTuple):
    """What all requests for files below one base URL have in common."""

    base: str
    server: Server
    front: bytes
    back: bytes

    def request(self, href: str) -> bytes:
        """Return the request for a file, as `Requests.make` makes it of the file's URL."""
        return b"%b%b%b" % (self.front, quote_href(href).encode("ascii"), self.back)


class Requests:
    """Makes requests with one set of connection settings."""

    def __init__(self, settings: Connection) -> None:
        self._settings = settings
        self._proxied = settings.proxy not in NO_PROXY if settings.proxy is not None else environment_has_proxy()
        self._framed = any(name.lower() in _FRAMING for name, _ in settings.headers)
        self._starts: dict[tuple[str | bool | None, ...], _Start | None] = {}

    def make(self, method: str, url: str, headers: Mapping[str, str], *, trusted: bool) -> Request | None:
        """Return a request; None where only a whole HTTP library can make it."""
        match = None if self._proxied or self._framed else _URL.fullmatch(url)
        if match is None or not all(_VALUE.fullmatch(value) for value in headers.values()):
            return None
        start = self._start(match[1], match[2], match[3], match[4], trusted=trusted)
        if start is None:
            return None
        target = match[5] if match[5].startswith("/") else f"/{match[5]}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        data = f"{method} {target} HTTP/1.1\r\n{start.fields}{lines}\r\n".encode("latin-1")
        return Request(start.server, data, method == "HEAD")

    def route(self, base: str, *, trusted: bool) -> Route | None:
        """Return how files below a base URL, which ends with a slash, are requested; None as of `make`."""
        request = self.make("GET", base, {}, trusted=trusted)
        if request is None:
            return None
        front, version, back = request.data.partition(b" HTTP/1.1\r\n")
        return Route(base, request.server, front, version + back)

    def _start(self, scheme: str, login: str | None, host: str, port: str | None, *, trusted: bool) -> _Start | None:
        """Return what all requests to a server have in common, made once; None where it cannot be sent."""
        key = (scheme, login, host, port, trusted)
        if key not in self._starts:
            fields = fixed_fields(self._settings, trusted=trusted)
            if login and login != ":" and not (trusted and self._settings.username is not None):
                fields = with_authorization(fields, *(unquote(part) for part in login.partition(":")[::2]))
            fields = {"Host": f"{host}:{port}" if port else host, **fields}
            server = Server(scheme, host.strip("[]").lower(), int(port or _PORTS[scheme]), trusted)
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            sound = all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in fields.items())
            sound = sound and server.port < 65536
            self._starts[key] = _Start(server, lines) if sound else None
        return self._starts[key]
