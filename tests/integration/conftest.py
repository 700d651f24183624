"""Fixtures: web servers, upstreams and installations of mirrorpy."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .installation import Mirror
from .programs import real_program
from .upstream import Upstream
from .webserver import Nginx, Serve


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
