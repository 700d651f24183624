"""The server: sockets, threads, and the order of what happens."""

import contextlib
import functools
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .answer import text_answer
from .certificates import Certificate, make_certificate
from .connection import Connection
from .exchange import Exchange
from .listener import LOOPBACK, Listener
from .request import BadRequest, Request, parse_request
from .rules import InOrder, Moment, Often, Planned, Step, choose, plan, plan_steps


@functools.cache
def refused_url() -> str:
    """The URL of a port where nobody listens, nor will as long as this process runs."""
    taken = socket.socket()
    taken.bind((LOOPBACK, 0))
    port = taken.getsockname()[1]
    taken.detach()
    return f"http://{LOOPBACK}:{port}/"


class FaultServer:
    """Serves a folder over HTTP/1.1 on loopback: honestly, but for the faults that it is given."""

    refused_url = staticmethod(refused_url)

    def __init__(
        self,
        folder: Path | str,
        tls: str | None = None,
        *,
        port: int = 0,
        tell: Callable[[Request], object] | None = None,
    ) -> None:
        """Start it.

        Args:
            folder: What is served; may be replaced at any time.
            tls: None, or the kind of certificate: good, expired, wrong-host, self-signed.
            port: 0 takes a free one.
            tell: Called with each request that was answered.
        """
        self.folder = Path(folder)
        self.started = time.time()
        self.requests: list[Request] = []
        self._rules: list[Often | InOrder] = []
        self._moments: list[Moment] = []
        self._tell = tell
        self._turn = threading.Condition()
        """Guards everything above and below; notified when an action is over."""
        self._acting = 0
        """Actions that others have to wait for."""
        self._closing = False
        self._certificate: Certificate | None = None if tls is None else make_certificate(tls)
        try:
            context = self._certificate.context if self._certificate else None
            self._listener = Listener(port, context, self._answer_next)
        except BaseException:
            self._drop_certificate()
            raise
        self.port = self._listener.port

    @property
    def url(self) -> str:
        """Of the folder, with a slash at its end."""
        return f"{'https' if self._certificate else 'http'}://{LOOPBACK}:{self.port}/"

    @property
    def authority(self) -> Path:
        """The certificate authority to trust; it did not sign what is self-signed."""
        assert self._certificate, "a server without TLS has no authority"
        return self._certificate.authority

    # What is to happen

    def fault(
        self,
        path: str,
        name: str,
        /,
        *,
        times: int | None = None,
        after: int = 0,
        chance: float = 1.0,
        seed: int = 0,
        **parameters: Any,
    ) -> None:
        """Let requests meet a fault, those added first before those added later.

        Args:
            path: Below the folder, or a glob whose * matches slashes too.
            name: Of the fault.
            times: So many requests; None is all.
            after: So many that could meet it are spared first.
            chance: Meets it only so often, by dice.
            seed: Of the dice.
            **parameters: The fault's own.

        Raises:
            FaultError: There is no such fault, or it has no such parameter.
        """
        rule = Often(path, plan(name, parameters), times, after, chance, random.Random(seed))
        with self._turn:
            self._rules.append(rule)

    def sequence(self, path: str, *steps: Step) -> None:
        """Let each request of a path meet one step: a name, (name, parameters), or "honest"."""
        rule = InOrder(path, plan_steps(steps))
        with self._turn:
            self._rules.append(rule)

    def when(self, path: str, action: Callable[[], object], nth: int = 1) -> None:
        """Call something right after the nth matching request is answered.

        Requests that come meanwhile wait for it. So it must not ask this server; an error of its is raised by `close`.
        """
        with self._turn:
            self._moments.append(Moment(path, action, nth))

    def clear(self) -> None:
        """Be honest again: no fault, sequence or action is left."""
        with self._turn:
            self._rules.clear()
            self._moments.clear()

    def taken(self) -> list[str]:
        """The paths that were asked for since the last call, in order of arrival; `requests` is emptied."""
        with self._turn:
            paths = [request.path for request in self.requests]
            self.requests.clear()
        return paths

    # What happens

    def _answer_next(self, connection: Connection) -> bool:
        """Answer one request; false when the connection is to be closed."""
        try:
            head = connection.read_head()
            if head is None:
                return False
            request = parse_request(head)
        except BadRequest as error:
            exchange = Exchange(Request("GET", "", {}, lingers=False), connection, self)
            exchange.send(text_answer(400, f"{error}\n"))
            return False
        size = request.headers.get("content-length", "0")
        connection.skip(int(size) if size.isdigit() else 0)
        exchange = Exchange(request, connection, self)
        with self._in_turn(request) as planned:
            try:
                if planned.fault:
                    request.fault = planned.fault.name
                    planned.fault.meet(exchange, **planned.parameters)
                else:
                    exchange.send(exchange.honest())
                exchange.flush()
            finally:
                exchange.close()
                if self._tell:
                    self._tell(request)
        return exchange.stays

    @contextlib.contextmanager
    def _in_turn(self, request: Request) -> Iterator[Planned]:
        """Record a request, wait for actions before it, and do those that come right after it."""
        with self._turn:
            self.requests.append(request)
            self._turn.wait_for(lambda: not self._acting or self._closing)
            planned = choose(self._rules, request)
            actions = [moment.action for moment in self._moments if moment.has_come(request)]
            # A client that has its whole answer may ask again at once, before this thread goes on. An answer that
            # is stalled must not stop the others.
            held = bool(actions) and not (planned.fault and planned.fault.waits)
            self._acting += held
        try:
            yield planned
        finally:
            if actions:
                self._act(actions, held=held)

    def _act(self, actions: list[Callable[[], object]], *, held: bool) -> None:
        if not held:
            with self._turn:
                self._acting += 1
        try:
            for action in actions:
                action()
        finally:
            with self._turn:
                self._acting -= 1
                self._turn.notify_all()

    # The end

    def close(self) -> None:
        """End all connections, stalled ones too, and every thread; raises what went wrong in one of them."""
        with self._turn:
            self._closing = True
            self._turn.notify_all()
        try:
            self._listener.close()
        finally:
            self._drop_certificate()

    def _drop_certificate(self) -> None:
        if self._certificate:
            self._certificate.folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            with contextlib.suppress(Exception):
                self.close()
