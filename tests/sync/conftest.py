"""Fixtures of the tests that sync."""

from pathlib import Path

import pytest

from tests.simulator import Simulator

from .mirror import Mirror


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power is cut here, so nothing need be durable; the crash tests look at that."""
    monkeypatch.setattr("mirrorpy.store.durable._syncfs", lambda: lambda _descriptor: 0)
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


@pytest.fixture
def mirror(tmp_path: Path, simulator: Simulator) -> Mirror:
    """An empty root."""
    return Mirror(tmp_path / "root", simulator)
