"""The fault server: honest where it is told nothing, and each fault on the wire as its name says."""

import contextlib
import gzip
import http.client
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from tests.faultserver import REGISTRY, FaultError, FaultServer, Request, refused_url
from tests.faultserver.__main__ import main, parse_fault, parser
from tests.test_docs import FENCE, plain

from .programs import TOP, real_program
from .webserver import Serve

BODY = bytes(range(256)) * 40
SIZE = len(BODY)
LARGE = os.urandom(3_000_000)
MODIFIED = 1_700_000_000
RPM = "base/Packages/a.rpm"
Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small tree to serve."""
    place = tmp_path / "served"
    for path, content in {
        RPM: BODY,
        "base/Packages/b.rpm": b"b",
        "base/Packages/large.rpm": LARGE,
        "base/repodata/repomd.xml": b"<repomd/>\n",
        "base/repodata/primary.xml.gz": gzip.compress(b"<metadata/>\n", mtime=0),
        "odd/a%25b c+d?e#f~ü.rpm": b"odd",
        "empty": b"",
    }.items():
        put(place / path, content)
    return place


@pytest.fixture
def server(folder: Path) -> Iterator[FaultServer]:
    """A server of it."""
    with FaultServer(folder) as running:
        yield running


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (MODIFIED, MODIFIED))


def connect(server: FaultServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 10)


def message(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} /{path} HTTP/{version}", "Host: here", *headers, "", ""]).encode()


def until_end(link: socket.socket) -> bytes:
    """Everything that comes until the other side closes in order."""
    return b"".join(iter(lambda: link.recv(65536), b""))


def until_reset(link: socket.socket) -> bytes:
    """Everything that comes until the other side breaks the connection."""
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := link.recv(1000):
            pieces.append(piece)
        pytest.fail("it was closed in order")
    return b"".join(pieces)


def raw(server: FaultServer, path: str, *headers: str, method: str = "GET", close: bool = True) -> bytes:
    """The bytes of one answer on a connection of its own."""
    with connect(server) as link:
        link.sendall(message(path, *headers, *["Connection: close"] * close, method=method))
        return until_end(link)


def parse(data: bytes) -> Reply:
    head, empty, body = data.partition(b"\r\n\r\n")
    assert empty, data
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1"
    pairs = [line.split(": ", 1) for line in lines]
    return int(status), {name.lower(): value for name, value in pairs}, body


def ask(server: FaultServer, path: str, *headers: str, method: str = "GET", close: bool = True) -> Reply:
    """Status, headers and whatever came as body."""
    return parse(raw(server, path, *headers, method=method, close=close))


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


# Honest


def test_a_file(server):
    status, headers, body = ask(server, RPM)
    assert (status, body) == (200, BODY)
    assert headers["content-length"] == str(SIZE)
    assert headers["last-modified"] == formatdate(MODIFIED, usegmt=True)
    assert headers["accept-ranges"] == "bytes"
    assert headers["connection"] == "close"
    assert {"date", "etag", "content-type"} <= headers.keys()


def test_a_large_file_and_a_part_of_it(server):
    assert ask(server, "base/Packages/large.rpm")[2] == LARGE
    status, headers, body = ask(server, "base/Packages/large.rpm", "Range: bytes=2000000-2999998")
    assert (status, body) == (206, LARGE[2_000_000:2_999_999])
    assert headers["content-range"] == "bytes 2000000-2999998/3000000"


def test_head_has_the_headers_of_get(server):
    (status, headers, body), got = ask(server, RPM, method="HEAD"), ask(server, RPM)
    headers.pop("date")
    got[1].pop("date")
    assert (status, headers, body) == (200, got[1], b"")


@pytest.mark.parametrize(
    ("asked", "status", "told", "body"),
    [
        ("bytes=0-0", 206, f"bytes 0-0/{SIZE}", BODY[:1]),
        ("bytes=100-", 206, f"bytes 100-{SIZE - 1}/{SIZE}", BODY[100:]),
        ("bytes=100-199", 206, f"bytes 100-199/{SIZE}", BODY[100:200]),
        ("bytes=100-999999", 206, f"bytes 100-{SIZE - 1}/{SIZE}", BODY[100:]),
        ("bytes=-5", 206, f"bytes {SIZE - 5}-{SIZE - 1}/{SIZE}", BODY[-5:]),
        ("bytes=-999999", 206, f"bytes 0-{SIZE - 1}/{SIZE}", BODY),
        (f"bytes={SIZE}-", 416, f"bytes */{SIZE}", None),
        ("bytes=-0", 416, f"bytes */{SIZE}", None),
        ("bytes=5-2", 200, None, BODY),
        ("bytes=0-1,5-6", 200, None, BODY),
        ("lines=1-2", 200, None, BODY),
        ("bytes=-", 200, None, BODY),
    ],
)
def test_ranges(server, asked, status, told, body):
    got, headers, content = ask(server, RPM, f"Range: {asked}")
    assert (got, headers.get("content-range")) == (status, told)
    assert body is None or content == body


def test_if_range_lets_only_the_same_version_go_on(server):
    _, headers, _ = ask(server, RPM)
    same = [headers["etag"], headers["last-modified"]]
    other = ['"other"', f"W/{headers['etag']}", formatdate(MODIFIED - 1, usegmt=True), "nonsense"]
    found = [ask(server, RPM, "Range: bytes=5-", f"If-Range: {told}")[0] for told in same + other]
    assert found == [206, 206, 200, 200, 200, 200]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("If-None-Match: {etag}", 304),
        ('If-None-Match: "other", W/{etag}', 304),
        ("If-None-Match: *", 304),
        ('If-None-Match: "other"', 200),
        ("If-Modified-Since: {date}", 304),
        ("If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT", 200),
        ("If-Modified-Since: nonsense", 200),
        ('If-None-Match: "other"\r\nIf-Modified-Since: {date}', 200),
    ],
)
def test_conditions(server, headers, status):
    _, told, _ = ask(server, RPM)
    asked = headers.format(etag=told["etag"], date=told["last-modified"])
    got, again, body = ask(server, RPM, asked)
    assert (got, body) == (status, b"" if status == 304 else BODY)
    assert again["etag"] == told["etag"]
    assert ("content-length" in again) == (status == 200)


def test_a_path_is_decoded_once(server):
    assert ask(server, "odd/a%2525b%20c+d%3Fe%23f~%C3%BC.rpm?query")[2] == b"odd"
    assert server.requests[0].path == "odd/a%25b c+d?e#f~ü.rpm"
    assert server.requests[0].query == "query"
    assert ask(server, "odd/a%25b%20c+d%3Fe%23f~%C3%BC.rpm")[0] == 404


@pytest.mark.parametrize(
    "path", ["missing", f"{RPM}/", f"{RPM}/x", "../served/empty", "base/%2e%2e/empty", "a%00b", "x" * 300, "%ff"]
)
def test_nothing_is_there(server, path):
    assert ask(server, path)[0] == 404


def test_no_way_out_and_no_waiting_for_a_fifo(server, folder):
    (folder.parent / "private").write_bytes(b"private")
    os.mkfifo(folder / "fifo")
    assert ask(server, "../private")[0] == ask(server, "%2e%2e/private")[0] == ask(server, "fifo")[0] == 404


def test_other_methods_and_no_http_at_all(server):
    assert ask(server, RPM, "Content-Length: 0", method="PUT")[0] == 405
    with connect(server) as link:
        link.sendall(b"\x16\x03\x01\r\n\r\n")
        assert parse(until_end(link))[0] == 400


def test_as_nginx_answers(server, folder, nginx: Serve):
    real = nginx(folder, server="autoindex on;")
    asked = [
        ("", {}),
        ("base", {}),
        ("base/", {}),
        ("odd/", {}),
        ("empty", {}),
        ("missing", {}),
        (RPM, {}),
        *((RPM, {"Range": value}) for value in ("bytes=1-2", "bytes=-2", f"bytes={SIZE}-", "bytes=9-")),
        (RPM, {"If-Modified-Since": formatdate(MODIFIED, usegmt=True)}),
        (RPM, {"Range": "bytes=1-2", "If-Range": formatdate(MODIFIED, usegmt=True)}),
        (RPM, {"Range": "bytes=1-2", "If-Range": '"other"'}),
        (RPM, {"If-None-Match": '"other"', "If-Modified-Since": formatdate(MODIFIED, usegmt=True)}),
    ]
    with httpx.Client(trust_env=False) as client:
        for path, headers in asked:
            ours, its = (client.get(f"{url}{path}", headers=headers) for url in (server.url, real.url))
            context = (path, headers)
            assert ours.status_code == its.status_code, context
            assert ours.headers.get("content-range") == its.headers.get("content-range"), context
            if ours.status_code in (200, 206):
                assert ours.content.replace(b"\r\n", b"\n") == its.content.replace(b"\r\n", b"\n"), context
            if ours.status_code == 301:
                assert ours.headers["location"] == httpx.URL(its.headers["location"]).path, context


# Connections


def test_a_connection_stays_for_many_requests(server):
    with connect(server) as link:
        for _ in range(3):
            link.sendall(message(RPM, method="HEAD"))
            assert link.recv(65536).startswith(b"HTTP/1.1 200")
        # Two at once, then the last.
        link.sendall(message("empty") * 2 + message("base/repodata/repomd.xml", "Connection: close"))
        got = until_end(link)
    assert got.count(b"HTTP/1.1 200") == 3
    assert got.endswith(b"<repomd/>\n")
    assert [request.sent for request in server.requests] == [0, 0, 0, 0, 0, 10]


def test_http_1_0(server):
    with connect(server) as link:
        link.sendall(message("empty", version="1.0"))
        assert parse(until_end(link))[1]["connection"] == "close"
    with connect(server) as link:
        link.sendall(message("empty", "Connection: keep-alive", version="1.0") + message("empty", version="1.0"))
        assert until_end(link).count(b"HTTP/1.1 200") == 2


def test_thousands_of_small_files_are_quick(server):
    link = http.client.HTTPConnection("127.0.0.1", server.port)
    began = time.monotonic()
    for _ in range(1000):
        link.request("GET", "/base/Packages/b.rpm")
        assert link.getresponse().read() == b"b"
    link.close()
    assert time.monotonic() - began < 5  # delayed acknowledgements alone would be 40 s


def test_requests_are_recorded(server):
    ask(server, RPM, "X-Odd: Value", "Range: bytes=5-", method="GET")
    ask(server, "missing", method="HEAD")
    first, second = server.requests
    assert isinstance(first, Request)
    assert (first.method, first.path, first.status, first.sent) == ("GET", RPM, 206, SIZE - 5)
    assert (first.headers["x-odd"], first.headers["range"]) == ("Value", "bytes=5-")
    assert (second.method, second.path, second.status, second.sent) == ("HEAD", "missing", 404, 0)
    assert server.taken() == [RPM, "missing"]
    assert server.taken() == []
    assert server.requests == []


def test_the_folder_can_be_replaced(server, folder):
    put(folder.parent / "next/empty", b"not any more")
    server.folder = folder.parent / "next"
    assert ask(server, "empty")[2] == b"not any more"


def test_refused():
    url = httpx.URL(refused_url())
    assert str(url) == FaultServer.refused_url()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((url.host, url.port))


@pytest.mark.parametrize("tls", [None, "good"])
def test_closing_ends_whatever_waits(folder, tls):
    before = threading.active_count()
    with FaultServer(folder, tls) as server:
        stalling = {
            "hang": {},
            "stall": {"at": 10},
            "delay": {"seconds": 60},
            "drip": {"every": 60},
            "drip-headers": {"every": 60},
            "slow": {"rate": 1},
            "endless": {},
        }
        for name, parameters in stalling.items():
            server.fault(f"base/{name}", name, **parameters)
        links = []
        for path in [*(f"base/{name}" for name in stalling), ""]:
            link = connect(server)
            if tls:
                link = ssl._create_unverified_context().wrap_socket(link)
            link.sendall(message(path))
            links.append(link)
        links.append(connect(server))
        wait_for(lambda: len(server.requests) == len(stalling) + 1)
        began = time.monotonic()
    assert time.monotonic() - began < 0.8  # it is some milliseconds; lingering would be a second
    assert threading.active_count() == before
    for link in links:
        link.close()
    with pytest.raises(ConnectionRefusedError):
        connect(server)


def test_a_client_that_goes_ends_its_thread(server):
    server.fault("*", "hang")
    before = threading.active_count()
    with connect(server) as link:
        link.sendall(message(RPM))
        wait_for(lambda: server.requests)
    wait_for(lambda: threading.active_count() == before)


# Rules


def statuses(server: FaultServer, path: str, count: int) -> list[int]:
    return [ask(server, path)[0] for _ in range(count)]


def test_times_and_the_first_rule_first(server):
    server.fault(RPM, "status", code=500, times=2)
    server.fault("base/*.rpm", "status", code=503, times=1)
    assert statuses(server, RPM, 4) == [500, 500, 503, 200]


def test_after_counts_every_match(server):
    server.fault(RPM, "status", code=500, times=1)
    server.fault(RPM, "status", code=503, after=2, times=1)
    assert statuses(server, RPM, 4) == [500, 200, 503, 200]


def test_a_glob_has_case_and_crosses_slashes(server):
    server.fault("*/A.rpm", "status")
    assert ask(server, RPM)[0] == 200
    server.fault("/base/*/?.rpm", "status")
    assert ask(server, RPM)[0] == 500
    assert ask(server, "base/Packages/large.rpm", method="HEAD")[0] == 200


def test_a_path_with_brackets_is_itself(server, folder):
    put(folder / "a[1].rpm", b"")
    server.fault("a[1].rpm", "status")
    assert ask(server, "a[1].rpm")[0] == 500


def test_chance_is_the_same_for_the_same_seed(server):
    found = []
    for seed in (1, 1, 2):
        server.clear()
        server.fault(RPM, "status", chance=0.5, seed=seed)
        found.append(statuses(server, RPM, 30))
    assert found[0] == found[1] != found[2]
    assert all(5 < one.count(500) < 25 for one in found)


def test_requests_that_cannot_meet_a_fault_are_not_counted(server):
    server.fault(RPM, "ignore-range", times=1)
    server.fault(RPM, "short", times=1)
    assert ask(server, RPM, method="HEAD")[0] == 200
    assert len(ask(server, RPM)[2]) == SIZE // 2
    assert ask(server, RPM, "Range: bytes=5-")[0] == 200
    assert ask(server, RPM, "Range: bytes=5-")[0] == 206
    assert [request.fault for request in server.requests] == ["", "short", "ignore-range", ""]


def test_a_sequence_is_one_step_a_request(server):
    server.sequence("base/*.rpm", ("status", {"code": 500}), ("cut", {"at": 100}), "honest", "empty")
    bodies = [len(ask(server, RPM)[2]) for _ in range(5)]
    assert bodies[1:] == [100, SIZE, 0, SIZE]
    assert [request.status for request in server.requests] == [500, 200, 200, 200, 200]


def test_clear_makes_honest(server):
    server.fault("*", "status")
    server.sequence("*", "status")
    server.when("*", lambda: pytest.fail("called"))
    server.clear()
    assert statuses(server, RPM, 2) == [200, 200]


def test_what_is_no_fault_is_refused_when_it_is_added(server):
    for wrong in (
        lambda: server.fault("*", "stal"),
        lambda: server.fault("*", "stall", att=3),
        lambda: server.fault("*", "delay"),
        lambda: server.fault("*", "wrong-range", kind="none"),
        lambda: server.sequence("*", "stal"),
        lambda: server.sequence("*", ("honest", {"at": 1})),
    ):
        with pytest.raises(FaultError):
            wrong()


def test_when_acts_between_the_nth_answer_and_what_follows(server, folder):
    put(folder.parent / "next/empty", b"next")
    entered, go_on = threading.Event(), threading.Event()

    def publish() -> None:
        entered.set()
        assert go_on.wait(10)
        server.folder = folder.parent / "next"

    server.when("base/Packages/*.rpm", publish, nth=2)
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for _ in range(2):
        link.request("GET", f"/{RPM}")
        assert link.getresponse().read() == BODY
    assert entered.wait(10)
    later = connect(server)
    later.sendall(message("empty", "Connection: close"))
    wait_for(lambda: len(server.requests) == 3)
    go_on.set()
    assert parse(until_end(later))[2] == b"next"
    assert ask(server, RPM)[0] == 404
    later.close()
    link.close()


@pytest.mark.parametrize("name", ["status", "reset", "short"])
def test_when_acts_between_a_fault_and_what_follows(server, folder, name):
    put(folder.parent / "next/empty", b"next")

    def publish() -> None:
        time.sleep(0.05)  # the client is quicker
        server.folder = folder.parent / "next"

    server.fault(RPM, name)
    server.when(RPM, publish)
    with contextlib.suppress(ConnectionResetError):
        raw(server, RPM)
    assert ask(server, "empty")[2] == b"next"


def test_when_acts_after_a_stall_and_stops_nobody_before(server, folder):
    done = threading.Event()
    server.fault(RPM, "hang")
    server.when(RPM, done.set)
    with connect(server) as link:
        link.sendall(message(RPM))
        wait_for(lambda: server.requests)
        assert ask(server, "empty")[0] == 200
        assert not done.is_set()
    assert done.wait(10)


def test_an_error_of_an_action_is_not_lost(folder):
    server = FaultServer(folder)
    server.when(RPM, lambda: 1 // 0)
    assert ask(server, RPM)[2] == BODY
    with pytest.raises(ZeroDivisionError):
        server.close()


# Faults of status and headers


def test_every_fault_is_met_here():
    tested = Path(__file__).read_text(encoding="utf-8").partition("# Faults of status and headers\n")[2]
    assert [name for name in REGISTRY if f'"{name}"' not in tested] == []
    assert all(fault.summary.endswith(".") for fault in REGISTRY.values())


def test_status(server):
    server.fault(RPM, "status", code=503, retry_after="2", body="Busy", headers={"X-Odd": "1"}, times=1)
    status, headers, body = ask(server, RPM)
    assert (status, headers["retry-after"], headers["x-odd"], body) == (503, "2", "1", b"Busy")


def test_redirect(server):
    for to in ("base/Packages/b c.rpm", "/base", "http://other.test/x?y=%20", "file:///etc/passwd", "//other/x", None):
        server.fault(RPM, "redirect", to=to, times=1)
    server.fault(RPM, "redirect", to="http://other.test/{path}", code=307)
    got = [ask(server, RPM) for _ in range(7)]
    assert [headers.get("location") for _, headers, _ in got] == [
        "/base/Packages/b%20c.rpm",
        "/base",
        "http://other.test/x?y=%20",
        "file:///etc/passwd",
        "//other/x",
        None,
        f"http://other.test/{RPM}",
    ]
    assert [status for status, _, _ in got] == [302] * 6 + [307]


def test_redirect_loop(server):
    server.fault(RPM, "redirect-loop")
    with (
        pytest.raises(httpx.TooManyRedirects),
        httpx.Client(trust_env=False, follow_redirects=True, max_redirects=5) as client,
    ):
        client.get(server.url + RPM)
    assert server.taken() == [RPM] * 6


def test_no_content_and_empty(server):
    server.fault(RPM, "no-content", times=1)
    server.fault(RPM, "empty")
    status, headers, body = ask(server, RPM)
    assert (status, headers.get("content-length"), body) == (204, None, b"")
    status, headers, body = ask(server, RPM)
    assert (status, headers["content-length"], body) == (200, "0", b"")


def test_no_head(server):
    server.fault(RPM, "no-head")
    assert ask(server, RPM, method="HEAD")[0] == 405
    assert ask(server, RPM)[2] == BODY


def test_auth(server):
    server.fault(RPM, "auth", user="me", password="open sesame")
    with httpx.Client(trust_env=False) as client:
        assert client.get(server.url + RPM).headers["www-authenticate"].startswith("Basic")
        assert client.get(server.url + RPM, auth=("me", "wrong")).status_code == 401
        assert client.get(server.url + RPM, auth=("me", "open sesame")).content == BODY


def test_cookie(server):
    server.fault(RPM, "cookie", name="session", value="7")
    with httpx.Client(trust_env=False, follow_redirects=True) as client:
        assert client.get(server.url + RPM).content == BODY
    assert [request.status for request in server.requests] == [302, 200]


def test_no_validators(server):
    etag = ask(server, RPM)[1]["etag"]
    server.fault(RPM, "no-validators")
    status, headers, body = ask(server, RPM, f"If-None-Match: {etag}")
    assert (status, body) == (200, BODY)
    assert not {"etag", "last-modified"} & headers.keys()
    assert ask(server, RPM, "Range: bytes=5-")[0] == 206
    assert ask(server, RPM, "Range: bytes=5-", f"If-Range: {etag}")[0] == 200


def test_encoding(server):
    server.fault(RPM, "encoding", kind="x-gzip")
    _, headers, body = ask(server, RPM)
    assert (headers["content-encoding"], body) == ("x-gzip", BODY)


def test_huge_header_and_many_headers(server):
    server.fault(RPM, "huge-header", size=300_000, times=1)
    server.fault(RPM, "many-headers", count=5000)
    assert len(ask(server, RPM)[1]["x-huge"]) == 300_000
    assert len(ask(server, RPM)[1]) > 5000


def test_garbage_status(server):
    server.fault(RPM, "garbage-status")
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.url + RPM, trust_env=False)


# Faults of bodies


@pytest.mark.parametrize("at", [0, 1, 100])
def test_short(server, at):
    server.fault(RPM, "short", at=at)
    _, headers, body = ask(server, RPM, close=False)
    assert (headers["content-length"], body) == (str(SIZE), BODY[:at])
    assert server.requests[0].sent == at


def test_short_of_a_range(server):
    server.fault(RPM, "short", at=10)
    status, headers, body = ask(server, RPM, "Range: bytes=100-")
    assert (status, headers["content-length"], body) == (206, str(SIZE - 100), BODY[100:110])


@pytest.mark.parametrize("at", [0, 100])
def test_cut(server, at):
    server.fault(RPM, "cut", at=at)
    status, headers, body = ask(server, RPM, close=False)
    assert (status, headers.get("content-length"), body) == (200, None, BODY[:at])


@pytest.mark.parametrize("path", [RPM, "base/Packages/large.rpm"])
@pytest.mark.parametrize("at", [0, 100, 10_000])
def test_reset_after_so_many_bytes(server, at, path):
    server.fault(path, "reset", at=at)
    with connect(server) as link:
        link.sendall(message(path))
        status, headers, body = parse(until_reset(link))
    assert (status, len(body)) == (200, at)
    assert int(headers["content-length"]) == (SIZE if path == RPM else len(LARGE))


def test_reset_before_any_answer(server):
    server.fault(RPM, "reset")
    with connect(server) as link:
        link.sendall(message(RPM))
        with pytest.raises(ConnectionResetError):
            link.recv(1)
    assert (server.requests[0].status, server.requests[0].sent) == (0, 0)


def test_long(server):
    for parameters in ({}, {"honest_length": True}, {"without_length": True}):
        server.fault(RPM, "long", extra=7, times=1, **parameters)
    got = [ask(server, RPM, close=False) for _ in range(3)]
    assert [headers.get("content-length") for _, headers, _ in got] == [str(SIZE), str(SIZE + 7), None]
    assert all(body == BODY + b"x" * 7 for _, _, body in got)


def test_endless(server):
    server.fault(RPM, "endless")
    with connect(server) as link:
        link.sendall(message(RPM))
        got = 0
        while got < 20_000_000:
            got += len(link.recv(1 << 20))
    assert server.requests[0].sent > SIZE


def test_wrong_length(server):
    server.fault(RPM, "wrong-length", by=-5, times=1)
    server.fault(RPM, "wrong-length", length=3, times=1)
    server.fault(RPM, "wrong-length")
    got = [ask(server, RPM, close=False) for _ in range(3)]
    assert [int(headers["content-length"]) for _, headers, _ in got] == [SIZE - 5, 3, SIZE + 1]
    assert {body for _, _, body in got} == {BODY}
    assert ask(server, RPM, method="HEAD")[1]["content-length"] == str(SIZE + 1)


def test_no_length(server):
    server.fault(RPM, "no-length")
    _, headers, body = ask(server, RPM, close=False)
    assert body == BODY
    assert not {"content-length", "transfer-encoding"} & headers.keys()


def test_stall(server):
    server.fault(RPM, "stall", at=100)
    with connect(server) as link:
        link.sendall(message(RPM))
        got = b""
        while not got.endswith(BODY[:100]):
            got += link.recv(65536)
        link.settimeout(0.05)
        with pytest.raises(TimeoutError):
            link.recv(1)
    server.clear()
    server.fault(RPM, "stall", at=100, seconds=0.05)
    began = time.monotonic()
    assert ask(server, RPM)[2] == BODY
    assert time.monotonic() - began >= 0.05


def test_hang(server):
    server.fault(RPM, "hang")
    with connect(server) as link:
        link.sendall(message(RPM))
        wait_for(lambda: server.requests)
        link.settimeout(0.05)
        with pytest.raises(TimeoutError):
            link.recv(1)


@pytest.mark.parametrize(
    ("name", "parameters", "seconds"),
    [
        ("hang", {"seconds": 0.1}, 0.1),
        ("delay", {"seconds": 0.1}, 0.1),
        ("slow", {"rate": SIZE * 10}, 0.1),
        ("drip-headers", {"every": 0.001}, 0.1),
    ],
)
def test_slow_and_right(server, name, parameters, seconds):
    server.fault(RPM, name, **parameters)
    began = time.monotonic()
    assert ask(server, RPM)[2] == BODY
    assert time.monotonic() - began >= seconds


def test_drip(server):
    server.fault(RPM, "drip", every=0.01)
    with connect(server) as link:
        link.sendall(message(RPM, "Range: bytes=0-9", "Connection: close"))
        pieces = [len(piece) for piece in iter(lambda: link.recv(65536), b"")]
    assert sum(pieces[1:]) == 10
    assert len(pieces) > 4


# Faults of chunks


def chunks(body: bytes) -> list[bytes]:
    """The content of a chunked body's chunks; it ends where they end."""
    found = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        found.append(rest[:length])
        assert rest[length : length + 2] == b"\r\n"
        body = rest[length + 2 :]
        assert length or not body
    return found


