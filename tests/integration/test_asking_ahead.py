"""What is asked of a far server before its turn comes, and servers that do not bear it."""

import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from .installation import Mirror
from .listing import REPOMD, faults
from .upstream import Upstream
from .webserver import Serve

AWAY = 0.02
"""Seconds to the far server and back; 5 ms are far."""
PACKAGES = 80
Answer = Callable[["Far", list[bytes]], Iterator[tuple[bytes, bool]]]
"""What a server makes of requests that came together: answers, and whether it closes the connection after each."""


class Far:
    """A server that is AWAY, and reads whatever came meanwhile in one go."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        self.folder, self._answer = folder, answer
        self.together: Counter[int] = Counter()
        """How often so many requests came together."""
        self.paths: Counter[str] = Counter()
        """How often each path was answered."""
        self.open = self.most_open = 0
        """Connections."""
        self._counting = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listening.accept()[0],), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._counting:
            self.open += 1
            self.most_open = max(self.most_open, self.open)
        try:
            self._talk(connection)
        finally:
            with self._counting:
                self.open -= 1

    def _talk(self, connection: socket.socket) -> None:
        data = b""
        with connection, suppress(OSError):
            while data or (data := connection.recv(65536)):
                time.sleep(AWAY)
                with suppress(BlockingIOError):
                    data += connection.recv(65536, socket.MSG_DONTWAIT)
                *heads, data = data.split(b"\r\n\r\n")
                self.together[len(heads)] += 1
                for answer, closes in self._answer(self, heads):
                    connection.sendall(answer)
                    if closes:
                        return

    def file(self, head: bytes) -> bytes:
        """The whole answer to a request."""
        path = head.split(b" ")[1].decode().lstrip("/")
        self.paths[path] += 1
        if not (self.folder / path).is_file():
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"
        body = (self.folder / path).read_bytes()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def close(self) -> None:
        """Take no connection any more."""
        self._listening.close()


def all_of_them(server: Far, heads: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """As HTTP/1.1 has it."""
    yield from ((server.file(head), False) for head in heads)


def some_dozens(server: Far, heads: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Close each connection sooner or later, as keepalive_requests does, without a word."""
    for head in heads:
        answer = server.file(head)
        yield answer, server.paths.total() % 40 == 0


