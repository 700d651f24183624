"""What of `base` a fault is put on, and what was asked for it over the wire."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faultserver import FaultServer, Request
from tests.integration.listing import REPOMD
from tests.integration.upstream import build_rpm

from . import world
from .world import Source, World

SIGNATURE = f"{REPOMD}.asc"
TARGETS: dict[str, Callable[[Source], str]] = {
    "repomd.xml": lambda _: REPOMD,
    "record": lambda base: base.record("primary"),
    "package": Source.new,
}
"""A document, a file of metadata and a package: they are fetched by different paths through the code."""
QUICK = 0.25
"""Seconds for `timeout`, where a server is waited for that says nothing."""
FILES = ("record", "package")
"""Those of a known size and checksum, which are resumed; repomd.xml is read whole again."""


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give both upstreams packages of their own, so that `base` gets nothing out of what `other` brought."""
    turn = Source.turn

    def turn_apart(self: Source, **records: bytes) -> None:
        with monkeypatch.context() as meanwhile:
            own = f"{self.folder.name}-"
            meanwhile.setattr(world, "build_rpm", lambda name, **options: build_rpm(own + name, **options))
            turn(self, **records)

    monkeypatch.setattr(Source, "turn", turn_apart)


def href_of(here: World, target: str) -> str:
    """The href of one of the targets, in the last publication."""
    return TARGETS[target](here.base)


def size_of(here: World, href: str) -> int:
    """How long the upstream's file is."""
    return (here.base.folder / href).stat().st_size


def asked(server: FaultServer, href: str, repo: str = "base") -> list[Request]:
    """The requests for one file, in order."""
    return [request for request in server.requests if request.path == f"{repo}/{href}"]


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Assert that what is done here takes no longer."""
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert took < seconds, f"took {took:.1f} s"


def forget_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every proxy out of the environment, and every exception from them."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
