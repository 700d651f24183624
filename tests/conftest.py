"""Fixtures that several kinds of tests share."""

import logging
import signal
from collections.abc import Iterator

import pytest

from tests.simulator import Repo, Simulator


@pytest.fixture
def simulator() -> Simulator:
    """The web, empty."""
    return Simulator()


@pytest.fixture
def repo(simulator: Simulator) -> Repo:
    """An upstream with two packages, published."""
    repo = simulator.repository("https://up.test/repo/")
    repo.add("bash")
    repo.add("zsh")
    repo.publish()
    return repo


@pytest.fixture
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave signals, logs and the environment as they were, where mirrorpy runs within this process."""
    for name in ("MIRRORPY_CONFIG", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    logger = logging.getLogger("mirrorpy")
    before = (logger.handlers[:], logger.propagate, logger.level)
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    logger.handlers[:], logger.propagate, logger.level = before
    for number, handler in signals.items():
        signal.signal(number, handler)
