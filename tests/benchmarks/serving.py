"""Throughput, CPU time and memory of `mirrorpy serve` beside nginx.

python -m tests.benchmarks.serving [--rounds 5]

Both serve one folder on loopback and log to a file; nginx is set up as Debian does it. Each client is one curl process.
The servers take turns, and the medians of all rounds are printed as a Markdown table, with the least and the greatest
ratio. Clients, servers and kernel share the cores, so the numbers are of this machine under this load, and only those
of one line compare. Needs nginx and curl.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass

NGINX = """daemon off; worker_processes auto; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 768; }}
http {{ sendfile on; tcp_nopush on; types_hash_max_size 2048; gzip on; access_log {folder}/access.log;
default_type application/octet-stream;
client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
server {{ listen 127.0.0.1:{port}; root {folder}/root; }} }}
"""
LARGE, SMALL = 100_000_000, 2_000
CLIENTS = (1, 8, 64)
LARGE_REQUESTS, SMALL_REQUESTS = 16, 4_096
"""In all, of all clients; each sends one at least."""
TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 20


@dataclass(frozen=True)
class Load:
    """What one measurement asks for: each client fetches a file so many times on one connection."""

    name: str
    size: int
    clients: int
    times: int

    @property
    def label(self) -> str:
        """The first cells of its line."""
        what = "100 MB, MB/s" if self.size == LARGE else "2 kB, requests/s"
        return f"{what} | {self.clients}"

    def rate(self, seconds: float) -> float:
        """MB/s of the large file, requests a second of the small one."""
        requests = self.clients * self.times
        return (requests * self.size / 1e6 if self.size == LARGE else requests) / seconds


@dataclass(frozen=True)
class Result:
    """One measurement."""

    rate: float
    cpu: float
    """Seconds, of the server's processes."""
    peak: float
    """MB resident, of the server's processes together."""


class Server:
    """A running server and its processes."""

    def __init__(self, name: str, command: list[str], port: int, log: pathlib.Path) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}/"
        with log.open("wb") as stream:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        until = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}small").read()
                return
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise SystemExit(f"{name} does not start: {log.read_text()}")
            time.sleep(0.05)

    def measure(self, load: Load) -> Result:
        """Run all clients at once and to the end."""
        processes = self._processes()
        for pid in processes:
            # The peak begins anew.
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
        before = sum(map(cpu_seconds, processes))
        began = time.monotonic()
        url = f"{self.url}{load.name}?[1-{load.times}]"
        clients = [
            subprocess.Popen(
                ["curl", "-sS", "--fail", "-o", os.devnull, "-w", "%{size_download}\n", url],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
            for _ in range(load.clients)
        ]
        said = [client.communicate()[0].split() for client in clients]
        seconds = time.monotonic() - began
        cpu = sum(map(cpu_seconds, processes)) - before
        if any(client.returncode for client in clients) or said != [[b"%d" % load.size] * load.times] * load.clients:
            raise SystemExit(f"{self.name}: not every client got every file")
        return Result(load.rate(seconds), cpu, sum(map(peak_megabytes, processes)))

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()

    def _processes(self) -> list[int]:
        pid = self._process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]


def cpu_seconds(pid: int) -> float:
    """Of one process with its threads so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_megabytes(pid: int) -> float:
    """The most that was resident since it was last cleared."""
    found = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: pathlib.Path) -> list[Server]:
    """Fill the folder, and start both servers of it."""
    folder.chmod(0o755)
    root = folder / "root"
    root.mkdir()
    (root / "large").write_bytes(random.Random(1).randbytes(LARGE))
    (root / "small").write_bytes(random.Random(2).randbytes(SMALL))
    config = folder / "mirrorpy.yaml"
    config.write_text(f"root: {root}\nrepos:\n  - id: none\n    baseurl: http://127.0.0.1/\n")
    search = f"{os.environ['PATH']}:/usr/sbin"
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    nginx = [shutil.which("nginx", path=search) or "nginx", "-c", str(folder / "nginx.conf")]
    servers = [Server("nginx", nginx, port, folder / "nginx.log")]
    port = free_port()
    serve = [sys.executable, "-m", "mirrorpy", "serve", "--config", str(config), "--port", str(port)]
    try:
        servers.append(Server("serve", serve, port, folder / "serve.log"))
    except BaseException:
        servers[0].stop()
        raise
    return servers


def line(load: Load, nginx: list[Result], serve: list[Result]) -> str:
    """One line of the table."""
    ratios = sorted(ours.rate / theirs.rate for ours, theirs in zip(serve, nginx, strict=True))

    def median(results: list[Result], name: str) -> float:
        return statistics.median(getattr(result, name) for result in results)

    return (
        f"| {load.label} | {median(nginx, 'rate'):,.0f} | {median(serve, 'rate'):,.0f}"
        f" | {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        f" | {median(nginx, 'cpu'):.2f} | {median(serve, 'cpu'):.2f}"
        f" | {median(nginx, 'peak'):.0f} | {median(serve, 'peak'):.0f} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    loads = [Load("large", LARGE, clients, max(1, LARGE_REQUESTS // clients)) for clients in CLIENTS]
    loads += [Load("small", SMALL, clients, SMALL_REQUESTS // clients) for clients in CLIENTS]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mirrorpy-bench-"))
    try:
        servers = start(folder)
        try:
            print(f"{os.cpu_count()} cores, {rounds} rounds, Python {sys.version.split()[0]}\n")
            print("| | clients | nginx | serve | ratio | CPU s nginx | CPU s serve | MB nginx | MB serve |")
            print("|---|---|---|---|---|---|---|---|---|")
            for load in loads:
                results: dict[str, list[Result]] = {server.name: [] for server in servers}
                for number in range(rounds + 1):
                    for server in servers if number % 2 else servers[::-1]:
                        result = server.measure(load)
                        if number:  # the first round is to warm up
                            results[server.name].append(result)
                print(line(load, results["nginx"], results["serve"]), flush=True)
        finally:
            for server in servers:
                server.stop()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
