"""A small HTTP proxy: it forwards, tunnels, may want a login, and remembers what came to it."""

import http.client
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.faultserver import Request

NOT_FORWARDED = ("connection", "proxy-authorization", "proxy-connection", "keep-alive")
PIECE = 1 << 16


class Proxy:
    """Listens on loopback; `login` is the Proxy-Authorization that it wants."""

    def __init__(self, login: str | None = None) -> None:
        self.login = login
        self.requests: list[Request] = []
        """What was asked of it, as it came: method, target, headers."""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def place(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self._server.server_port}"

    def targets(self, method: str) -> list[str]:
        """What it was asked for by a method."""
        return [request.target for request in self.requests if request.method == method]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: Proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none; what else goes wrong, the client is told."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _accepts(self) -> bool:
        proxy, headers = self.server.proxy, {name.lower(): value for name, value in self.headers.items()}
        proxy.requests.append(Request(self.command, "", headers, target=self.path))
        if proxy.login in (None, headers.get("proxy-authorization")):
            return True
        self._answer(407, {"Proxy-Authenticate": 'Basic realm="proxy"'}, b"")
        return False

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if not self._accepts():
            return
        url = urlsplit(self.path)
        upstream = http.client.HTTPConnection(url.netloc)
        try:
            told = {name: value for name, value in self.headers.items() if name.lower() not in NOT_FORWARDED}
            upstream.request("GET", url._replace(scheme="", netloc="").geturl(), headers=told)
            answer = upstream.getresponse()
            self._answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            upstream.close()

    def do_CONNECT(self) -> None:
        if not self._accepts():
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as upstream:
            self.send_response_only(200)
            self.end_headers()
            ends = {self.connection: upstream, upstream: self.connection}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    piece = end.recv(PIECE)
                    if not piece:
                        self.close_connection = True
                        return
                    ends[end].sendall(piece)
