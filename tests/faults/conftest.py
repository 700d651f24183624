"""Fixtures: the world in which a fault happens."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirrorpy.upstream.network import Patience
from tests.faultserver import FaultServer
from tests.integration.conftest import mirror, nginx, pytest_runtest_makereport, upstream

from .world import World

__all__ = ["mirror", "nginx", "pytest_runtest_makereport", "upstream"]


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds where a user would wait seconds."""
    patience = functools.partial(Patience, first=0.001, most=0.01, retry_after_most=0.05)
    monkeypatch.setattr("mirrorpy.upstream.network.Patience", patience)


@pytest.fixture
def fresh(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_it_was: None, no_waiting_for_disks: None
) -> Iterator[World]:
    """A world of which nothing is mirrored yet."""
    (tmp_path / "upstreams").mkdir()
    with FaultServer(tmp_path / "upstreams") as server:
        world = World(tmp_path, server, capsys)
        yield world
        world.heals()


@pytest.fixture
def world(fresh: World) -> World:
    """A world whose first state is mirrored; both upstreams have published a second one."""
    fresh.start()
    return fresh