def test_chunked(server):
    server.fault(RPM, "chunked", size=1000)
    _, headers, body = ask(server, RPM)
    assert headers["transfer-encoding"] == "chunked"
    assert "content-length" not in headers
    assert b"".join(chunks(body)) == BODY
    assert max(map(len, chunks(body))) == 1000
    assert httpx.get(server.url + RPM, trust_env=False).content == BODY
    assert server.requests[0].sent == SIZE


def test_bad_chunk(server):
    server.fault(RPM, "bad-chunk", at=100)
    _, headers, body = ask(server, RPM, close=False)
    assert headers["transfer-encoding"] == "chunked"
    assert body.startswith(b"64\r\n" + BODY[:100] + b"\r\ngarbage\r\n")
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.url + RPM, trust_env=False)


def test_truncated_chunk(server):
    server.fault(RPM, "truncated-chunk", at=100)
    _, headers, body = ask(server, RPM, close=False)
    assert headers["transfer-encoding"] == "chunked"
    assert body == b"%x\r\n" % SIZE + BODY[:100]
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.url + RPM, trust_env=False)


# Faults of ranges


def test_ignore_range_and_refuse_range(server):
    server.fault(RPM, "ignore-range", times=1)
    server.fault(RPM, "refuse-range")
    status, headers, body = ask(server, RPM, "Range: bytes=5-")
    assert (status, headers.get("content-range"), body) == (200, None, BODY)
    status, headers, _ = ask(server, RPM, "Range: bytes=5-")
    assert (status, headers["content-range"]) == (416, f"bytes */{SIZE}")


