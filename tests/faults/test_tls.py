"""Faults 2, 3 and 27: TLS that hangs, certificates that are not good, and the way from https to http."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faultserver import FaultServer
from tests.integration.listing import REPOMD

from .catalogue import fault
from .wire import QUICK, TARGETS, apart, asked, forget_proxies, href_of, within
from .world import World

__all__ = ["apart"]
Secure = Callable[[str], FaultServer]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let https go straight to this machine."""
    forget_proxies(monkeypatch)


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Secure]:
    """Serve the same upstreams over https, with a certificate of some kind."""
    with ExitStack() as started:
        yield lambda kind: started.enter_context(FaultServer(tmp_path / "upstreams", tls=kind))


@pytest.fixture
def mute() -> Iterator[str]:
    """The https URL of a port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"https://127.0.0.1:{listening.getsockname()[1]}/"


@fault(2, "a TLS handshake is never answered", "3; after `timeout` for each attempt")
def test_fault_002_tls_hang(world: World, mute: str) -> None:
    world.configure(baseurl=f"{mute}base/", timeout=QUICK)
    with within(4):
        world.refused(3, f"{mute}base/{REPOMD}", "timed out")
        world.heal = world.configure


@fault(3, "a good certificate, by an authority of `sslcacert`", "0")
def test_fault_003_good_certificate(world: World, secure: Secure) -> None:
    server = secure("good")
    world.configure(baseurl=f"{server.url}base/", sslcacert=str(server.authority))
    world.accepted()
    assert len(asked(server, REPOMD)) >= 1


@pytest.mark.parametrize(
    ("kind", "words"), [("expired", "expired"), ("wrong-host", "127.0.0.1"), ("self-signed", "self-signed")]
)
@fault(3, "a certificate that has expired, is another host's, or self-signed", "3; one attempt, and none over http")
def test_fault_003_bad_certificate(world: World, secure: Secure, kind: str, words: str) -> None:
    server = secure(kind)
    world.configure(baseurl=f"{server.url}base/", sslcacert=str(server.authority))
    refused_at_once(world, server, words)


@fault(3, "a certificate by an authority that is not trusted", "3; one attempt, and none over http")
def test_fault_003_unknown_authority(world: World, secure: Secure) -> None:
    server = secure("good")
    world.configure(baseurl=f"{server.url}base/")
    refused_at_once(world, server, "certificate")


def refused_at_once(world: World, server: FaultServer, words: str) -> None:
    """Prove that a server was asked once, in vain."""
    url = f"{server.url}base/{REPOMD}"
    world.refused(3, url, "certificate verify failed", words)
    report = world.sync().repos["base"]
    assert (report["requests"], report["retries"]) == (1, 0)
    assert report["error"]["url"] == url
    assert server.requests == []
    world.heal = world.configure


@pytest.mark.parametrize("target", TARGETS)
@fault(27, "https redirects to plain http", "3; not followed, not tried again")
def test_fault_027_downgrade(world: World, secure: Secure, target: str) -> None:
    href = href_of(world, target)
    server = secure("good")
    server.fault(f"base/{href}", "redirect", to=f"{world.server.url}{{path}}")
    world.configure(baseurl=f"{server.url}base/", sslcacert=str(server.authority))
    world.refused(3, f"{server.url}base/{href}", "https", "plain http")
    world.heal = world.configure
    assert asked(world.server, href) == []
    assert len(asked(server, href)) == 1
