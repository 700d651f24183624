"""Requests straight to the servers that the wire understands: which they are, what is sent, connections kept."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from mirrorpy.rpmmd.href import quote_href
from mirrorpy.upstream.ahead import Lines
from mirrorpy.upstream.answer import Unusual
from mirrorpy.upstream.body import Broken
from mirrorpy.upstream.fields import NO_PROXY, environment_has_proxy, fixed_fields, with_authorization
from mirrorpy.upstream.wire import Stale, Wire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mirrorpy.config.model import Connection
    from mirrorpy.upstream.wire import Answer

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


class Route(NamedTuple):
    """What all requests for files below one base URL have in common."""

    base: str
    server: _Server
    front: bytes
    back: bytes

    def request(self, href: str) -> bytes:
        """Return the request for a file, as `Direct.request` makes it of the file's URL."""
        return b"%b%b%b" % (self.front, quote_href(href).encode("ascii"), self.back)


class Direct:
    """Connections to servers without a proxy in between, kept from one request to the next."""

    def __init__(self, settings: Connection, tls: Callable[[bool], ssl.SSLContext]) -> None:
        self._settings, self._tls = settings, tls
        self._proxied = settings.proxy not in NO_PROXY if settings.proxy is not None else environment_has_proxy()
        self._framed = any(name.lower() in _FRAMING for name, _ in settings.headers)
        self._lock = threading.Lock()
        self._starts: dict[tuple[str | bool | None, ...], _Start | None] = {}
        self._idle: dict[_Server, list[Wire]] = {}
        self._unusual: set[tuple[str, int]] = set()
        self._begun: dict[int, Wire] = {}
        """By thread, connections over which something came that `whole` could not use."""
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

    def route(self, base: str, *, trusted: bool) -> Route | None:
        """Return how files below a base URL, which ends with a slash, are requested; None as of `request`."""
        request = self.request("GET", base, {}, trusted=trusted)
        if request is None:
            return None
        front, version, back = request.data.partition(b" HTTP/1.1\r\n")
        return Route(base, request.server, front, version + back)

    def near(self, server: _Server) -> bool:
        """Whether `whole` is worth trying."""
        return self.lines.near(server) and server[1:3] not in self._unusual

    def doubt(self, url: str, *, trusted: bool) -> bool:
        """Ask a URL's server one thing at a time from now on; False where it was never otherwise."""
        request = self.request("GET", url, {}, trusted=trusted)
        return request is not None and self.lines.refuse(request.server)

    def _start(self, scheme: str, login: str | None, host: str, port: str | None, *, trusted: bool) -> _Start | None:
        """Return what all requests to a server have in common, made once; None where it cannot be sent."""
        key = (scheme, login, host, port, trusted)
        if key not in self._starts:
            fields = fixed_fields(self._settings, trusted=trusted)
            if login and login != ":" and not (trusted and self._settings.username is not None):
                fields = with_authorization(fields, *(unquote(part) for part in login.partition(":")[::2]))
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
        if answer.reusable:
            self._keep(request.server, wire)
        else:
            wire.close()

    def _keep(self, server: _Server, wire: Wire) -> None:
        with self._lock:
            if not self._closed:
                self._idle.setdefault(server, []).append(wire)
                return
        wire.close()

    def whole(self, server: _Server, request: bytes, size: int, take: Callable[[memoryview, str], bool]) -> bool:
        """Request a file of this size on a kept connection, and give take a plain answer's body and its Last-Modified.

        False where there is no such answer, or take refuses it: `ask`, when this thread calls it for the same file,
        goes on with what came.
        """
        wire, keep = self._kept(server), False
        if wire is None:
            return False
        try:
            answer = wire.whole(request, size)
            if answer is not None and take(answer[0], answer[1].modified):
                keep = not answer[1].last
                return True
            if answer is not None:
                wire.doubt()
        except (Stale, Broken):
            return False
        finally:
            if keep:
                self._keep(server, wire)
            elif not wire.waiting:
                wire.close()
        self._begun[threading.get_ident()] = wire
        return False

    @contextlib.contextmanager
    def _in_line(self, answer: Answer, *, more: bool) -> Iterator[None]:
        ours = True
        try:
            yield
            ours = False
        finally:
            self.lines.finish(keep=answer.reusable, more=more, ours=ours)

    def _exchange(self, request: _Request) -> tuple[Wire, Answer]:
        begun = self._begun.pop(threading.get_ident(), None)
        if begun is not None and begun.expects(request.data):
            with contextlib.suppress(Stale):
                return self._ask(begun, request)
        elif begun is not None:
            begun.close()
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
            if wire is None or wire.fresh_until > time.monotonic() or wire.quiet:
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
            wires += self._begun.values()
            self._idle.clear()
            self._begun.clear()
        self.lines.close()
        for wire in wires:
            wire.close()