@pytest.mark.parametrize(
    ("kind", "asked", "told", "body"),
    [
        ("shifted", "bytes=100-", f"bytes 99-{SIZE - 2}/{SIZE}", BODY[99:-1]),
        ("shifted", "bytes=0-9", f"bytes 1-10/{SIZE}", BODY[1:11]),
        ("absent", "bytes=100-", None, BODY[100:]),
        ("malformed", "bytes=100-", f"bytes 100 to {SIZE - 1} of {SIZE}", BODY[100:]),
    ],
)
def test_wrong_range(server, kind, asked, told, body):
    server.fault(RPM, "wrong-range", kind=kind)
    status, headers, content = ask(server, RPM, f"Range: {asked}")
    assert (status, headers.get("content-range"), content) == (206, told, body)
    assert headers["content-length"] == str(len(body))


def test_unasked_206(server):
    server.fault(RPM, "unasked-206", at=100)
    status, headers, body = ask(server, RPM)
    assert (status, headers["content-range"], body) == (206, f"bytes 0-99/{SIZE}", BODY[:100])
    assert ask(server, RPM, "Range: bytes=5-")[2] == BODY[5:]


@pytest.mark.parametrize(("headers", "first"), [((), 0), (("Range: bytes=100-",), 100)])
def test_multipart_206(server, headers, first):
    server.fault(RPM, "multipart-206")
    status, told, body = ask(server, RPM, *headers)
    kind, _, boundary = told["content-type"].partition("; boundary=")
    assert (status, kind, told.get("content-range")) == (206, "multipart/byteranges", None)
    before, *parts, end = body.split(f"\r\n--{boundary}".encode())
    assert (before, end) == (b"", b"--\r\n")
    found = [part.partition(b"\r\n\r\n") for part in parts]
    assert b"".join(content for _, _, content in found) == BODY[first:]
    assert f"bytes {first}-" in found[0][0].decode()
    assert found[1][0].endswith(f"-{SIZE - 1}/{SIZE}".encode())


