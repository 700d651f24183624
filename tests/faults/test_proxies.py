"""Fault 32: proxies, from the environment and from the configuration, and .netrc, which is nobody's business."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faultserver import FaultServer, refused_url
from tests.integration.listing import REPOMD

from .catalogue import fault
from .hidden import HEADER, PROXY_PASSWORD, PROXY_USER, SETTINGS, basic, carried, login_in_netrc, tells_none
from .proxy import Proxy
from .wire import apart, forget_proxies
from .world import World

__all__ = ["apart"]
LOGIN = basic(PROXY_USER, PROXY_PASSWORD)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the proxies that this machine has."""
    forget_proxies(monkeypatch)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy that wants a login."""
    with Proxy(LOGIN) as running:
        yield running


def with_login(proxy: Proxy) -> str:
    """The proxy's URL."""
    return f"http://{PROXY_USER}:{PROXY_PASSWORD}@{proxy.place}"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@fault(32, "a proxy with a login in the environment", "0; every request goes there, no secret in any output or file")
def test_fault_032_environment(world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, with_login(proxy))
    world.accepted()
    asked = [request.path for request in world.server.requests]
    assert sorted(proxy.targets("GET")) == sorted(world.server.url + path for path in asked)
    assert all(request.headers["proxy-authorization"] == LOGIN for request in proxy.requests)
    assert not [request for request in world.server.requests if "proxy-authorization" in request.headers]
    tells_none(world)


@pytest.mark.parametrize("name", ["https_proxy", "ALL_PROXY"])
@fault(32, "a proxy in the environment, for https", "0; a tunnel (CONNECT), in which it sees neither URLs nor secrets")
def test_fault_032_environment_for_https(
    world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    with FaultServer(tmp_path / "upstreams", tls="good") as secure:
        monkeypatch.setenv(name, with_login(proxy))
        monkeypatch.setenv("no_proxy", f"127.0.0.1:{world.server.port}")
        world.configure(baseurl=f"{secure.url}base/", sslcacert=str(secure.authority), **SETTINGS)
        world.accepted()
        assert set(proxy.targets("CONNECT")) == {f"127.0.0.1:{secure.port}"}
        assert proxy.targets("GET") == []
        assert not [request for request in proxy.requests if HEADER in carried(request)]
        assert all(HEADER in carried(request) for request in secure.requests)
        assert not [request for request in secure.requests if "proxy-authorization" in request.headers]
        tells_none(world)


@pytest.mark.parametrize("excepted", ["127.0.0.1", "*", "localhost,127.0.0.1"])
@fault(32, "a proxy in the environment, and NO_PROXY for this host", "0; the proxy is not asked")
def test_fault_032_no_proxy(world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, excepted: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", with_login(proxy))
    monkeypatch.setenv("NO_PROXY", excepted)
    world.accepted()
    assert proxy.requests == []


@fault(32, "`proxy`, and others in the environment", "0; `proxy` alone is asked, no secret in any output or file")
def test_fault_032_configured(world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", refused_url())
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("SECRET", PROXY_PASSWORD)
    world.configure(top={"proxy": f"http://{PROXY_USER}:${{SECRET}}@{proxy.place}"})
    world.accepted()
    assert len(proxy.targets("GET")) == len(world.server.requests) > 3
    tells_none(world)


@pytest.mark.parametrize("value", ["", "_none_"])
@fault(32, "`proxy` that is empty or `_none_`, and one in the environment", "0; no proxy is asked")
def test_fault_032_none(world: World, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", with_login(proxy))
    world.configure(top={"proxy": value})
    world.accepted()
    assert proxy.requests == []


@fault(32, "a proxy that refuses the login", "3; not tried again, no secret in any output or file")
def test_fault_032_login_refused(world: World, proxy: Proxy) -> None:
    world.configure(proxy=with_login(proxy))
    proxy.login = "Basic another"
    world.refused(3, f"base/{REPOMD}", "HTTP 407", "check proxy")
    assert len(proxy.requests) == 1
    tells_none(world)
    world.heal = world.configure


@fault(32, "a proxy that refuses the tunnel for https", "3; not tried again, no secret in any output or file")
def test_fault_032_tunnel_refused(world: World, proxy: Proxy, tmp_path: Path) -> None:
    with FaultServer(tmp_path / "upstreams", tls="good") as secure:
        world.configure(
            baseurl=f"{secure.url}base/", sslcacert=str(secure.authority), proxy=with_login(proxy), **SETTINGS
        )
        proxy.login = "Basic another"
        world.refused(3, f"{secure.url}base/{REPOMD}", "407", "check proxy")
        assert len(proxy.requests) == 1
        assert secure.requests == []
        tells_none(world)
    world.heal = world.configure


@fault(32, "a proxy that is not there", "3; it is named, no secret in any output or file")
def test_fault_032_refused(world: World, proxy: Proxy) -> None:
    gone = refused_url().removeprefix("http://").removesuffix("/")
    world.configure(proxy=f"http://{PROXY_USER}:{PROXY_PASSWORD}@{gone}")
    world.refused(3, f"base/{REPOMD}", "Connection refused", gone)
    tells_none(world)
    world.heal = world.configure


@fault(32, "a login for this host in .netrc", "0; it is not sent, nor in any output or file")
def test_fault_032_netrc(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    login_in_netrc(tmp_path, monkeypatch)
    world.accepted()
    assert all(carried(request) == [] for request in world.server.requests)
    assert not [request for request in world.server.requests if "authorization" in request.headers]
    tells_none(world)
