"""Faults 1, 2 and 4 to 7: no connection, no answer, and statuses that are errors."""

import socket
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate

import pytest

from mirrorpy.upstream.network import Patience
from tests.faultserver import refused_url
from tests.integration.listing import REPOMD, faults
from tests.integration.upstream import sha256

from .catalogue import fault
from .wire import QUICK, TARGETS, apart, asked, href_of, within
from .world import RETRIES, World

__all__ = ["apart"]
CAP = 120
"""Seconds that Retry-After may ask for."""


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were to be waited between attempts; nobody waits for them."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.fixture
def patience(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Those pauses, as long as a user would wait."""
    monkeypatch.setattr("mirrorpy.upstream.network.Patience", lambda: Patience(first=1, most=10))
    return pauses


@pytest.fixture
def full_backlog() -> Iterator[str]:
    """The URL of a port that takes no more connections, and refuses none."""
    with socket.socket() as listening, socket.socket() as taken, socket.socket() as probe:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        taken.connect(listening.getsockname())
        probe.settimeout(0.1)
        with pytest.raises(TimeoutError):
            probe.connect(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


@fault(1, "nobody listens", "3; tried again, after a wait that grows")
def test_fault_001_refused(world: World, patience: list[float]) -> None:
    world.configure(baseurl=f"{refused_url()}base/")
    world.refused(3, f"{refused_url()}base/{REPOMD}", "Connection refused")
    world.heal = world.configure
    assert len(patience) == RETRIES
    assert 0.5 <= patience[0] <= 1 <= patience[1] <= 2


@fault(1, "the host has no address (DNS)", "3; tried again, after a wait that grows")
def test_fault_001_no_such_host(world: World, patience: list[float]) -> None:
    world.configure(baseurl="http://mirror.invalid/base/")
    world.refused(3, f"http://mirror.invalid/base/{REPOMD}", "cannot connect")
    world.heal = world.configure
    assert len(patience) == RETRIES
    assert 0.5 <= patience[0] <= 1 <= patience[1] <= 2


@fault(2, "a connection is neither taken nor refused", "3; after `timeout` for each attempt")
def test_fault_002_connect_hang(world: World, full_backlog: str) -> None:
    world.configure(baseurl=f"{full_backlog}base/", timeout=QUICK)
    with within(4):
        world.refused(3, f"{full_backlog}base/{REPOMD}", "timed out", "connecting")
        world.heal = world.configure


@pytest.mark.parametrize("target", TARGETS)
@fault(2, "a request is taken and never answered", "3; after `timeout` for each attempt")
def test_fault_002_no_answer(world: World, target: str) -> None:
    href = href_of(world, target)
    world.configure(timeout=QUICK)
    world.server.fault(f"base/{href}", "hang")
    with within(4):
        world.refused(3, f"base/{href}", "timed out")
    assert len(asked(world.server, href)) == 1 + RETRIES


@fault(4, "every second answer is a 500, by chance", "0")
def test_fault_004_half_of_the_answers(world: World) -> None:
    world.configure(retries=30)
    world.server.fault("base/*", "status", code=500, chance=0.5, seed=4)
    world.accepted()
    assert len([request for request in world.server.requests if request.status == 500]) > 3


@pytest.mark.parametrize("target", TARGETS)
@fault(4, "every answer for a file is a 500", "3; after `retries`")
def test_fault_004_all_answers(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "status", code=500)
    world.refused(3, f"base/{href}", "HTTP 500")
    assert len(asked(world.server, href)) == 1 + RETRIES


@pytest.mark.parametrize("target", TARGETS)
@fault(5, "a 408, once", "0; tried again")
def test_fault_005_request_timeout(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "status", code=408, times=1)
    world.accepted()
    assert [request.status for request in asked(world.server, href)][:2] == [408, 200]


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        (lambda: "7", 7, 7),
        (lambda: formatdate(time.time() + 30, usegmt=True), 28, 30),
        (lambda: "1000000000", CAP, CAP),
        (lambda: formatdate(time.time() + 10**9, usegmt=True), CAP, CAP),
        (lambda: "soon", 0.5, 1),
    ],
    ids=["seconds", "date", "30 years", "a date in 30 years", "nonsense"],
)
@fault(6, "429 or 503 with Retry-After: seconds, a date, 10⁹", "0; waits as long as it says, two minutes at most")
def test_fault_006_retry_after(
    world: World, patience: list[float], code: int, told: Callable[[], str], least: float, most: float
) -> None:
    href = world.base.new()
    world.server.fault(f"base/{href}", "status", code=code, retry_after=told(), times=1)
    world.accepted()
    (waited,) = patience
    assert least <= waited <= most
    assert [request.status for request in asked(world.server, href)] == [code, 200]


@fault(6, "429 or 503 for ever", "3; after `retries`")
def test_fault_006_for_ever(world: World, patience: list[float]) -> None:
    href = world.base.new()
    world.server.fault(f"base/{href}", "status", code=429, retry_after=10**9)
    world.refused(3, f"base/{href}", "HTTP 429")
    assert patience == [CAP] * RETRIES


@fault(7, "one package is 404", "3; the others are fetched and kept for the next run")
def test_fault_007_missing_package(world: World) -> None:
    href, other = world.base.new(), "Packages/changed.rpm"
    world.server.fault(f"base/{href}", "status", code=404)
    world.refused(3, f"base/{href}", "HTTP 404")
    digest = sha256(world.base.packages[other])
    assert any(name.endswith(digest) for name in world.pool())
    assert len(asked(world.server, href)) == 1

    world.server.clear()
    world.server.taken()
    world.accepted()
    assert asked(world.server, other) == []


@fault(7, "one package is 404, with `allow_missing`", "0; published without it, with a warning")
def test_fault_007_allow_missing(world: World) -> None:
    href = world.base.new()
    world.configure(allow_missing=True)
    world.server.fault(f"base/{href}", "status", code=404)
    run = world.sync()
    assert run.exit == 0
    world.one_line(run, "warning", f"base/{href}", "HTTP 404", "published without")
    assert faults(world.root / "base") == [f"{href}: not there"]
    assert run.repos["base"]["packages"] == len(world.base.packages) - 1
    world.nothing_temporary()

    world.server.clear()
    world.accepted()
