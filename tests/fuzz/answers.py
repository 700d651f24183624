"""How answers of upstreams are read: whole ones, down to the bytes of the wire, and what stands in their headers."""

import contextlib
import email.utils
import functools
import hashlib
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import httpcore
import httpx

from mirrorpy.config.model import Connection, Repository
from mirrorpy.errors import MirrorError
from mirrorpy.figures import LAST_DATE
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile
from mirrorpy.store.incoming import Partial
from mirrorpy.upstream import Network, Upstream, connect
from mirrorpy.upstream.clients import Clients
from mirrorpy.upstream.dates import parse_date, retry_after
from mirrorpy.upstream.network import Patience
from tests.unit.documents import sha256

DIRECT = Connection(proxy="")
REPO = Repository(id="a", path="a", baseurls=("http://me:word@up.test/r/",), retries=0, connection=DIRECT)
NONE = Patience(0.0, 0.0, 0.0)
WIRED = 100_000
"""Bytes that a pair of sockets holds while nobody reads."""
LOGIN = "Basic bWU6d29yZA=="
BODY = b"0123456789" * 10
HAVE = 40
"""Bytes of it that are here already."""


def date(data: bytes) -> None:
    """What is taken for a date can be served as one."""
    text = data.decode("latin-1")
    seconds = parse_date(text)
    assert seconds is None or email.utils.formatdate(min(seconds, LAST_DATE), usegmt=True)
    assert 0 <= retry_after(text) < 1e13


@functools.cache
def _transport() -> httpx.HTTPTransport:
    return httpx.HTTPTransport(verify=False)


def _through_httpx(data: bytes) -> httpx.HTTPTransport:
    transport = _transport()
    transport._pool = httpcore.ConnectionPool(network_backend=httpcore.MockBackend([data]))
    return transport


@contextlib.contextmanager
def by_httpx(data: bytes) -> Iterator[Network]:
    """A network on which every connection reads these bytes, whatever it sends."""
    with contextlib.closing(Network(transport=_through_httpx(data), patience=NONE)) as network:
        yield network


@contextlib.contextmanager
def by_wire(data: bytes) -> Iterator[Network]:
    """The same without httpx, but for what our own wire leaves to it."""
    with contextlib.ExitStack() as stack:

        def connected(*_: object) -> socket.socket:
            ours, theirs = socket.socketpair()
            stack.callback(theirs.close)
            theirs.sendall(data[:WIRED])
            theirs.shutdown(socket.SHUT_WR)
            return ours

        stack.enter_context(mock.patch.object(connect, "_connected", connected))
        network = stack.enter_context(contextlib.closing(Network(patience=NONE)))
        session = network.session(REPO.connection)
        session._clients = Clients(REPO.connection, session._contexts, _through_httpx(data))
        yield network


By = Callable[[bytes], contextlib.AbstractContextManager[Network]]


def read_document(by: By, data: bytes) -> bytes | None:
    """Read a small file, with conditions, and then with what its answer brought; ask after another."""
    base, href = REPO.baseurls[0], "repodata/repomd.xml"
    with by(data) as network:
        upstream = Upstream(REPO, network)
        found = upstream.read(base, href, cap=1000, etag='"x"')
        assert found.data is None or len(found.data) <= 1000
        assert "word" not in found.url
        with contextlib.suppress(MirrorError), sendable():
            upstream.read(base, href, cap=1000, etag=found.etag, last_modified=found.last_modified)
    with by(data) as network, contextlib.suppress(MirrorError):
        size = Upstream(REPO, network).probe("a.rpm").size
        assert size is None or size >= 0
    return found.data


def document(data: bytes) -> None:
    """By our own wire; what httpx takes too, it takes for the same."""
    found = read_document(by_wire, data)
    with contextlib.suppress(MirrorError), by_httpx(data[:WIRED]) as network:
        assert Upstream(REPO, network).read(REPO.baseurls[0], "x", cap=1000, etag='"x"').data == found


def document_by_httpx(data: bytes) -> None:
    read_document(by_httpx, data)


@contextlib.contextmanager
def sendable() -> Iterator[None]:
    """No answer makes the next request one that cannot be made."""
    try:
        yield
    except MirrorError as error:
        if "cannot be requested" in error.cause:
            raise AssertionError(error.cause) from error
        raise


def fetch(by: By, data: bytes) -> None:
    """Bring a file whose beginning is here already, in two attempts; what is taken for whole is whole."""
    # A redirect may lead to what is no URL.
    checked = contextlib.nullcontext() if b"ocation" in data else sendable()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, by(data) as network, checked:
        file = RemoteFile("a b.rpm", sha256(BODY), len(BODY), Kind.PACKAGE)
        Path(folder, f"sha256-{file.checksum.value}").write_bytes(BODY[:HAVE])
        partial = Partial(folder, file)
        try:
            Upstream(replace(REPO, retries=1), network).fetch(partial, lambda _: None)
            assert Path(partial.path).read_bytes() == BODY
        finally:
            partial.close()


def download(data: bytes) -> None:
    fetch(by_wire, data)


def download_by_httpx(data: bytes) -> None:
    fetch(by_httpx, data)


def location_base(data: bytes) -> None:
    """An xml:base, as upstream writes it; what may be asked is asked."""
    text = data.decode("utf-8", "surrogateescape").split("\n")[0]
    with by_wire(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx") as network:
        file = RemoteFile("a.rpm", Checksum("sha256", hashlib.sha256(b"x").hexdigest()), 1, Kind.PACKAGE, text)
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            partial = Partial(folder, file)
            try:
                Upstream(REPO, network).fetch(partial, lambda _: None)
            finally:
                partial.close()


def redirect(data: bytes) -> None:
    """A place that upstream sends to, again and again; secrets do not leave its host."""
    location = data.split(b"\n")[0]
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(302, headers=[(b"Location", location)])

    try:
        with contextlib.closing(Network(transport=httpx.MockTransport(answer))) as network:
            Upstream(REPO, network).read(REPO.baseurls[0], "x")
    except MirrorError:
        assert {request.url.netloc for request in asked if request.headers.get("Authorization") == LOGIN} <= {
            b"up.test"
        }
        raise
