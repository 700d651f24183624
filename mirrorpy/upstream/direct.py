"""Requests straight to the servers that the wire understands: which they are, what is sent, connections kept."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import threading
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from mirrorpy import __version__
from mirrorpy.upstream.ahead import Lines
from mirrorpy.upstream.answer import Unusual
from mirrorpy.upstream.wire import Stale, Wire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mirrorpy.config.model import Connection
    from mirrorpy.upstream.wire import Answer

NO_PROXY = ("", "_none_")
"""Values of `proxy` that switch off the environment's proxy too; the second is dnf.conf's."""
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


class _Server(NamedTuple):
    """Whom a connection leads to, and whether it may carry secrets."""

    scheme: str
    host: str
    port: int
    trusted: bool


class _Start(NamedTuple):
    """A server, and the header fields that it is always sent."""

    server: _Server
    fields: str


class _Request(NamedTuple):
    server: _Server
    data: bytes
    bodiless: bool


class Direct:
    """Connections to servers without a proxy in between, kept from one request to the next."""

    def __init__(self, settings: Connection, tls: Callable[[bool], ssl.SSLContext]) -> None:
        self._settings, self._tls = settings, tls
        self._proxied = settings.proxy not in NO_PROXY if settings.proxy is not None else _environment_has_proxy()
        self._framed = any(name.lower() in _FRAMING for name, _ in settings.headers)
        self._lock = threading.Lock()
        self._starts: dict[tuple[str | bool | None, ...], _Start | None] = {}
        self._idle: dict[_Server, list[Wire]] = {}
        self._unusual: set[tuple[str, int]] = set()
        self._closed = False
        self.lines: Lines[_Server] = Lines()

    def request(self, method: str, url: str, headers: Mapping[str, str], *, trusted: bool) -> _Request | None:
        """Return a request as it is sent; None where only a whole HTTP library can make it, or knows its server."""
        match = None if self._proxied or self._framed else _URL.fullmatch(url)
        if match is None or not all(_VALUE.fullmatch(value) for value in headers.values()):
            return None
        start = self._start(match[1], match[2], match[3], match[4], trusted=trusted)
        if start is None or start.server[1:3] in self._unusual:
            return None
        target = match[5] if match[5].startswith("/") else f"/{match[5]}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        data = f"{method} {target} HTTP/1.1\r\n{start.fields}{lines}\r\n".encode("latin-1")
        return _Request(start.server, data, method == "HEAD")

    def far(self, url: str, *, trusted: bool) -> bool:
        """Whether a URL's server is so far away that it pays to say what is asked next."""
        request = self.request("GET", url, {}, trusted=trusted)
        return request is not None and self.lines.far(request.server)

    def doubt(self, url: str, *, trusted: bool) -> bool:
        """Ask a URL's server one thing at a time from now on; False where it was never otherwise."""
        request = self.request("GET", url, {}, trusted=trusted)
        return request is not None and self.lines.refuse(request.server)

    def _start(self, scheme: str, login: str | None, host: str, port: str | None, *, trusted: bool) -> _Start | None:
        """Return what all requests to a server have in common, made once; None where it cannot be sent."""
        key = (scheme, login, host, port, trusted)
        if key not in self._starts:
            fields = _fixed_fields(self._settings, trusted=trusted)
            if login and login != ":" and not (trusted and self._settings.username is not None):
                fields = _with_authorization(fields, *(unquote(part) for part in login.partition(":")[::2]))
            fields = {"Host": f"{host}:{port}" if port else host, **fields}
            server = _Server(scheme, host.strip("[]").lower(), int(port or _PORTS[scheme]), trusted)
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            sound = all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in fields.items())
            sound = sound and server.port < 65536
            self._starts[key] = _Start(server, lines) if sound else None
        return self._starts[key]

    @contextlib.contextmanager
    def ask(self, request: _Request, ahead: Sequence[_Request] | None = None) -> Iterator[Answer]:
        """Send a request and yield its answer; the connection is kept if all of the answer came.

        ahead is what this thread will ask next, of a file that a checksum proves; None where nothing proves it.

        Raises:
            Unusual: A whole HTTP library should ask; this server is not asked this way again.
            Broken: No connection, or no answer.
        """
        if ahead is not None:
            following = [one.data for one in ahead if one.server == request.server and one.data != request.data]
            answer = self.lines.ask(
                request.server, request.data, following, lambda: self._kept(request.server) or self._new(request.server)
            )
            if answer is not None:
                with self._in_line(answer, more=bool(following)):
                    yield answer
                return
        wire, answer = self._exchange(request)
        try:
            yield answer
        except BaseException:
            wire.close()
            raise
        with self._lock:
            keep = answer.reusable and not self._closed
            if keep:
                self._idle.setdefault(request.server, []).append(wire)
        if not keep:
            wire.close()

    @contextlib.contextmanager
    def _in_line(self, answer: Answer, *, more: bool) -> Iterator[None]:
        ours = True
        try:
            yield
            ours = False
        finally:
            self.lines.finish(keep=answer.reusable, more=more, ours=ours)

    def _exchange(self, request: _Request) -> tuple[Wire, Answer]:
        if (kept := self._kept(request.server)) is not None:
            with contextlib.suppress(Stale):
                return self._ask(kept, request)
        return self._ask(self._new(request.server), request)

    def _new(self, server: _Server) -> Wire:
        scheme, host, port, trusted = server
        tls = self._tls(trusted) if scheme == "https" else None
        return Wire(host, port, tls, self._settings.timeout)

    def _kept(self, server: _Server) -> Wire | None:
        """Return a connection that nobody uses, and that nothing came over since."""
        while True:
            with self._lock:
                idle = self._idle.get(server)
                wire = idle.pop() if idle else None
            if wire is None or wire.quiet:
                return wire
            wire.close()

    def _ask(self, wire: Wire, request: _Request) -> tuple[Wire, Answer]:
        try:
            answer = wire.ask(request.data, bodiless=request.bodiless)
        except Unusual:
            wire.close()
            self._unusual.add(request.server[1:3])
            raise
        except BaseException:
            wire.close()
            raise
        self.lines.measure(request.server, wire.trip)
        return wire, answer

    def close(self) -> None:
        """Close every connection that no request is using, and the others when their requests are done."""
        with self._lock:
            self._closed = True
            wires = [wire for idle in self._idle.values() for wire in idle]
            self._idle.clear()
        self.lines.close()
        for wire in wires:
            wire.close()


def _environment_has_proxy() -> bool:
    names = {name.lower() for name, value in os.environ.items() if value}
    return any(name.endswith("_proxy") and name != "no_proxy" for name in names)


def _fixed_fields(settings: Connection, *, trusted: bool) -> dict[str, str]:
    """Return what every request says; secrets to trusted servers only."""
    fields = fixed_headers(settings, trusted=trusted)
    if trusted and settings.username is not None:
        fields = _with_authorization(fields, settings.username, settings.password or "")
    return fields


def _with_authorization(fields: dict[str, str], username: str, password: str) -> dict[str, str]:
    others = {name: value for name, value in fields.items() if name.lower() != "authorization"}
    return {**others, "Authorization": _basic(username, password)}


def fixed_headers(settings: Connection, *, trusted: bool) -> dict[str, str]:
    """Return the headers of every request; those that the configuration adds are for trusted servers only."""
    agent = settings.user_agent or f"mirrorpy/{__version__}"
    fields = {"User-Agent": agent, "Accept-Encoding": "identity", "Accept": "*/*"}
    if trusted:
        given = {name.lower() for name, _ in settings.headers}
        fields = {name: value for name, value in fields.items() if name.lower() not in given}
        fields.update(settings.headers)
    return fields


def _basic(username: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
