"""Fixtures of the tests that sync."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.simulator import Simulator

from .mirror import Mirror


@pytest.fixture(autouse=True)
def never_waiting(no_waiting_for_disks: None) -> None:
    """All of these tests."""


@pytest.fixture
def mirror(tmp_path: Path, simulator: Simulator) -> Mirror:
    """An empty root."""
    return Mirror(tmp_path / "root", simulator)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes, as they are started."""
    processes: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def remember(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        processes.append(start(*args, **options))
        return processes[-1]

    monkeypatch.setattr(subprocess, "Popen", remember)
    return processes