# Faults of content


def test_wrong(server):
    for at in (0, 5, -1):
        server.fault(RPM, "wrong", at=at, times=1)
    honest = ask(server, RPM, method="HEAD")[1]["etag"]
    for at in (0, 5, -1):
        _, headers, body = ask(server, RPM)
        assert [index for index in range(SIZE) if body[index] != BODY[index]] == [at % SIZE]
        assert (len(body), headers["etag"]) == (SIZE, honest)


def test_wrong_in_a_range(server):
    server.fault(RPM, "wrong", at=50)
    assert ask(server, RPM, "Range: bytes=49-51")[2] == BODY[49:50] + bytes([BODY[50] ^ 1]) + BODY[51:52]


def test_changed(server):
    etag = ask(server, RPM)[1]["etag"]
    server.fault(RPM, "changed")
    status, headers, body = ask(server, RPM, "Range: bytes=5-", f"If-Range: {etag}")
    assert (status, len(body)) == (200, SIZE)
    assert headers["etag"] != etag
    assert body[:5] != BODY[:5]
    assert ask(server, RPM, "Range: bytes=5-", f"If-Range: {headers['etag']}")[2] == body[5:]
    assert ask(server, RPM, f"If-None-Match: {etag}")[0] == 200


def test_gzip_twice(server):
    path = "base/repodata/primary.xml.gz"
    packed = ask(server, path)[2]
    server.fault(path, "gzip-twice")
    _, headers, body = ask(server, path)
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == packed
    assert headers["content-length"] == str(len(body))


