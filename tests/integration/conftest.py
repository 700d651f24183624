"""Fixtures: web servers, upstreams and installations of mirrorpy."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .installation import Mirror
from .programs import NO_DATA, real_program
from .upstream import Upstream
from .webserver import Nginx, Serve


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where MIRRORPY_REQUIRE_REAL=1, fail what is skipped for another want than that of the real repositories."""
    report = yield
    if report.skipped and os.environ.get("MIRRORPY_REQUIRE_REAL") == "1" and NO_DATA not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"may not be skipped here: {report.longrepr}"
    return report


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Serve]:
    """Start an nginx for a folder: `nginx(folder, server="…", http="…")`; all end with the test."""
    program = real_program("nginx")
    with ExitStack() as started:

        def serve(served: Path, **configuration: str) -> Nginx:
            folder = tmp_path / f"nginx-{len(list(tmp_path.glob('nginx-*')))}"
            return started.enter_context(Nginx(program, folder, served, **configuration))

        yield serve


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    """An installation with an empty root."""
    return Mirror(tmp_path / "mirror")


@pytest.fixture
def upstream(tmp_path: Path) -> Callable[[str], Upstream]:
    """Make empty upstreams by name; together they are the folder `upstreams`."""
    return lambda name: Upstream(tmp_path / "upstreams" / name)
