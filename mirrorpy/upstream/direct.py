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
from mirrorpy.upstream.answer import Unusual
from mirrorpy.upstream.body import Broken
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
FAR = 0.005
"""Seconds from a request to its answer's first byte, from which on waiting for each costs more than small files do."""
_REFUSALS, _NOT_THERE = 400, (404, 410, 416)
"""Statuses that may be about too many requests, and those that are not."""
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
        self._reserved: dict[int, tuple[_Server, Wire]] = {}
        """Connections with requests under way, by the thread that sent them."""
        self._one_by_one: set[_Server] = set()
        """Servers that do not answer what is asked ahead."""
        self._asked_ahead: set[_Server] = set()
        self.far = False
        """Whether any server is so far away that asking ahead pays."""

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
    def ask(self, request: _Request, ahead: Sequence[_Request] = ()) -> Iterator[Answer]:
        """Send a request and yield its answer; the connection is kept if all of the answer came.

        Those ahead are what this thread will ask next. A server that is far away gets them at once (RFC 9112, 9.3.2).

        Raises:
            Unusual: A whole HTTP library should ask; this server is not asked this way again.
            Broken: No connection, or no answer.
        """
        wire, answer = self._exchange(request, ahead)
        try:
            yield answer
        finally:
            self._put_back(request.server, wire, keep=answer.reusable)

    def _put_back(self, server: _Server, wire: Wire, *, keep: bool) -> None:
        with self._lock:
            keep = keep and not self._closed
            if keep and wire.waiting:
                self._reserved[threading.get_ident()] = server, wire
            elif keep:
                self._idle.setdefault(server, []).append(wire)
        if not keep:
            self._drop(server, wire)

    def _drop(self, server: _Server, wire: Wire) -> None:
        """Close a connection; if it lost more than it gave of what was asked ahead, that is not tried again."""
        wire.close()
        if wire.waiting > wire.answered_ahead:
            self._one_by_one.add(server)

    def doubt(self, url: str) -> bool:
        """Ask a URL's server one thing at a time from now on; False where nothing was ever asked ahead."""
        request = self.request("GET", url, {}, trusted=False)
        servers = {request.server, request.server._replace(trusted=True)} if request else set()
        doubtful = servers & self._asked_ahead
        self._one_by_one |= doubtful
        return bool(doubtful)

    def _exchange(self, request: _Request, ahead: Sequence[_Request]) -> tuple[Wire, Answer]:
        server, wire = self._reserved.pop(threading.get_ident(), (request.server, None))
        if wire is not None:
            if server == request.server and wire.expects(request.data):
                with contextlib.suppress(Stale, Broken):
                    return self._ask(wire, request, ahead)
            self._drop(server, wire)
        while (kept := self._kept(request.server)) is not None:
            if kept.quiet:
                with contextlib.suppress(Stale):
                    return self._ask(kept, request, ahead)
                break
            kept.close()
        scheme, host, port, trusted = request.server
        tls = self._tls(trusted) if scheme == "https" else None
        return self._ask(Wire(host, port, tls, self._settings.timeout), request, ahead)

    def _kept(self, server: _Server) -> Wire | None:
        with self._lock:
            idle = self._idle.get(server)
            return idle.pop() if idle else None

    def _ask(self, wire: Wire, request: _Request, ahead: Sequence[_Request]) -> tuple[Wire, Answer]:
        following = [other.data for other in ahead if other.server == request.server and other.data != request.data]
        if wire.trip < FAR or request.server in self._one_by_one:
            following = []
        if following:
            self._asked_ahead.add(request.server)
        try:
            answer = wire.ask(request.data, bodiless=request.bodiless, ahead=following)
        except Unusual:
            wire.close()
            self._unusual.add(request.server[1:3])
            raise
        except BaseException:
            wire.close()
            raise
        self.far = self.far or wire.trip >= FAR
        refused = answer.status_code >= _REFUSALS and answer.status_code not in _NOT_THERE
        if refused and request.server in self._asked_ahead:
            self._one_by_one.add(request.server)
        return wire, answer

    def close(self) -> None:
        """Close every connection that no request is using, and the others when their requests are done."""
        with self._lock:
            self._closed = True
            wires = [wire for idle in self._idle.values() for wire in idle]
            wires += [wire for _, wire in list(self._reserved.values())]
            self._idle.clear()
            self._reserved.clear()
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
