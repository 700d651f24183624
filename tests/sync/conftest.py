"""Fixtures of the tests that sync."""

from pathlib import Path

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
