"""Connections straight to the servers that the wire understands, kept from one request to the next."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from mirrorpy.upstream.ahead import Lines
from mirrorpy.upstream.answer import Unusual
from mirrorpy.upstream.request import Requests
from mirrorpy.upstream.wire import Stale, Wire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mirrorpy.config.model import Connection
    from mirrorpy.upstream.answer import Answer
    from mirrorpy.upstream.request import Request, Route, Server
    from mirrorpy.upstream.wire import Take


class Direct:
    """Connections to servers without a proxy in between, kept from one request to the next."""

    def __init__(self, settings: Connection, tls: Callable[[bool], ssl.SSLContext]) -> None:
        self._settings, self._tls = settings, tls
        self._requests = Requests(settings)
        self._lock = threading.Lock()
        self._idle: dict[Server, list[Wire]] = {}
        self._unusual: set[tuple[str, int]] = set()
        self._begun: dict[int, tuple[Server, Wire]] = {}
        """By thread, connections whose answer `whole` left unread."""
        self._closed = False
        self.lines: Lines[Server] = Lines()

    def request(self, method: str, url: str, headers: Mapping[str, str], *, trusted: bool) -> Request | None:
        """Return a request as it is sent; None where only a whole HTTP library can make it, or knows its server."""
        request = self._requests.make(method, url, headers, trusted=trusted)
        return None if request is None or request.server[1:3] in self._unusual else request

    def route(self, base: str, *, trusted: bool) -> Route | None:
        """Return how files below a base URL, which ends with a slash, are requested; None as of `request`."""
        return self._requests.route(base, trusted=trusted)

    def near(self, server: Server) -> bool:
        """Whether `whole` is worth trying."""
        return self.lines.near(server) and server[1:3] not in self._unusual

    def doubt(self, url: str, *, trusted: bool) -> bool:
        """Ask a URL's server one thing at a time from now on; False where this thread did so just now."""
        request = self.request("GET", url, {}, trusted=trusted)
        return request is not None and self.lines.doubt(request.server)

    @contextlib.contextmanager
    def ask(self, request: Request, ahead: Sequence[Request] | None = None) -> Iterator[Answer]:
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
        self.lines.trust()
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

    def _keep(self, server: Server, wire: Wire) -> None:
        with self._lock:
            if not self._closed:
                self._idle.setdefault(server, []).append(wire)
                return
        wire.close()

    def whole(self, server: Server, requests: Sequence[bytes], sizes: Sequence[int], take: Take) -> None:
        """Request files of these sizes on a kept connection, and give take what plain answers bring, in this order.

        Ends where there is no such answer, or take refuses it: `ask`, when this thread calls it for the same file, goes
        on with what came. Those that follow are requested before their turn where the server bears that.
        """
        self.drop()
        wire = self._kept(server)
        if wire is None:
            return
        if len(requests) > 1 and self.lines.bears(server):
            if self.lines.run(server, wire, requests, sizes, take):
                self._keep(server, wire)
            return
        try:
            reusable = wire.run(requests[:1], sizes[:1], take)
        except BaseException as error:
            wire.close()
            if not isinstance(error, Stale):
                raise
            return
        if reusable:
            self._keep(server, wire)
        elif wire.waiting:
            self._begun[threading.get_ident()] = server, wire
        else:
            wire.close()

    @property
    def begun(self) -> bool:
        """Whether `whole` left this thread an answer that nobody has read on."""
        return threading.get_ident() in self._begun

    def drop(self) -> None:
        """Give up what `whole` left this thread."""
        _, wire = self._begun.pop(threading.get_ident(), (None, None))
        if wire is not None:
            wire.close()

    @contextlib.contextmanager
    def _in_line(self, answer: Answer, *, more: bool) -> Iterator[None]:
        ours = True
        try:
            yield
            ours = False
        finally:
            self.lines.finish(keep=answer.reusable, more=more, ours=ours)

    def _exchange(self, request: Request) -> tuple[Wire, Answer]:
        server, begun = self._begun.pop(threading.get_ident(), (None, None))
        if begun is not None and server == request.server and begun.expects(request.data):
            with contextlib.suppress(Stale):
                return self._ask(begun, request)
        elif begun is not None:
            begun.close()
        if (kept := self._kept(request.server)) is not None:
            with contextlib.suppress(Stale):
                return self._ask(kept, request)
        return self._ask(self._new(request.server), request)

    def _new(self, server: Server) -> Wire:
        scheme, host, port, trusted = server
        tls = self._tls(trusted) if scheme == "https" else None
        return Wire(host, port, tls, self._settings.timeout)

    def _kept(self, server: Server) -> Wire | None:
        """Return a connection that nobody uses, and that nothing came over since."""
        while True:
            with self._lock:
                idle = self._idle.get(server)
                wire = idle.pop() if idle else None
            if wire is None or wire.quiet:
                return wire
            wire.close()

    def _ask(self, wire: Wire, request: Request) -> tuple[Wire, Answer]:
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
            wires += [wire for _, wire in self._begun.values()]
            self._idle.clear()
            self._begun.clear()
        self.lines.close()
        for wire in wires:
            wire.close()