def test_page_and_content(server, folder):
    server.fault(RPM, "page", times=1)
    server.fault(RPM, "content", data=b"0123456789", times=2)
    server.fault(RPM, "content", data=folder / "base/Packages/b.rpm")
    status, headers, body = ask(server, RPM)
    assert (status, headers["content-type"]) == (200, "text/html")
    assert b"<html>" in body
    assert ask(server, RPM)[2] == b"0123456789"
    assert ask(server, RPM, "Range: bytes=5-")[2] == b"56789"
    assert ask(server, RPM)[2] == b"b"


def test_lagging_and_switch(server, folder):
    old, new = folder.parent / "old", folder.parent / "new"
    for place in (old, new):
        for path in (RPM, "base/repodata/repomd.xml", "empty"):
            put(place / path, place.name.encode())
    server.fault("base/repodata/repomd.xml", "lagging", folder=old, base="base", times=2)
    assert [ask(server, path)[2] for path in (RPM, "empty", "base/repodata/repomd.xml")] == [b"old", b"", b"old"]
    assert ask(server, RPM)[2] == BODY
    server.fault(RPM, "switch", folder=new)
    assert [ask(server, path)[2] for path in ("empty", RPM, "empty")] == [b"", b"new", b"new"]


# Faults of connections


def exchange(link: http.client.HTTPConnection) -> http.client.HTTPResponse:
    link.request("GET", f"/{RPM}")
    return link.getresponse()


