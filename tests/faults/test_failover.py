"""Faults 33 and 34: several mirrors, of which some are down, lack files, lie or lag behind."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faultserver import FaultServer, refused_url
from tests.integration.listing import REPOMD

from .catalogue import fault
from .wire import FILES, QUICK, TARGETS, apart, asked, href_of
from .world import RETRIES, World

__all__ = ["apart"]
Mirror = Callable[[], FaultServer]


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    """Start one more server of the same upstreams."""
    with ExitStack() as started:
        yield lambda: started.enter_context(FaultServer(tmp_path / "upstreams"))


def use(world: World, *mirrors: FaultServer | str, **settings: Any) -> None:
    """Configure the mirrors of `base`, in this order."""
    urls = [mirror if isinstance(mirror, str) else mirror.url for mirror in mirrors]
    world.configure(baseurl=[f"{url}base/" for url in urls], **settings)


def only(world: World) -> None:
    """Let one good mirror be all that there is."""
    world.server.clear()
    world.configure()


REFUSED: dict[str, tuple[str, dict[str, int]]] = {
    "404": ("status", {"code": 404}),
    "403": ("status", {"code": 403}),
    "page": ("page", {}),
    "empty": ("empty", {}),
    "loop": ("redirect-loop", {}),
}
"""What a mirror does with one file that says nothing about its others."""
TROUBLE: dict[str, tuple[str, dict[str, int]]] = {
    "500": ("status", {"code": 500}),
    "reset": ("reset", {}),
    "stall": ("stall", {"at": 20}),
}
"""What makes a mirror the last one to be asked for the rest of the run."""


@pytest.mark.parametrize("name", [*REFUSED, *TROUBLE])
@pytest.mark.parametrize("target", TARGETS)
@fault(
    33,
    "the first mirror lacks one file, breaks off within it, or has a page instead",
    "0; that file comes from the next mirror",
)
def test_fault_033_one_file(world: World, mirror: Mirror, target: str, name: str) -> None:
    href = href_of(world, target)
    second = mirror()
    use(world, world.server, second, timeout=QUICK)
    kind, parameters = (REFUSED | TROUBLE)[name]
    world.server.fault(f"base/{href}", kind, **parameters)
    world.accepted()
    assert len(asked(second, href)) >= 1
    if target in FILES and name in REFUSED:
        assert {request.path for request in second.requests} == {f"base/{href}"}


@pytest.mark.parametrize("target", FILES)
@fault(33, "the first mirror gives other bytes of the right size", "0; that file comes from the next mirror")
def test_fault_033_wrong_bytes(world: World, mirror: Mirror, target: str) -> None:
    href = href_of(world, target)
    second = mirror()
    use(world, world.server, second)
    world.server.fault(f"base/{href}", "wrong", at=-1)
    world.accepted()
    assert len(asked(world.server, href)) == len(asked(second, href)) == 1


@fault(33, "the first mirror is down", "0; all comes from the next one")
def test_fault_033_first_down(world: World) -> None:
    use(world, refused_url(), world.server)
    assert world.accepted().repos["base"]["upstream"] == f"{world.server.url}base/"


@fault(33, "of three mirrors one is down, one gives wrong bytes", "0; all comes from the third")
def test_fault_033_third(world: World, mirror: Mirror) -> None:
    wrong, good = mirror(), mirror()
    use(world, refused_url(), wrong, good)
    wrong.fault("base/*", "wrong", at=-1)
    assert world.accepted().repos["base"]["upstream"] == f"{good.url}base/"


@fault(33, "a mirror breaks off within a file", "0; the next mirror gives the rest of it")
def test_fault_033_resumed_elsewhere(world: World, mirror: Mirror) -> None:
    href, second = world.base.new(), mirror()
    use(world, world.server, second)
    world.server.fault(f"base/{href}", "short", at=200)
    world.accepted()
    (request,) = asked(second, href)
    assert (request.status, request.headers["range"]) == (206, "bytes=200-")
    assert "if-range" not in request.headers


@pytest.mark.parametrize("target", TARGETS)
@fault(33, "every mirror fails: down, 404, 500", "3; each is named with what it did")
def test_fault_033_none_answers(world: World, mirror: Mirror, target: str) -> None:
    href = href_of(world, target)
    second, third = mirror(), mirror()
    use(world, world.server, second, third)
    world.server.fault(f"base/{href}", "status", code=404)
    second.fault(f"base/{href}", "status", code=500)
    third.fault(f"base/{href}", "reset")
    world.refused(
        3,
        "every mirror failed",
        f"{world.server.url}base/{href}: HTTP 404",
        f"{second.url}base/{href}: HTTP 500",
        f"{third.url}base/{href}: connection failed",
    )
    world.heal = lambda: only(world)
    assert [len(asked(server, href)) for server in (second, third)] == [1 + RETRIES] * 2


@pytest.mark.parametrize("target", FILES)
@fault(33, "every mirror fails, and one gave wrong bytes", "4; each is named with what it did")
def test_fault_033_one_lies(world: World, mirror: Mirror, target: str) -> None:
    href, second = href_of(world, target), mirror()
    use(world, world.server, second)
    world.server.fault(f"base/{href}", "status", code=404)
    second.fault(f"base/{href}", "wrong", at=-1)
    world.refused(
        4,
        "every mirror failed",
        f"{world.server.url}base/{href}: HTTP 404",
        f"{second.url}base/{href}: has the checksum",
    )
    world.heal = lambda: only(world)


@fault(33, "every mirror fails, and one gave a page instead of repomd.xml", "4; each is named with what it did")
def test_fault_033_one_gives_a_page(world: World, mirror: Mirror) -> None:
    second = mirror()
    use(world, world.server, second)
    world.server.fault(f"base/{REPOMD}", "status", code=404)
    second.fault(f"base/{REPOMD}", "page")
    world.refused(4, "every mirror failed", f"{world.server.url}base/{REPOMD}: HTTP 404", f"{second.url}base/{REPOMD}")
    world.heal = lambda: only(world)


@pytest.fixture
def lagging(fresh: World, mirror: Mirror) -> FaultServer:
    """A mirror that stayed behind: it has the first state, and the second one is mirrored here already."""
    fresh.turn()
    old = fresh.folder / "old"
    shutil.copytree(fresh.folder / "upstreams", old)
    fresh.turn()
    assert fresh.run("sync", "--quiet").exit == 0
    server = mirror()
    server.folder = old
    return server


@fault(34, "the first mirror lags behind what is published", "0; the next one is followed")
def test_fault_034_lagging_mirror(fresh: World, lagging: FaultServer) -> None:
    fresh.turn()
    use(fresh, lagging, fresh.server)
    assert fresh.accepted().repos["base"]["upstream"] == f"{fresh.server.url}base/"
    assert {request.path for request in lagging.requests} == {f"base/{REPOMD}"}


@fault(34, "the first mirror lags, the next has what is published", "0; unchanged, without a warning")
def test_fault_034_nothing_newer(fresh: World, lagging: FaultServer) -> None:
    use(fresh, lagging, fresh.server)
    fresh.accepted(outcome="unchanged")
    fresh.is_mirrored("base")


@fault(34, "all mirrors lag behind what is published", "0; unchanged, with a warning that names them")
def test_fault_034_all_lag(fresh: World, lagging: FaultServer, mirror: Mirror) -> None:
    second = mirror()
    second.folder = lagging.folder
    use(fresh, lagging, second)
    before = fresh.served("base")
    fresh.accepted("warning", "older than what is published", lagging.url, second.url, outcome="unchanged")
    assert fresh.served("base") == before
    fresh.is_mirrored("base")
