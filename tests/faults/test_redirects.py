"""Faults 26, 28, 30 and 31: redirects that lead nowhere, answers without a body, and heads that are none."""

from typing import Any

import pytest

from tests.integration.listing import REPOMD

from .catalogue import fault
from .wire import FILES, TARGETS, apart, asked, href_of, within
from .world import RETRIES, STATE, World

__all__ = ["apart"]
MOST_REDIRECTS = 10


@pytest.mark.parametrize("scheme", ["file", "ftp", "data"])
@pytest.mark.parametrize("target", TARGETS)
@fault(26, "a redirect to file:, ftp: or data:, even to the right bytes", "3; not followed, not tried again")
def test_fault_026_other_schemes(world: World, target: str, scheme: str) -> None:
    href = href_of(world, target)
    place = {
        "file": (world.base.folder / href).as_uri(),
        "ftp": f"ftp://127.0.0.1/{href}",
        "data": "data:text/plain,repomd",
    }[scheme]
    world.server.fault(f"base/{href}", "redirect", to=place)
    world.refused(3, f"base/{href}", "redirects to", place)
    assert len(asked(world.server, href)) == 1


@pytest.mark.parametrize("target", TARGETS)
@fault(28, "a redirect to itself", "3; after 10 redirects, not tried again")
def test_fault_028_loop(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "redirect-loop")
    world.refused(3, f"base/{href}", f"more than {MOST_REDIRECTS} times")
    assert len(asked(world.server, href)) == 1 + MOST_REDIRECTS


@fault(28, "two redirects to one another", "3; after 10 redirects, not tried again")
def test_fault_028_circle(world: World) -> None:
    world.server.fault(f"base/{REPOMD}", "redirect", to="base/elsewhere")
    world.server.fault("base/elsewhere", "redirect", to=f"base/{REPOMD}")
    world.refused(3, f"base/{REPOMD}", f"more than {MOST_REDIRECTS} times")
    assert len(asked(world.server, REPOMD)) + len(asked(world.server, "elsewhere")) == 1 + MOST_REDIRECTS


@pytest.mark.parametrize("target", TARGETS)
@fault(30, "302 without Location", "3; not tried again")
def test_fault_030_without_location(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "redirect")
    world.refused(3, f"base/{href}", "redirects without saying where to")
    assert len(asked(world.server, href)) == 1


@pytest.mark.parametrize("target", TARGETS)
@fault(30, "204 No Content", "3; no empty file")
def test_fault_030_no_content(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "no-content")
    world.refused(3, f"base/{href}", "HTTP 204")
    assert len(asked(world.server, href)) == 1
    no_empty_file(world)


@pytest.mark.parametrize("target", FILES)
@fault(30, "200 with an empty body for a package or record", "4; no empty file")
def test_fault_030_empty(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "empty")
    world.refused(4, f"base/{href}", "0 bytes")
    assert len(asked(world.server, href)) == 1
    no_empty_file(world)


HEADS: dict[str, tuple[str, dict[str, Any]]] = {
    "a header of a megabyte": ("huge-header", {}),
    "10,000 headers": ("many-headers", {}),
    "garbage": ("garbage-status", {}),
    "no HTTP": ("garbage-status", {"line": "220 ftp.example.org ready"}),
    "no number": ("garbage-status", {"line": "HTTP/1.1 fine"}),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("target", TARGETS)
@fault(31, "a header of a megabyte, 10,000 headers, a status line that is none", "3; after `retries`")
def test_fault_031_bad_head(world: World, target: str, head: str) -> None:
    href = href_of(world, target)
    name, parameters = HEADS[head]
    world.server.fault(f"base/{href}", name, **parameters)
    with within(5):
        world.refused(3, f"base/{href}", "connection failed")
    assert len(asked(world.server, href)) == 1 + RETRIES


def no_empty_file(world: World) -> None:
    """Prove that no file of the pool is empty."""
    pool = world.root / STATE / "pool"
    assert [name for name in world.pool() if not (pool / name).stat().st_size] == []
