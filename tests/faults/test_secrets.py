"""Faults 8 and 29: who is given secrets, and that nobody is told of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faultserver import FaultServer
from tests.integration.listing import REPOMD

from .catalogue import fault
from .hidden import (
    HEADER,
    NETRC_PASSWORD,
    NETRC_USER,
    PASSWORD,
    SETTINGS,
    TOKEN,
    URL_PASSWORD,
    USER,
    basic,
    carried,
    login_in_netrc,
    tells_none,
)
from .wire import TARGETS, apart, asked, forget_proxies, href_of
from .world import World

__all__ = ["apart"]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every request go straight to this machine."""
    forget_proxies(monkeypatch)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[FaultServer]:
    """The same upstreams at another port."""
    with FaultServer(tmp_path / "upstreams") as server:
        yield server


@pytest.mark.parametrize("code", [401, 403])
@pytest.mark.parametrize("target", TARGETS)
@fault(8, "401 or 403, to a user name, password and header", "3; not tried again, no secret in any output or file")
def test_fault_008_refused_login(world: World, target: str, code: int) -> None:
    href = href_of(world, target)
    world.configure(**SETTINGS)
    world.server.fault(f"base/{href}", "status", code=code)
    world.refused(3, f"base/{href}", f"HTTP {code}", "username")
    (request,) = asked(world.server, href)
    assert request.headers["authorization"] == basic(USER, PASSWORD)
    assert request.headers["x-secret"] == HEADER
    tells_none(world)


@pytest.mark.parametrize("code", [401, 403, 404, 500])
@fault(8, "a user name and password in the URL, which is refused", "3; no secret in any output or file")
def test_fault_008_login_in_the_url(world: World, code: int) -> None:
    url = world.server.url.replace("//", f"//{USER}:{URL_PASSWORD}@")
    world.configure(baseurl=f"{url}base/")
    world.server.fault(f"base/{REPOMD}", "status", code=code)
    world.refused(3, f"{world.server.url}base/{REPOMD}", f"HTTP {code}")
    assert asked(world.server, REPOMD)[0].headers["authorization"] == basic(USER, URL_PASSWORD)
    tells_none(world)


@pytest.mark.parametrize("setting", ["mirrorlist", "metalink"])
@fault(8, "a token in the query of a mirrorlist or metalink, which is refused", "3; no secret in any output or file")
def test_fault_008_token_of_a_list(world: World, setting: str) -> None:
    settings: dict[str, Any] = {setting: f"{world.server.url}base/mirrors?key={TOKEN}"}
    world.configure(**settings)
    world.server.fault("base/mirrors", "status", code=403)
    world.refused(3, f"{world.server.url}base/mirrors", "HTTP 403")
    assert [request.query for request in asked(world.server, "mirrors")] == [f"key={TOKEN}"]
    tells_none(world)
    world.heal = world.configure


@pytest.mark.parametrize("code", [401, 403])
@pytest.mark.parametrize("target", TARGETS)
@fault(8, "a token in the URL that a redirect leads to, which is refused", "3; no secret in any output or file")
def test_fault_008_token_of_a_redirect(world: World, elsewhere: FaultServer, target: str, code: int) -> None:
    href = href_of(world, target)
    place = elsewhere.url.replace("//", f"//{USER}:{URL_PASSWORD}@")
    world.server.fault(f"base/{href}", "redirect", to=f"{place}base/{href}?key={TOKEN}")
    elsewhere.fault(f"base/{href}", "status", code=code)
    world.refused(3, f"base/{href}", f"HTTP {code}")
    assert asked(elsewhere, href)[0].query == f"key={TOKEN}"
    tells_none(world)


@pytest.mark.parametrize("place", ["ftp://{}@127.0.0.1/", "http://{}@[bad/", "//{}@[bad/", "//{}@bad:port/"])
@fault(8, "a token in a redirect that cannot be followed", "3; no secret in any output or file")
def test_fault_008_token_of_a_bad_redirect(world: World, place: str) -> None:
    world.server.fault(f"base/{REPOMD}", "redirect", to=f"{place.format(f'{USER}:{URL_PASSWORD}')}x?key={TOKEN}")
    world.refused(3, f"{world.server.url}base/{REPOMD}")
    tells_none(world)