@pytest.mark.parametrize("late", [False, True])
def test_close_idle(server, late):
    server.fault(RPM, "close-idle", late=late, times=1)
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    answer = exchange(link)
    assert answer.read() == BODY
    assert answer.headers["connection"] is None
    with pytest.raises(ConnectionError):
        exchange(link)
    link.close()
    assert ask(server, RPM)[2] == BODY
    assert len(server.taken()) == 2


# https


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("good", None),
        ("expired", "certificate has expired"),
        ("wrong-host", "IP address mismatch"),
        ("self-signed", "self-signed certificate|self signed certificate"),
    ],
)
def test_certificates(folder, kind, reason):
    with FaultServer(folder, kind) as server:
        assert server.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=server.authority)
        with httpx.Client(verify=context, trust_env=False) as client:
            if reason is None:
                assert client.get(server.url + "base/Packages/large.rpm").content == LARGE
            else:
                with pytest.raises(httpx.ConnectError, match=reason):
                    client.get(server.url + RPM)
                assert server.requests == []
        authority = server.authority
    assert not authority.exists()


def over_tls(server: FaultServer) -> ssl.SSLSocket:
    """A connection that tells a TLS stream's end from a break."""
    context = ssl.create_default_context(cafile=server.authority)
    return context.wrap_socket(connect(server), server_hostname="127.0.0.1", suppress_ragged_eofs=False)


