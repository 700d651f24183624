"""Where all mirror from: nginx and an rsync daemon on loopback, of one folder, near or through the relay.

nginx listens twice: where nothing is logged, and where each request is, for the runs that count.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.results import Traffic
from tests.benchmarks.upstreams import program
from tests.integration.webserver import MARK, Nginx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMON = "sendfile on; tcp_nopush on; autoindex on;"
"""As Debian sets nginx up, with listings for who needs them; limits are nginx's own defaults."""
QUIET = """{common}
access_log off;
location {mark} {{ access_log {logs}/access.log requests; return 204; }}
"""
COUNTED = """
log_format traffic '$request_length $bytes_sent $body_bytes_sent $request_uri';
server {{
    listen 127.0.0.1:{port};
    root {served};
    access_log {logs}/traffic.log traffic;
    {common}
}}
"""
RSYNCD = """use chroot = no
port = {port}
address = 127.0.0.1
log file = {folder}/rsyncd.log
pid file = {folder}/rsyncd.pid
[bench]
path = {served}/
read only = yes
uid = {uid}
gid = {gid}
"""
SENT = re.compile(r"sent (\d+) bytes\s+received (\d+) bytes\s+total size")
RATE = "2M"
PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a program finds the upstream."""

    http: str
    """Ends with a slash."""
    rsync: str


class Origin:
    """The servers of one folder, which is switched between states."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.served = folder / "served"
        self._stack = contextlib.ExitStack()
        self._read: dict[str, int] = {}
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        counted, self._rsync = _free_port(), _free_port()
        logs = folder / "nginx"
        quiet = QUIET.format(common=COMMON, mark=MARK, logs=logs)
        counts = COUNTED.format(common=COMMON, port=counted, served=self.served, logs=logs)
        self._nginx = self._stack.enter_context(Nginx(program("nginx"), logs, self.served, server=quiet, http=counts))
        self._http = {False: self._nginx.port, True: counted}
        self._stack.enter_context(self._daemon())

    def switch(self, state: Path) -> None:
        """Serve another folder from now on."""
        following = self.folder / "following"
        following.symlink_to(state)
        following.rename(self.served)

    @contextlib.contextmanager
    def near(self) -> Iterator[dict[bool, Address]]:
        """Yield the addresses on loopback: of the quiet server, and of that which counts."""
        yield {counts: _address(port, self._rsync) for counts, port in self._http.items()}

    @contextlib.contextmanager
    def far(self, rtt: int) -> Iterator[dict[bool, Address]]:
        """Yield the same through a relay with so many milliseconds of a round trip."""
        targets = [str(port) for port in (*self._http.values(), self._rsync)]
        command = [sys.executable, "-m", "tests.benchmarks.relay", *targets, "--rtt", str(rtt), "--rate", RATE]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                *http, rsync = map(int, process.stdout.readline().split())
                yield {counts: _address(port, rsync) for counts, port in zip(self._http, http, strict=True)}
            finally:
                process.terminate()

    def begin_counting(self) -> None:
        """Forget what was logged so far."""
        self._new_lines("nginx/traffic.log")
        self._new_lines("rsyncd.log")

    def traffic(self, *, rsync: bool) -> Traffic:
        """Return what a server sent and got since counting began, by its own account."""
        if rsync:
            return self._rsync_traffic()
        self._nginx.requests()  # returns when all before are logged
        lines = [[int(number) for number in line.split()[:3]] for line in self._new_lines("nginx/traffic.log")]
        got, sent, bodies = (sum(column) for column in zip(*lines, strict=True)) if lines else (0, 0, 0)
        return Traffic(len(lines), sent + got, bodies)

    def stop(self) -> None:
        """End all servers."""
        self._stack.close()

    def _rsync_traffic(self) -> Traffic:
        until = time.monotonic() + PATIENCE
        found: list[str] = []
        while not any(SENT.search(line) for line in found):
            if time.monotonic() > until:
                raise RuntimeError("the rsync daemon did not log what it sent")
            time.sleep(0.02)
            found += self._new_lines("rsyncd.log")
        totals = [(int(found[1]), int(found[2])) for found in map(SENT.search, found) if found]
        return Traffic(None, sum(map(sum, totals)), None)

    def _new_lines(self, name: str) -> list[str]:
        with (self.folder / name).open("rb") as log:
            log.seek(self._read.setdefault(name, 0))
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read[name] += len(whole)
        return whole.decode(errors="replace").splitlines()

    @contextlib.contextmanager
    def _daemon(self) -> Iterator[None]:
        config = self.folder / "rsyncd.conf"
        config.write_text(
            RSYNCD.format(port=self._rsync, folder=self.folder, served=self.served, uid=os.geteuid(), gid=os.getegid())
        )
        command = [program("rsync"), "--daemon", "--no-detach", f"--config={config}"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            try:
                _await_port(self._rsync)
                yield
            finally:
                process.terminate()


def _address(http: int, rsync: int) -> Address:
    return Address(f"http://127.0.0.1:{http}/", f"rsync://127.0.0.1:{rsync}/bench/")


def _await_port(port: int) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
