"""Fixtures that several kinds of tests share."""

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
