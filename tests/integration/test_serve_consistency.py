"""`mirrorpy serve` under 64 clients while `mirrorpy sync` publishes: every answer is a whole file of one generation."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .installation import Mirror
from .test_publication import Churn, Reader, running
from .test_serve import ACCESS, READY, Serving
from .upstream import Upstream

CLIENTS = 64
PUBLICATIONS = 10
SECONDS_BETWEEN = 0.2
"""At least, from one publication to the next sync."""

Make = Callable[[str], Upstream]


@contextmanager
def clients(serving: Serving, published: Path) -> Iterator[list[Reader]]:
    """They fetch repomd.xml, what it names and packages, again and again, and check every byte."""
    readers = [Reader(serving, published, seed) for seed in range(CLIENTS)]
    with running(readers):
        yield readers


@pytest.mark.parametrize("keep", [3, 1])
def test_every_answer_is_whole_and_of_one_generation(upstream: Make, mirror: Mirror, keep: int) -> None:
    """No 404, no 5xx, no wrong byte, however many generations are kept."""
    churn = Churn(upstream("busy"))
    mirror.configure({"id": "busy", "baseurl": churn.upstream.url}, keep=keep, grace="1h")
    mirror.sync()
    published = mirror.published("busy")
    with Serving(mirror) as serving:
        with clients(serving, published) as readers:
            for _ in range(PUBLICATIONS):
                before = published.readlink()
                churn.turn()
                mirror.sync()
                assert published.readlink() != before
                time.sleep(SECONDS_BETWEEN)
        assert [failure for reader in readers for failure in reader.failures] == []
        assert min(reader.rounds for reader in readers) >= 3
        assert sum(reader.overtaken for reader in readers) >= CLIENTS, "hardly any client was in the middle"
        assert len(mirror.generations("busy")) == keep
        answers = [line for line in serving.lines() if not READY.search(line)]
    assert len(answers) > 10 * CLIENTS
    matches = [(line, ACCESS.fullmatch(line)) for line in answers]
    assert [line for line, match in matches if not match or match["status"] != "200"] == []