@pytest.mark.parametrize("name", ["cut", "no-length", "short"])
def test_an_end_in_order_over_tls(folder, name):
    with FaultServer(folder, "good") as server:
        server.fault(RPM, name)
        with over_tls(server) as link:
            link.sendall(message(RPM))
            assert parse(until_end(link))[2] == (BODY if name == "no-length" else BODY[: SIZE // 2])


def test_reset_over_tls(folder):
    with FaultServer(folder, "good") as server:
        server.fault(RPM, "reset", at=100)
        with over_tls(server) as link:
            link.sendall(message(RPM))
            assert parse(link.recv(65536))[2] == BODY[:100]
            with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
                link.recv(1)


def test_no_such_certificate(folder):
    with pytest.raises(ValueError, match="there is no certificate 'bad'"):
        FaultServer(folder, "bad")


# Real clients


def curl(server: FaultServer, path: str, *options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """What curl says of a path; it writes `got` into a folder."""
    return subprocess.run(
        [real_program("curl"), "-q", "-sS", "--noproxy", "*", "-o", "got", *options, server.url + path],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(
    ("name", "parameters", "options", "exit_status"),
    [
        ("hang", {}, ["--max-time", "0.2"], 28),
        ("stall", {"at": 10}, ["--max-time", "0.2"], 28),
        ("short", {}, [], 18),
        ("reset", {"at": 10}, [], 56),
        ("bad-chunk", {}, [], 56),
        ("truncated-chunk", {}, [], 18),
        ("redirect-loop", {}, ["-L"], 47),
        ("redirect", {"to": "file:///etc/hostname"}, ["-L"], 1),
        ("encoding", {}, ["--compressed"], 61),
        ("status", {"code": 503}, ["-f"], 22),
    ],
)
def test_curl_finds_the_fault(server, tmp_path, name, parameters, options, exit_status):
    server.fault(RPM, name, **parameters)
    assert curl(server, RPM, *options, cwd=tmp_path).returncode == exit_status


@pytest.mark.parametrize("name", ["chunked", "no-length", "cookie", "no-validators", "close-idle"])
def test_curl_is_content_with_what_is_odd_and_right(server, tmp_path, name):
    server.fault(RPM, name)
    done = curl(server, RPM, "-L", "-b", "", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "got").read_bytes() == BODY


def test_curl_resumes(server, tmp_path):
    server.sequence(RPM, ("reset", {"at": 1000}), ("short", {"at": 100}))
    assert [curl(server, RPM, "-C", "-", cwd=tmp_path).returncode for _ in range(3)] == [56, 18, 0]
    assert (tmp_path / "got").read_bytes() == BODY
    assert [request.sent for request in server.requests] == [1000, 100, SIZE - 1100]


# The command line


@contextlib.contextmanager
def command(*arguments: str | Path, cwd: Path = TOP) -> Iterator["subprocess.Popen[str]"]:
    """Run `python -m tests.faultserver` and end it with SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faultserver", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(TOP)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()


def serving(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """The two lines that say that it serves."""
    assert process.stdout
    return process.stdout.readline(), process.stdout.readline()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_command(folder, ending):
    with command(folder, "--path", "*.rpm", "--fault", "status:code=503,retry_after=2", "--times", "1") as process:
        first, second = serving(process)
        assert first.startswith(f"serving {folder} at http://127.0.0.1:")
        url = first.split()[-1]
        assert second == f"try: curl -v -o /dev/null {url}{RPM}\n"
        with httpx.Client(trust_env=False) as client:
            answer = client.get(url + RPM)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            assert client.get(url + RPM).content == BODY
            began = time.monotonic()
            process.send_signal(ending)
            said, errors = process.communicate(timeout=10)
    assert time.monotonic() - began < 2
    assert said.splitlines() == [f"GET /{RPM} 503 {answer.num_bytes_downloaded} status", f"GET /{RPM} 200 {SIZE}"]
    assert (process.returncode, errors) == (0, "")


def test_command_over_tls(folder, tmp_path):
    with command(folder, "--tls", "good") as process:
        _, tried = serving(process)
        words = shlex.split(tried.removeprefix("try: "))
        words[words.index("/dev/null")] = str(tmp_path / "got")
        assert subprocess.run([real_program("curl"), "--noproxy", "*", *words[1:]], check=True, capture_output=True)
    assert (tmp_path / "got").read_bytes() == b"<repomd/>\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fault", "stal"], "there is no fault 'stal': see --list"),
        (["--fault", "stall:att=3"], "the fault stall has no parameter att: it has at, seconds"),
        (["--fault", "empty:at=3"], "the fault empty has no parameter at: it has none"),
        (["--fault", "stall:at"], "'at' is no KEY=VALUE"),
        (["--fault", "stall:at=x"], "at is a number, not 'x'"),
        (["--fault", "delay"], "the fault delay needs seconds="),
        (["--fault", "long:honest_length=maybe"], "honest_length is true or false, not 'maybe'"),
        (["--fault", "status:headers=x"], "headers can be given in Python only"),
        (["--fault", "switch:folder=/no/such"], "folder: there is no '/no/such'"),
        (["--fault", "wrong-range:kind=odd"], "kind of wrong-range is one of shifted, absent, malformed"),
        (["--tls", "bad"], "argument --tls: invalid choice: 'bad'"),
        (["--port", "x"], "argument --port: invalid int value: 'x'"),
        (["--port", "99999"], "99999 is no port"),
        (["--times", "x"], "argument --times: invalid int value: 'x'"),
        (["--odd"], "unrecognized arguments: --odd"),
    ],
)
def test_command_refuses_in_one_line(arguments, says, tmp_path, capsys):
    # Each is refused before it serves.
    try:
        status = main([str(tmp_path), *arguments])
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    assert (status, said.out, said.err.count("\n")) == (2, "", 1)
    assert says in said.err


def test_command_refuses_what_is_no_folder(capsys):
    assert main([]) == main(["/no/such"]) == 2
    assert capsys.readouterr().err.splitlines()[1] == "faultserver: /no/such is no folder"


def test_list_needs_the_standard_library_only():
    done = subprocess.run(
        [sys.executable, "-S", "-m", "tests.faultserver", "--list"], cwd=TOP, capture_output=True, text=True, check=True
    )
    assert {line.split()[0] for line in done.stdout.splitlines() if line[:1].strip()} == REGISTRY.keys()
    assert "at=0, seconds=None" in done.stdout


# The page


PAGE = TOP / "docs/how-to/test-a-mirror-client.md"
SERVER = "python -m tests.faultserver "
PORT = "8099"


def runs() -> list[tuple[str, list[tuple[str, str]], str]]:
    """The page's servers: command and output, what clients do meanwhile with their output, what it prints then."""
    found: list[tuple[str, list[tuple[str, str]], str]] = []
    for language, body in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        if language == "console":
            pairs = [
                (match[1].replace("\\\n", " "), match[2])
                for match in re.finditer(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", body, re.MULTILINE)
            ]
            if pairs[0][0].startswith(SERVER):
                found.append((pairs[0][0], [], pairs[0][1]))
            else:
                found[-1][1].extend(pairs)
        elif language == "text":
            started, pairs, said = found[-1]
            found[-1] = (started, pairs, said + body)
    return found


@pytest.mark.parametrize("number", range(5))
def test_page_shows_what_happens(number, tmp_path):
    assert len(runs()) == 5
    started, clients, promised = runs()[number]
    (tmp_path / "fixtures").symlink_to(TOP / "fixtures")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "mirrorpy").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mirrorpy "$@"\n', encoding="utf-8")
    (programs / "mirrorpy").chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(TOP), "LC_ALL": "C"}
    environment |= {"no_proxy": "127.0.0.1", "HOME": str(tmp_path)}
    for program in ("dnf", "curl"):
        if any(line.startswith(program) for line, _ in clients):
            real_program(program)
    with command(*shlex.split(started.removeprefix(SERVER).replace(f"--port {PORT}", "")), cwd=tmp_path) as process:
        head = serving(process)
        port = head[0].rstrip("/\n").rpartition(":")[2]
        for line, output in clients:
            done = subprocess.run(
                ["/bin/sh", "-c", line.replace(PORT, port)],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=120,
            )
            assert plain(done.stdout.replace(port, PORT)) == plain(output), line
        process.terminate()
        said, errors = process.communicate(timeout=10)
    assert errors == ""
    if promised:
        assert ("".join(head) + said).replace(port, PORT) == promised


def test_page_has_options_that_are_taken():
    table = [line.split("|")[2] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    given = [text for cell in table for text in re.findall(r"`(--[^`]+)`", cell)]
    assert len(given) > 12
    for text in given:
        options = parser().parse_args(["fixtures", *shlex.split(text)])
        assert options.fault
        for fault in options.fault:
            parse_fault(fault, None)


def test_page_has_python_that_runs():
    (script,) = (body for language, body in FENCE.findall(PAGE.read_text(encoding="utf-8")) if language == "python")
    environment = {**os.environ, "no_proxy": "127.0.0.1", "PYTHONPATH": str(TOP)}
    done = subprocess.run([sys.executable, "-c", script], cwd=TOP, env=environment, check=False)
    assert done.returncode == 0
