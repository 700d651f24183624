"""Publishing many times under clients that are always in the middle of something: none of them may notice."""

import http.client
import importlib
import itertools
import os
import random
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from .installation import Mirror
from .listing import REPOMD, Promise, parse_primary, parse_repomd
from .programs import Dnf
from .upstream import Upstream, build_rpm, payload
from .webserver import Nginx, Serve

PUBLICATIONS = 1_000 if os.environ.get("MIRRORPY_SLOW") == "1" else 200
READERS = 4
PACKAGES = 6
PACKAGES_READ = 3
PAUSE = 0.2
"""Seconds at most between a reader's steps, so that publications fall between them."""

Make = Callable[[str], Upstream]


class Reader(threading.Thread):
    """A client that does as dnf does: repomd.xml, its records, some packages; it checks every byte."""

    def __init__(self, server: Nginx, published: Path, seed: int) -> None:
        super().__init__(name=f"reader-{seed}")
        self.failures: list[str] = []
        self.rounds = 0
        self.overtaken = 0
        """Rounds during which something was published."""
        self._published = published
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._random = random.Random(seed)
        self._ended = threading.Event()

    def end(self) -> None:
        """Let it finish its round."""
        self._ended.set()

    def run(self) -> None:
        """Read until the end, or until something is wrong."""
        while not self._ended.is_set() and not self.failures:
            before = self._published.readlink()
            self._round()
            self.rounds += 1
            self.overtaken += before != self._published.readlink()
        self._connection.close()

    def _round(self) -> None:
        body = self._get(REPOMD)
        if body is None:
            return
        _, records = parse_repomd(body)
        bodies = {}
        for kind, promise in records.items():
            time.sleep(self._random.uniform(0, PAUSE / len(records)))
            bodies[kind] = self._check(promise)
        if bodies["primary"] is None:
            return
        packages = parse_primary(bodies["primary"])
        for promise in self._random.sample(packages, PACKAGES_READ):
            time.sleep(self._random.uniform(0, PAUSE / PACKAGES_READ))
            self._check(promise)

    def _check(self, promise: Promise) -> bytes | None:
        body = self._get(promise.href)
        fault = None if body is None else promise.fault(body)
        if fault:
            self.failures.append(fault)
            return None
        return body

    def _get(self, href: str) -> bytes | None:
        self._connection.request("GET", quote(f"/{self._published.name}/{href}"))
        response = self._connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            self.failures.append(f"{href}: {response.status}")
            return None
        return body


class DnfLoop(threading.Thread):
    """`dnf makecache --refresh` again and again."""

    def __init__(self, dnf: Dnf, url: str) -> None:
        super().__init__(name="dnf")
        self.failures: list[str] = []
        self.runs = 0
        self._dnf = dnf
        self._url = url
        self._ended = threading.Event()

    def end(self) -> None:
        """Let it finish its run."""
        self._ended.set()

    def run(self) -> None:
        """Until the end, or until one fails."""
        while not self._ended.is_set() and not self.failures:
            done = self._dnf.run(self._url, "--refresh", "makecache")
            self.runs += 1
            if done.returncode:
                self.failures.append(done.stdout + done.stderr)


@contextmanager
def running(threads: "list[Reader | DnfLoop]") -> Iterator[None]:
    """They run during the block and are ended after it."""
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.end()
        for thread in threads:
            thread.join()


def publisher(mirror: Mirror) -> Callable[[], int]:
    """A sync within this process where that can be done: a thousand start-ups would take most of the time."""
    try:
        cli = importlib.import_module("mirrorpy.cli")
    except ImportError:
        return lambda: mirror.run("sync", "--quiet").returncode

    def sync() -> int:
        return int(cli.main(["sync", "--config", str(mirror.config), "--quiet"]))

    return sync


