"""Fixtures that several kinds of tests share."""

import logging
import os
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
    for name in list(os.environ):
        if name == "MIRRORPY_CONFIG" or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    logger = logging.getLogger("mirrorpy")
    before = (logger.handlers[:], logger.propagate, logger.level)
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    logger.handlers[:], logger.propagate, logger.level = before
    for number, handler in signals.items():
        signal.signal(number, handler)


@pytest.fixture
def no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power is cut here, so nothing need be durable; the crash tests look at that."""
    monkeypatch.setattr("mirrorpy.store.durable._syncfs", lambda: lambda _descriptor: 0)
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@pytest.fixture(scope="session", autouse=True)
def signals_that_end() -> None:
    """Let programs that tests start be ended by these, also where the tests themselves were started with nohup."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