@fault(8, "a login in .netrc, for a host that answers 401", "3; .netrc is not read")
def test_fault_008_netrc(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    login_in_netrc(tmp_path, monkeypatch)
    world.server.fault(f"base/{REPOMD}", "auth", user=NETRC_USER, password=NETRC_PASSWORD)
    world.refused(3, f"base/{REPOMD}", "HTTP 401")
    assert [carried(request) for request in asked(world.server, REPOMD)] == [[]]
    tells_none(world)


@fault(8, "a login that is right", "0; no secret in any output or file")
def test_fault_008_good_login(world: World) -> None:
    world.configure(**SETTINGS)
    world.server.fault("base/*", "auth", user=USER, password=PASSWORD)
    world.accepted()
    tells_none(world)


@pytest.mark.parametrize(
    ("target", "code"),
    [("repomd.xml", 302), ("record", 302), *(("package", code) for code in (301, 302, 303, 307, 308))],
)
@fault(29, "a redirect to another host or port", "0; user name, password and headers are not sent there")
def test_fault_029_redirected_elsewhere(world: World, elsewhere: FaultServer, target: str, code: int) -> None:
    href = href_of(world, target)
    world.configure(**SETTINGS)
    world.server.fault(f"base/{href}", "redirect", to=f"{elsewhere.url}{{path}}", code=code)
    world.accepted()
    assert {HEADER} < set(carried(asked(world.server, href)[0]))
    assert len(asked(elsewhere, href)) >= 1
    assert all(carried(request) == [] for request in elsewhere.requests)
    assert all(carried(request) for request in world.server.requests if request.path.startswith("base/"))


@fault(29, "a redirect to another name of the host", "0; user name, password and headers are not sent there")
def test_fault_029_another_name(world: World) -> None:
    href = world.base.new()
    world.configure(**SETTINGS)
    world.server.fault(f"base/{href}", "redirect", to=f"http://localhost:{world.server.port}/{{path}}", times=1)
    world.accepted()
    first, second = asked(world.server, href)
    assert second.headers["host"] == f"localhost:{world.server.port}"
    assert HEADER in carried(first)
    assert carried(second) == []


@fault(29, "a redirect within the host", "0; user name, password and headers are sent again")
def test_fault_029_within_the_host(world: World) -> None:
    href = world.base.new()
    world.configure(**SETTINGS)
    world.server.fault(f"base/{href}", "redirect", to="base/{path}", times=1)
    world.server.fault(f"base/base/{href}", "redirect", to=f"base/{href}")
    world.accepted()
    assert len(asked(world.server, href)) == 2
    assert all(HEADER in carried(request) for request in asked(world.server, href))


@fault(29, "a redirect to another host, from a URL with user name and password", "0; they are not sent there")
def test_fault_029_login_in_the_url(world: World, elsewhere: FaultServer) -> None:
    url = world.server.url.replace("//", f"//{USER}:{URL_PASSWORD}@")
    world.configure(baseurl=f"{url}base/")
    world.server.fault("base/*", "redirect", to=f"{elsewhere.url}{{path}}")
    world.accepted()
    assert len(elsewhere.requests) > 3
    assert all("authorization" not in request.headers for request in elsewhere.requests)
    assert all(
        request.headers["authorization"] == basic(USER, URL_PASSWORD)
        for request in world.server.requests
        if request.path.startswith("base/")
    )
    tells_none(world)


@fault(29, "a mirror that redirects until its cookie comes back", "3; cookies are not kept, as dnf does not")
def test_fault_029_cookie(world: World) -> None:
    href = world.base.new()
    world.server.fault(f"base/{href}", "cookie", value=TOKEN)
    world.refused(3, f"base/{href}", "redirects more than")
    assert not any("cookie" in request.headers for request in world.server.requests)


@fault(29, "a mirror that the mirrorlist names, not the configuration", "0; it is given no secret")
def test_fault_029_listed_mirror(world: World, elsewhere: FaultServer) -> None:
    (world.folder / "upstreams/mirrors").write_text(f"{elsewhere.url}base/\n")
    world.configure(mirrorlist=f"{world.server.url}mirrors?key={TOKEN}", **SETTINGS)
    world.accepted()
    assert len(elsewhere.requests) > 3
    assert all(carried(request) == [] for request in elsewhere.requests)
    (request,) = [request for request in world.server.requests if request.path == "mirrors"]
    assert {HEADER, TOKEN} < set(carried(request))
    tells_none(world)