class Churn:
    """A small upstream in which every publication replaces one package."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._releases = itertools.count(1)
        self._packages: dict[str, bytes] = {}
        for number in range(PACKAGES):
            self._replace(number)
        upstream.compose(self._packages)

    def turn(self) -> None:
        """Replace the oldest package and publish."""
        oldest = next(iter(self._packages))
        del self._packages[oldest]
        self.upstream.remove(oldest)
        self._replace(next(self._releases) % PACKAGES)
        self.upstream.compose(self._packages)

    def _replace(self, number: int) -> None:
        release = str(next(self._releases))
        body = build_rpm(f"package{number}", "1.0", release)
        self._packages[self.upstream.put(f"Packages/package{number}-1.0-{release}.noarch.rpm", body)] = body


@pytest.mark.timeout(3_600 if os.environ.get("MIRRORPY_SLOW") == "1" else 300)
def test_no_reader_notices_a_publication(upstream: Make, nginx: Serve, mirror: Mirror, tmp_path: Path) -> None:
    """Not one 404, not one wrong byte, no failing dnf, while the repository is published over and over."""
    churn = Churn(upstream("busy"))
    mirror.configure({"id": "busy", "baseurl": churn.upstream.url}, keep=2, grace="1h")
    sync = publisher(mirror)
    assert sync() == 0
    published = mirror.published("busy")
    server = nginx(mirror.root)
    readers = [Reader(server, published, seed) for seed in range(READERS)]
    dnf = DnfLoop(Dnf(tmp_path / "dnf"), f"{server.url}busy")
    with running([*readers, dnf]):
        for number in range(PUBLICATIONS):
            before = published.readlink()
            churn.turn()
            assert sync() == 0, f"publication {number}"
            assert published.readlink() != before, f"publication {number}"
            if any(reader.failures for reader in readers) or dnf.failures:
                break
    assert [failure for reader in readers for failure in reader.failures] + dnf.failures == []
    assert sum(reader.overtaken for reader in readers) >= PUBLICATIONS // 10, "hardly any reader was in the middle"
    assert min(reader.rounds for reader in readers) > 0
    assert dnf.runs > 0
    strange = [
        r for r in server.requests() if r.status not in {200, 206, 304} and not r.href.endswith((".asc", ".key"))
    ]
    assert strange == []


def test_dnf_installs_the_new_version_after_a_publication(
    upstream: Make, nginx: Serve, mirror: Mirror, tmp_path: Path
) -> None:
    """From the mirror, as a client does; then the upgrade."""
    if os.geteuid() != 0:
        pytest.skip("installing into a root needs to be root")
    base = upstream("base")
    mirror.configure({"id": "base", "baseurl": base.url}, keep=1)
    server = nginx(mirror.root)
    dnf = Dnf(tmp_path / "dnf")
    for version, verb in (("1.0", "install"), ("1.1", "upgrade")):
        base.add("tool", version=version)
        base.publish()
        mirror.sync()
        done = dnf.run(f"{server.url}base", "--refresh", "-y", verb, "tool")
        assert done.returncode == 0, done.stdout + done.stderr
        assert (dnf.folder / "root/usr/share/tool.bin").read_bytes() == payload("tool", version)


def test_what_is_published_is_readable_whatever_the_umask(upstream: Make, mirror: Mirror) -> None:
    """Folders 0755, files 0444, and the published name a relative link within its folder."""
    base = upstream("base")
    base.add("one")
    base.publish()
    mirror.configure({"id": "base", "path": "deep/below/base", "baseurl": base.url})
    done = mirror.run("sync", "--quiet", umask=0o077)
    assert done.returncode == 0, done.stderr
    published = mirror.published("deep/below/base")
    assert str(published.readlink()) in mirror.generations("deep/below/base")
    for parent, _, names in os.walk(published):
        assert stat.S_IMODE(Path(parent).stat().st_mode) == 0o755, parent
        for name in names:
            assert stat.S_IMODE(Path(parent, name).lstat().st_mode) == 0o444, name
    for folder in (published.parent, published.parents[1]):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_packages_keep_their_time_and_repomd_rises(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """Last-Modified of a package is upstream's; that of repomd.xml is later with every publication."""
    base = upstream("base")
    href = base.add("one")
    os.utime(base.folder / href, (1_600_000_000, 1_600_000_000))
    base.publish()
    front = nginx(base.folder.parent)
    mirror.configure({"id": "base", "baseurl": f"{front.url}base"}, keep=1)
    server = nginx(mirror.root)
    times = []
    for number in range(3):
        base.add(f"new{number}")
        base.publish()
        mirror.sync()
        times.append(last_modified(server, f"base/{REPOMD}"))
    assert last_modified(server, f"base/{href}") == 1_600_000_000
    assert times == sorted(set(times))


def last_modified(server: Nginx, href: str) -> float:
    """As HTTP tells it: whole seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("HEAD", f"/{href}")
    response = connection.getresponse()
    response.read()
    connection.close()
    return parsedate_to_datetime(response.headers["Last-Modified"]).timestamp()
