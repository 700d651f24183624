"""Listening: a socket of ours, uvicorn on it, and a line for each request."""

from __future__ import annotations

import logging
import os
import resource
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from mirrorpy.errors import LocalError, one_line
from mirrorpy.serve.app import App
from mirrorpy.serve.index import Pages
from mirrorpy.serve.protocol import IDLE_SECONDS, Protocol
from mirrorpy.serve.site import Site
from mirrorpy.store.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive, Scope, Send

    from mirrorpy.config.model import Config

BACKLOG = 2048
LEAVE_SECONDS = 5
"""Downloads may go on for so long after the end was asked for."""
STALL_MILLISECONDS = 60_000
"""A client that takes nothing for so long is given up, by the kernel."""
MAX_CONNECTIONS = 1000
"""Beyond that the answer is 503; each may hold some 200 kB of a file on its way."""
FILES_PER_CONNECTION = 4
"""A connection, a walk, and a file that is opened and read."""
SPARE_FILES = 64
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Access:
    """One request, answered."""

    client: str
    time: float
    request: str
    status: int
    bytes: int
    """Of the body, as far as it was sent."""
    seconds: float
    referer: str
    agent: str

    def __str__(self) -> str:
        """Return a line of the Combined Log Format; what the client chose is escaped."""
        moment = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(self.time))
        said = (self.request, self.referer or "-", self.agent or "-")
        request, referer, agent = (one_line(text).replace('"', "\\x22") for text in said)
        return f'{self.client} - - [{moment}] "{request}" {self.status} {self.bytes} "{referer}" "{agent}"'


def serve(
    config: Config, bind: str, port: int, ready: Callable[[str], None], access: Callable[[Access], None] | None
) -> None:
    """Serve root until a signal ends it; ready gets the URL as soon as it listens.

    Raises:
        LocalError: The address or the port cannot be had, or root is not there.
    """
    root = str(config.root)
    if not os.path.isdir(root):
        raise LocalError(f"{root}: there is nothing to serve", hint="run `mirrorpy sync` first")
    app = App(Site(root), Pages(Layout.of(config.root), config.repos))
    server = uvicorn.Server(
        uvicorn.Config(
            _watched(app, access),
            http=Protocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level=logging.CRITICAL + 1,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_connections(),
            timeout_keep_alive=2 * IDLE_SECONDS,
            timeout_graceful_shutdown=LEAVE_SECONDS,
        )
    )
    with _listen(bind, port) as listener:
        address, number = listener.getsockname()[:2]
        ready(f"http://{f'[{address}]' if ':' in address else address}:{number}/")
        server.run(sockets=[listener])


def _connections() -> int:
    """Return how many connections can be served before the system refuses a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS * FILES_PER_CONNECTION + SPARE_FILES
    files = max(soft, wanted if hard == resource.RLIM_INFINITY else min(wanted, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(1, min(MAX_CONNECTIONS, (files - SPARE_FILES) // FILES_PER_CONNECTION))


def _listen(bind: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
        both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise LocalError(
            f"cannot listen on {bind} port {port}: {reason}", hint="choose another with --bind and --port"
        ) from error
    # asyncio sets it only on sockets that name their protocol; without it each answer waits for the last one's ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALL_MILLISECONDS)
    return listener


def _watched(app: App, access: Callable[[Access], None] | None) -> Callable[[Scope, Receive, Send], object]:
    """Return the application with a line for each answer, and no traceback for what a client or a disk does."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        began, status, count = time.time(), 500, 0

        async def watch(message: Message) -> None:
            nonlocal status, count
            if message["type"] == "http.response.start":
                status = message["status"]
            elif scope["method"] != "HEAD":
                count += len(message.get("body", b""))
            await send(message)

        try:
            await app(scope, receive, watch)
        except Exception as error:
            # A disk's or a client's fault; uvicorn, told of it, closes the connection.
            logger.info("%s: %s: %s", _request(scope), type(error).__name__, one_line(str(error)))
            raise
        finally:
            if access is not None:
                access(_access(scope, began, status, count))

    return answer


def _access(scope: Scope, began: float, status: int, count: int) -> Access:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    return Access(
        client=scope["client"][0] if scope["client"] else "-",
        time=began,
        request=_request(scope),
        status=status,
        bytes=count,
        seconds=round(time.time() - began, 3),
        referer=headers.get(b"referer", ""),
        agent=headers.get(b"user-agent", ""),
    )


def _request(scope: Scope) -> str:
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    target = (scope["raw_path"] + query).decode("latin-1")
    return f"{scope['method']} {target} HTTP/{scope['http_version']}"
