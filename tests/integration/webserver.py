"""nginx as the web server of an upstream or of a mirror, and what was asked of it."""

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote

CONFIGURATION = """
daemon off;
worker_processes 1;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    log_format requests escape=json '{{"status": "$status", "method": "$request_method",'
        ' "path": "$request_uri", "bytes": "$body_bytes_sent"}}';
    access_log {folder}/access.log requests;
    types {{ }}
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    disable_symlinks off;
    {http}
    server {{
        listen 127.0.0.1:{port};
        root {served};
        {server}
    }}
}}
"""
MARK = "/.mark/"
START_SECONDS = 10.0
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the access log."""

    status: int
    method: str
    path: str
    """As it was asked for, percent-encoded."""
    bytes: int
    """Of the body."""

    @property
    def href(self) -> str:
        """The path decoded, without its leading slash."""
        return unquote(self.path).removeprefix("/")


class Nginx:
    """A running nginx with a folder of its own for configuration and logs."""

    def __init__(self, program: str, folder: Path, served: Path, *, server: str = "", http: str = "") -> None:
        """Start it; `server` and `http` are further lines for these blocks of its configuration."""
        self.folder = folder
        self._offset = 0
        self._marks = 0
        folder.mkdir(parents=True)
        for _ in range(ATTEMPTS):
            self.port = _free_port()
            (folder / "nginx.conf").write_text(
                CONFIGURATION.format(
                    user="user root;" if os.geteuid() == 0 else "",
                    folder=folder,
                    served=served,
                    port=self.port,
                    server=server,
                    http=http,
                )
            )
            self._process = subprocess.Popen(
                [program, "-p", str(folder), "-c", str(folder / "nginx.conf")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if self._answers():
                return
            self.stop()
        raise RuntimeError("nginx does not start: " + (folder / "error.log").read_text())

    @property
    def url(self) -> str:
        """Of the served folder, with a slash at its end."""
        return f"http://127.0.0.1:{self.port}/"

    def requests(self) -> list[Request]:
        """What was asked since the last call: the worker logs in order; a request of ours marks the end."""
        self._marks += 1
        mark = f"{MARK}{self._marks}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", mark)
        connection.getresponse().read()
        connection.close()
        while True:
            with (self.folder / "access.log").open("rb") as log:
                log.seek(self._offset)
                text = log.read()
            lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith(b"\n")]
            if any(line["path"] == mark for line in lines):
                break
            time.sleep(0.005)
        self._offset += len(text)
        return [
            Request(int(line["status"]), line["method"], line["path"], int(line["bytes"]))
            for line in lines
            if not line["path"].startswith(MARK)
        ]

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


Serve = Callable[..., Nginx]
"""`serve(folder, server="…", http="…")` starts one that ends with the test."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
