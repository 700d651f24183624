"""Faults 15 to 17: drips, stalls, and connections that break; of 31, an answer that never begins."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.integration.listing import REPOMD

from .catalogue import fault
from .wire import FILES, QUICK, SIGNATURE, TARGETS, apart, asked, href_of, size_of, within
from .world import RETRIES, World

__all__ = ["apart"]
WINDOW = 0.2
"""Seconds over which `minrate` is measured here; 30 elsewhere."""
EVERY = 0.02
"""Seconds between two bytes of a drip: twentieth part of minrate's 1 kB/s, and far below `timeout`."""
BOUND = (1 + RETRIES) * (WINDOW + EVERY) + 3
"""Seconds that all attempts may take together, on a busy machine."""


@pytest.fixture(autouse=True)
def short_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure minrate over a fraction of a second."""
    monkeypatch.setattr("mirrorpy.upstream.transfer.FLOOR_WINDOW", WINDOW)
    monkeypatch.setattr("mirrorpy.upstream.wire.HEAD_SECONDS", WINDOW)


@pytest.fixture
def chatter() -> Iterator[str]:
    """The URL of a port that sends one interim answer (1xx) after the other, for longer than anybody should listen."""

    def chat() -> None:
        with contextlib.suppress(OSError), listening.accept()[0] as link:
            until = time.monotonic() + BOUND + 1
            while time.monotonic() < until:
                link.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(2 * BOUND)
        thread = threading.Thread(target=chat)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join()


@pytest.mark.parametrize("target", TARGETS)
@fault(15, "a body comes byte by byte, slower than `minrate`", "3; after `retries`, each broken off after 30 s")
def test_fault_015_drip(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "drip", every=EVERY)
    with within(BOUND):
        world.refused(3, f"base/{href}", "stalled", "below minrate of 1024")
    assert len(asked(world.server, href)) == 1 + RETRIES


@pytest.mark.parametrize("target", FILES)
@fault(15, "the body of a package or record comes byte by byte, once", "0; broken off after 30 s, and resumed")
def test_fault_015_drip_once(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "drip", every=EVERY, times=1)
    with within(BOUND):
        world.accepted()
    first, second = asked(world.server, href)
    assert 0 < first.sent < size_of(world, href)
    assert second.status == 206


@pytest.mark.parametrize("target", TARGETS)
@fault(15, "headers come byte by byte", "3; after `retries`, none of which lasts longer than 30 s")
def test_fault_015_drip_of_headers(world: World, target: str) -> None:
    href = href_of(world, target)
    world.configure(timeout=QUICK)
    world.server.fault(f"base/{href}", "drip-headers", every=EVERY)
    with within(BOUND):
        world.refused(3, f"base/{href}")
    assert len(asked(world.server, href)) == 1 + RETRIES


@fault(15, "the body of a 404 comes byte by byte", "0; it is not waited for")
def test_fault_015_drip_of_a_404(world: World) -> None:
    world.server.fault(f"base/{SIGNATURE}", "drip", every=3 * EVERY)
    with within(BOUND):
        world.accepted()
    assert [request.status for request in asked(world.server, SIGNATURE)] == [404]


@fault(31, "interim answers (1xx) without end", "3; after `retries`, none of which lasts longer than 30 s")
def test_fault_031_interim_answers(world: World, chatter: str) -> None:
    world.configure(baseurl=f"{chatter}base/", timeout=QUICK, retries=0)
    with within(BOUND):
        world.refused(3, f"{chatter}base/{REPOMD}")
        world.heal = world.configure


@pytest.mark.parametrize("target", FILES)
@fault(16, "the body of a package or record stops coming, once", "0; resumed after `timeout`")
def test_fault_016_stall(world: World, target: str) -> None:
    href = href_of(world, target)
    world.configure(timeout=QUICK)
    world.server.fault(f"base/{href}", "stall", at=200, times=1)
    world.accepted()
    first, second = asked(world.server, href)
    assert (first.status, second.status, second.headers["range"]) == (200, 206, "bytes=200-")
    assert first.sent + second.sent == size_of(world, href)


@fault(16, "repomd.xml stops coming, once", "0; asked again after `timeout`")
def test_fault_016_stall_of_repomd(world: World) -> None:
    world.configure(timeout=QUICK)
    world.server.fault(f"base/{REPOMD}", "stall", at=200, times=1)
    world.accepted()


@pytest.mark.parametrize("target", TARGETS)
@fault(16, "a body stops coming, each time", "3; after `retries`")
def test_fault_016_always_stalls(world: World, target: str) -> None:
    href = href_of(world, target)
    world.configure(timeout=QUICK)
    world.server.fault(f"base/{href}", "stall", at=20)
    with within(BOUND):
        world.refused(3, f"base/{href}", "timed out")
    assert len(asked(world.server, href)) == 1 + RETRIES


@pytest.mark.parametrize("target", FILES)
@fault(17, "the connection is reset within a package or record, once", "0; resumed")
def test_fault_017_reset(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "reset", at=200, times=1)
    world.accepted()
    first, second = asked(world.server, href)
    assert (first.status, second.status, second.headers["range"]) == (200, 206, "bytes=200-")
    assert first.sent + second.sent == size_of(world, href)


@pytest.mark.parametrize("target", TARGETS)
@fault(17, "the connection is reset before an answer, once", "0; tried again")
def test_fault_017_reset_before_the_answer(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "reset", times=1)
    world.accepted()
    assert [request.status for request in asked(world.server, href)][:2] == [0, 200]


@pytest.mark.parametrize("target", TARGETS)
@fault(17, "the connection is reset, each time", "3; after `retries`")
def test_fault_017_always_reset(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "reset", at=20)
    world.refused(3, f"base/{href}", "connection failed", "reset")
    assert len(asked(world.server, href)) == 1 + RETRIES


@pytest.mark.parametrize("target", TARGETS)
@fault(17, "a connection that was to stay is closed between two requests", "0; the next request opens another")
def test_fault_017_idle_connection_closed(world: World, target: str) -> None:
    world.server.fault(f"base/{href_of(world, target)}", "close-idle")
    world.accepted()


@fault(17, "every connection that was to stay is reset at its second request", "0; each goes out again on another")
def test_fault_017_idle_connection_reset(world: World) -> None:
    world.server.fault("base/*", "close-idle", late=True)
    world.accepted()