def the_first(server: Far, heads: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Close the connection where there is more than one."""
    yield server.file(heads[0]), len(heads) > 1


def the_first_and_forget(server: Far, heads: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Drop the others."""
    yield server.file(heads[0]), False


def in_another_order(server: Far, heads: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Send the last one's answer first."""
    yield from ((server.file(head), False) for head in reversed(heads))


def swapped_after_the_first(server: Far, heads: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Mix up what came ahead, all of which has one size."""
    yield from ((server.file(head), False) for head in (heads[0], *reversed(heads[1:])))


def in_chunks(server: Far, heads: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Announce no length."""
    for head in heads:
        body = server.file(head).partition(b"\r\n\r\n")[2]
        lines = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body)
        yield (lines + body + b"\r\n0\r\n\r\n" if (server.folder / _path(head)).is_file() else server.file(head)), False


def busy_for_more_than_one(server: Far, heads: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Refuse all but the first."""
    yield server.file(heads[0]), False
    yield from ((b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n", False) for _ in heads[1:])


def forbids_more_than_one(server: Far, heads: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Take them for an attack, the first too."""
    if len(heads) == 1:
        yield server.file(heads[0]), False
    yield from ((b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", False) for _ in heads[1:])


def nothing_for_more_than_one(server: Far, heads: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Answer none of them."""
    if len(heads) == 1:
        yield server.file(heads[0]), False


def closes_on_more_than_one(server: Far, heads: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Answer none of them, and close the connection."""
    yield (server.file(heads[0]), False) if len(heads) == 1 else (b"", True)


def too_many(server: Far, heads: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Send the last answer twice."""
    yield from ((server.file(head), False) for head in heads)
    if len(heads) > 1:
        yield server.file(heads[-1]), False


def _path(head: bytes) -> str:
    return head.split(b" ")[1].decode().lstrip("/")


@pytest.fixture
def base(upstream: Callable[[str], Upstream]) -> Upstream:
    """An upstream of small packages, all of one size."""
    base = upstream("base")
    for number in range(PACKAGES):
        base.add(f"package{number:03d}")
    base.publish()
    return base


@pytest.mark.parametrize(
    ("answer", "most"),
    [
        (all_of_them, None),
        (some_dozens, None),
        (the_first, 4),
        (the_first_and_forget, 4),
        (in_another_order, 4),
        (swapped_after_the_first, 20),
        (in_chunks, 20),
        (busy_for_more_than_one, 8),
        (forbids_more_than_one, 8),
        (nothing_for_more_than_one, 4),
        (closes_on_more_than_one, 4),
        (too_many, 20),
    ],
)
def test_servers(base: Upstream, mirror: Mirror, answer: Answer, most: int | None) -> None:
    """Whatever a server makes of it, all files come; one that does not bear it is asked one by one from then on."""
    server = Far(base.folder, answer)
    settings = {"timeout": 1, "retries": 0}
    mirror.configure({"id": "base", "baseurl": server.url, **settings}, max_parallel_downloads=2)
    report = mirror.sync().repos["base"]
    server.close()
    assert (report["outcome"], report["packages"], report["warnings"]) == ("updated", PACKAGES, [])
    assert faults(mirror.published("base")) == []
    ahead = sum(times for number, times in server.together.items() if number > 1)
    assert ahead > PACKAGES / 9 if most is None else 0 < ahead <= most
    assert max(server.together) > 2
    if answer is all_of_them:
        assert set(server.paths.values()) == {1}
        assert report["requests"] == server.paths.total()


def test_all_repositories_together_have_so_many_connections(base: Upstream, mirror: Mirror) -> None:
    """Answers that are on their way are as good as a request."""
    server = Far(base.folder.parent, all_of_them)
    for name in ("one", "two"):
        shutil.copytree(base.folder, base.folder.parent / name)
        (base.folder.parent / name / "Packages" / "package000-1.0-1.noarch.rpm").unlink()
    names = ("base", "one", "two")
    repos = [{"id": name, "baseurl": f"{server.url}{name}/", "allow_missing": True} for name in names]
    mirror.configure(*repos, max_parallel_downloads=2, max_parallel_repos=3)
    outcome = mirror.sync()
    server.close()
    assert {repo["outcome"] for repo in outcome.repos.values()} == {"updated"}
    assert server.most_open <= 4  # it learns late that one is closed
    assert max(server.together) > 2


def test_a_near_server_is_asked_one_by_one(base: Upstream, nginx: Serve, mirror: Mirror) -> None:
    """There is nothing to gain, and all is as every server knows it."""
    server = nginx(base.folder)
    mirror.configure({"id": "base", "baseurl": server.url})
    report = mirror.sync().repos["base"]
    assert report["requests"] == len(server.requests())


def test_missing_files_among_those_asked_ahead(base: Upstream, mirror: Mirror) -> None:
    """An answer without a file is one too, and the next one is for the next file."""
    gone = sorted(path.relative_to(base.folder) for path in base.folder.rglob("*.rpm"))[10:PACKAGES:20]
    for path in gone:
        base.remove(str(path))
    server = Far(base.folder, all_of_them)
    settings = {"allow_missing": True}
    mirror.configure({"id": "base", "baseurl": server.url, **settings}, max_parallel_downloads=2)
    outcome = mirror.sync()
    server.close()
    assert max(server.paths[str(path)] for path in gone) <= 2
    assert max(server.together) > 2
    assert len(outcome.repos["base"]["warnings"]) == len(gone)
    assert len(list(mirror.published("base").rglob("*.rpm"))) == PACKAGES - len(gone)
    assert (mirror.published("base") / REPOMD).is_file()
