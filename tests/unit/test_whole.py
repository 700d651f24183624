"""Small files that come whole: a plain answer is taken as it lies there, any other is read with care."""

import contextlib
import email.utils
import errno
import os
import stat
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorpy.config.model import Connection, Repository
from mirrorpy.errors import FetchError, LocalError, NotFound
from mirrorpy.rpmmd.href import quote_href
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile
from mirrorpy.store import incoming
from mirrorpy.store.incoming import Partial, keep_whole
from mirrorpy.sync.bring import Bringer, Failed, Landed
from mirrorpy.upstream import Network, Upstream
from mirrorpy.upstream.ahead import FAR
from mirrorpy.upstream.answer import find_plain, parse_fields, parse_head
from mirrorpy.upstream.dates import parse_date
from mirrorpy.upstream.network import Lanes
from mirrorpy.upstream.session import Session, Tally
from mirrorpy.upstream.upstream import WHOLE
from mirrorpy.upstream.wire import AT_ONCE

from .documents import sha256
from .scripted import ok

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
SECONDS = 784111777.0


@pytest.fixture(autouse=True)
def no_proxies(as_it_was):
    """Take every proxy out of the environment."""


@pytest.fixture
def session():
    """Makes sessions that know their server, which counts as near; closes their connections in the end."""
    with contextlib.ExitStack() as made:

        def make(url, *, timeout=10.0, trip=FAR / 2, tls=None, width=8):
            settings = Connection(timeout=timeout, proxy="", **(tls or {}))
            one = made.enter_context(contextlib.closing(Session(settings, Lanes(width))))
            assert asked(one, url) == b"first"
            one._direct.lines._trips = dict.fromkeys(one._direct.lines._trips, trip)
            return one

        yield make


def asked(session, url):
    """What comes with all care."""
    with session.open(url, {}, named=(), tally=Tally()) as response:
        return b"".join(bytes(part) for part in response.iter_raw())


def whole(session, url, href, size, take=None):
    """What comes whole: body and time; None where nothing does."""
    got = []

    def keep(body, modified):
        got.append((bytes(body), modified))
        return take is None or take(body, modified)

    tally = Tally()
    came = session.whole(session.route(url, ()), href, size, keep, tally=tally)
    assert tally.requests == came
    return got[0] if came else None


FIRST = [ok(b"first")]
"""The answer after which a connection is kept and a server known."""


def test_one_after_the_other(serve, session):
    server = serve([FIRST, [ok(b"abc", b"Last-Modified: " + DATE.encode())], [ok(b"")], [ok(b"d")]])
    one = session(server.url)
    assert whole(one, server.url, "a+b/c.rpm", 3) == (b"abc", DATE)
    assert whole(one, server.url, "empty", 0) == (b"", "")
    assert asked(one, server.url + "d") == b"d"
    assert server.asked == [(0, "/"), (0, "/a%2Bb/c.rpm"), (0, "/empty"), (0, "/d")]


def test_the_request_is_that_of_its_url(session, serve):
    server = serve([FIRST])
    one = session(server.url)
    for base in (f"{server.url}repo/%7Eus", "http://u:p@h:81/a/", "http://[::1]/x?y=/", "https://h"):
        for href in ("a.rpm", "Packages/x+y^z~1.rpm", "é/ü 1.rpm", "%2e%2e/a"):
            route = one.route(base, ())
            url = f"{base.rstrip('/')}/{quote_href(href)}"
            assert route.request(href) == one._direct.request("GET", url, {}, trusted=False).data


def test_over_tls(serve, session, certificate):
    body = os.urandom(WHOLE)
    server = serve([FIRST, [ok(body[:100])], [ok(body)]], context=certificate.context)
    one = session(server.url, tls={"sslcacert": certificate.authority})
    assert whole(one, server.url, "a", 100) == (body[:100], "")
    assert whole(one, server.url, "b", WHOLE) == (body, "")
    assert [number for number, _ in server.asked] == [0, 0, 0]


@pytest.mark.parametrize("size", [1, 60_000, 70_000, WHOLE])
def test_in_pieces(serve, session, size):
    """A body may come in any pieces; a header that does is read with care."""
    body = os.urandom(size)
    answer = ok(body)
    cut = answer.index(b"\r\n\r\n") + 4

    def pause(_):
        time.sleep(0.02)

    in_body, in_header = ([answer[:at], pause, answer[at:]] for at in (cut + size // 3, 20))
    server = serve([FIRST, in_body, in_header])
    one = session(server.url)
    assert whole(one, server.url, "a", size) == (body, "")
    assert whole(one, server.url, "b", size) is None
    assert asked(one, server.url + "b") == body
    assert server.asked == [(0, "/"), (0, "/a"), (0, "/b")]


def outcome(make, url):
    """What care makes of an answer: bytes, or an error's words."""
    try:
        return make(url)
    except (FetchError, NotFound) as error:
        return error.message.replace(url, "")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 503 x\r\nContent-Length: 3\r\nRetry-After: 7\r\n\r\nabc",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: upgrade\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding : chunked\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nLast-Modified: a\r\nLast-Modified: b\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000),
        b"abc",
        b"x" * 70_000,
    ],
)
def test_any_other_answer_is_read_with_care(serve, session, answer):
    """With what it says, as if nobody had looked at it before, and without another request."""
    hang_up = [answer, lambda connection: connection.close()]
    server, other = (serve([FIRST, hang_up], [[ok(b"other")]]) for _ in range(2))
    one, two = session(server.url), session(other.url)
    assert whole(one, server.url, "a", 3) is None
    got = outcome(lambda url: asked(one, url), server.url + "a")
    assert got == outcome(lambda url: asked(two, url), other.url + "a")
    assert server.asked == other.asked
    assert server.asked[:2] == [(0, "/"), (0, "/a")]


def test_what_take_refuses(serve, session):
    """Who looks at it with care sees the same."""
    server = serve([FIRST, [ok(b"abc")], [ok(b"d")]])
    one = session(server.url)
    assert whole(one, server.url, "a", 3, lambda *_: False) is None
    assert asked(one, server.url + "a") == b"abc"
    assert asked(one, server.url + "d") == b"d"
    assert server.asked == [(0, "/"), (0, "/a"), (0, "/d")]


def test_who_then_asks_for_something_else(serve, session):
    """What came is nobody's any more."""
    server = serve([FIRST, [ok(b"abc")]], [[ok(b"d")]])
    one = session(server.url)
    assert whole(one, server.url, "a", 3, lambda *_: False) is None
    assert asked(one, server.url + "d") == b"d"
    assert server.left[0].wait(10)


def test_what_comes_unasked(serve, session):
    """Servers say that they got tired of waiting; that is no answer to the next request."""
    tired = ok(b"abc"), lambda _: time.sleep(2 * AT_ONCE), b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    server = serve([FIRST, list(tired)], [[ok(b"d")]])
    one = session(server.url)
    assert whole(one, server.url, "a", 3) == (b"abc", "")
    time.sleep(4 * AT_ONCE)
    assert whole(one, server.url, "d", 1) is None, "no connection is kept"
    assert asked(one, server.url + "d") == b"d"


def test_an_answer_of_another_server_is_nobodys(serve, session):
    """The same bytes may be asked of two: over http and https, with and without secrets."""
    server = serve([FIRST, [ok(b"abc")]], [[ok(b"abd")]])
    one = session(server.url)
    assert whole(one, server.url, "a", 3, lambda *_: False) is None
    with one.open(server.url + "a", {}, named=(server.url,), tally=Tally()) as response:
        assert b"".join(bytes(part) for part in response.iter_raw()) == b"abd"
    assert [number for number, _ in server.asked] == [0, 0, 1]
    assert server.left[0].wait(10)


def test_what_follows_a_body(serve, session):
    """It is no answer to a request that was not made yet."""
    body = os.urandom(70_000)
    server = serve([FIRST, [ok(body) + ok(b"bad")]], [[ok(b"good")]])
    one = session(server.url)
    assert whole(one, server.url, "a", len(body)) in ((body, ""), None)
    assert asked(one, server.url + "d") == b"good"
    assert [number for number, _ in server.asked] == [0, 0, 1]


def waits_for_a_lane(session, url):
    """Start somebody who wants a lane to a server; set once they got it."""
    got = threading.Event()

    def want():
        with session._lanes.enter(url, lambda: False, lambda: None):
            got.set()

    threading.Thread(target=want, daemon=True).start()
    return got


@pytest.mark.parametrize("read_on", [True, False])
def test_an_answer_keeps_its_lane(serve, session, read_on):
    """No host is asked for more at a time than it may be, while an answer is on its way."""
    server = serve([FIRST, [ok(b"abc")]])
    one = session(server.url, width=1)
    assert whole(one, server.url, "a", 3, lambda *_: False) is None
    got = waits_for_a_lane(one, server.url)
    assert not got.wait(0.1)
    if read_on:
        assert asked(one, server.url + "a") == b"abc"
    else:
        one.settle()
        assert server.left[0].wait(10)
    assert got.wait(10)


def test_who_still_waits_for_answers(serve, session):
    """A thread that was asking ahead has a connection, and a lane, already."""
    server = serve([FIRST])
    one = session(server.url)

    class Line:
        waiting = 1

        def close(self):
            """Nothing to close."""

    one._direct.lines._lines[threading.get_ident()] = None, Line()
    assert whole(one, server.url, "a", 3) is None
    assert len(server.asked) == 1


def test_a_disk_that_is_full(serve, session):
    def full(*_):
        raise LocalError("no room")

    server = serve([FIRST, [ok(b"abc")]])
    one = session(server.url)
    with pytest.raises(LocalError, match="no room"):
        whole(one, server.url, "a", 3, full)
    assert server.left[0].wait(10)


def test_a_last_answer(serve, session):
    """Servers close a connection after so many answers, and most say so."""
    server = serve([FIRST, [ok(b"abc", b"Connection: close")]], [[ok(b"d")]])
    one = session(server.url)
    assert whole(one, server.url, "a", 3) == (b"abc", "")
    assert whole(one, server.url, "b", 1) is None, "no connection is kept"
    assert asked(one, server.url + "b") == b"d"


def test_a_connection_that_was_closed(serve, session):
    """As it is between two requests: no failure."""
    server = serve([FIRST, [lambda connection: connection.close()]], [[ok(b"abc")]])
    one = session(server.url)
    assert whole(one, server.url, "a", 3) is None
    assert asked(one, server.url + "a") == b"abc"


@pytest.mark.parametrize("said", [b"", ok(b"abc")[:20], ok(b"abc")[:-1]])
def test_silence(serve, session, said):
    """It is waited for once."""
    done = threading.Event()
    server = serve([FIRST, [said, lambda _: done.wait(10)]])
    one = session(server.url, timeout=1.0)
    began = time.monotonic()
    assert whole(one, server.url, "a", 3) is None
    assert (time.monotonic() - began < 1.0) == bool(said)
    with pytest.raises(FetchError, match="timed out"):
        asked(one, server.url + "a")
    assert time.monotonic() - began < 1.9
    done.set()
    assert len(server.asked) == 2


@pytest.mark.parametrize("trip", [0.0, FAR, 1.0])
def test_servers_that_are_not_near(serve, session, trip):
    server = serve([FIRST])
    assert whole(session(server.url, trip=trip), server.url, "a", 3) is None
    assert len(server.asked) == 1


NAMES = st.sampled_from(["Content-Length", "content-LENGTH", "Last-Modified", "Connection", "Transfer-Encoding"])
VALUES = st.sampled_from(["3", "03", "4", "3, 3", DATE, "close", "keep-alive", "Keep-Alive", "chunked", "", "a:b"])
SPACE = st.sampled_from(["", " ", "\t", "  "])


@given(
    status=st.sampled_from(["HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.0 200 OK", "HTTP/1.1 206 x", "HTTP/1.1 2000"]),
    fields=st.lists(st.tuples(NAMES, SPACE, VALUES, SPACE), max_size=5),
    got=st.integers(0, 400),
)
def test_plain_is_what_care_would_make_of_it(status, fields, got):
    """What is believed at once is what the whole header says."""
    lines = "".join(f"{name}:{before}{value}{after}\r\n" for name, before, value, after in fields)
    data = bytearray(f"{status}\r\n{lines}\r\nabc".encode())
    plain = find_plain(data, min(got, len(data)), 3)
    if plain is None:
        return
    times = [value for name, _, value, _ in fields if name == "Last-Modified"]
    head = parse_head(data[: plain.begin - 2].decode())
    known = parse_fields(head[4])
    assert (head[2], known.get("content-length"), bytes(data[plain.begin :])) == ("200", "3", b"abc")
    assert "transfer-encoding" not in known
    assert plain.last == ("close" in known.get("connection").lower())
    assert plain.modified.strip() == (times[-1] if times else "")


# Kept as a download is

DATA = b"0123456789"
FILE = RemoteFile("a.rpm", sha256(DATA), len(DATA), Kind.PACKAGE)


@pytest.mark.parametrize("modified", [None, SECONDS])
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_kept_as_a_download_is(tmp_path, modified, umask):
    before = os.umask(umask)
    try:
        assert keep_whole(str(tmp_path / "one"), FILE, memoryview(DATA), modified) == FILE.checksum
        partial = Partial(str(tmp_path), FILE)
        partial.write(DATA)
        partial.finish(modified)
    finally:
        os.umask(before)
    one, other = (tmp_path / "one").stat(), os.stat(partial.path)
    assert (tmp_path / "one").read_bytes() == DATA
    assert stat.S_IMODE(one.st_mode) == stat.S_IMODE(other.st_mode) == 0o444
    assert (one.st_mtime == other.st_mtime == modified) if modified else one.st_mtime > SECONDS


def test_a_weak_checksum(tmp_path):
    weak = Checksum("md5", "781e5e245d69b566979b86e28d23f2c7")
    file = RemoteFile("a.rpm", weak, len(DATA), Kind.PACKAGE)
    assert keep_whole(str(tmp_path / "one"), file, memoryview(DATA), None) == sha256(DATA)
    assert keep_whole(str(tmp_path / "two"), file, memoryview(b"987654321o"), None) is None
    assert os.listdir(tmp_path) == ["one"]


@pytest.mark.parametrize("data", [b"", DATA[:-1], DATA + b"0", b"9876543210"])
def test_something_else(tmp_path, data):
    assert keep_whole(str(tmp_path / "one"), FILE, memoryview(data), None) is None
    assert os.listdir(tmp_path) == []


def test_what_an_earlier_run_left_stays(tmp_path):
    (tmp_path / "one").write_bytes(b"0123")
    assert keep_whole(str(tmp_path / "one"), FILE, memoryview(DATA), None) is None
    assert (tmp_path / "one").read_bytes() == b"0123"


@pytest.mark.parametrize("call", ["write", "utime", "fchmod"])
def test_a_disk_that_takes_nothing(tmp_path, monkeypatch, call):
    """What is there is a leftover like any other."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(incoming.os, call, refuse)
        with pytest.raises(LocalError, match="No space left"):
            keep_whole(incoming.place_in(str(tmp_path), FILE), FILE, memoryview(DATA), SECONDS)
    assert len(os.listdir("/proc/self/fd")) < 200
    partial = Partial(str(tmp_path), FILE)
    partial.write(DATA[partial.offset :])
    partial.finish(SECONDS)
    assert os.stat(partial.path).st_mtime == SECONDS


# With those above it


@pytest.fixture
def bringer(serve, tmp_path):
    """Makes what brings files of one upstream whose server is known."""
    with contextlib.ExitStack() as made:

        def make(*scripts, **options):
            server = serve(*scripts)
            connection = Connection(timeout=10.0, proxy="")
            repo = Repository(id="a", path="a", baseurls=(server.url,), connection=connection, **options)
            network = made.enter_context(contextlib.closing(Network(max_parallel_downloads=2)))
            upstream = Upstream(repo, network)
            upstream.read(server.url, "repodata/repomd.xml")
            lines = upstream._session._direct.lines
            lines._trips = dict.fromkeys(lines._trips, FAR / 2)
            return server, upstream, Bringer(upstream, str(tmp_path), lambda _: None)

        yield make


def test_a_file_is_brought_whole(bringer, tmp_path):
    server, upstream, one = bringer([FIRST, [ok(DATA, b"Last-Modified: " + DATE.encode())]])
    assert one.bring(FILE) == Landed(FILE, incoming.place_in(str(tmp_path), FILE), len(DATA), 0, FILE.checksum)
    assert os.stat(incoming.place_in(str(tmp_path), FILE)).st_mtime == SECONDS
    assert upstream.tally.requests == len(server.asked) == 2


def test_a_wrong_file_is_refused(bringer):
    """As it came, without another request."""
    server, _, one = bringer([FIRST, [ok(b"9876543210")]])
    done = one.bring(FILE)
    assert isinstance(done, Failed)
    assert "checksum" in done.error.cause
    assert len(server.asked) == 2


def test_a_leftover_is_gone_on_with(bringer, tmp_path):
    """It is not brought whole once more."""
    (tmp_path / os.path.basename(incoming.place_in("", FILE))).write_bytes(DATA[:4])
    rest = b"HTTP/1.1 206 x\r\nContent-Length: 6\r\nContent-Range: bytes 4-9/10\r\n\r\n" + DATA[4:]
    server, _, one = bringer([FIRST, [rest]])
    done = one.bring(FILE)
    assert (done.size, done.resumed) == (10, 4)
    assert len(server.asked) == 2


def test_what_this_run_left_is_gone_on_with(bringer):
    """Not brought whole, and thrown away."""
    rest = b"HTTP/1.1 206 x\r\nContent-Length: 6\r\nContent-Range: bytes 4-9/10\r\n\r\n" + DATA[4:]
    cut = [ok(DATA)[:-6], lambda connection: connection.close()]
    server, upstream, one = bringer([FIRST, cut], [[rest]], retries=0)
    assert isinstance(one.bring(FILE), Failed)
    assert one.bring(FILE).resumed == 4
    assert len(server.asked) == upstream.tally.requests == 3


def test_an_answer_that_nobody_reads_on(bringer, monkeypatch):
    def full(*_):
        raise LocalError("no room")

    server, _, one = bringer([FIRST, [ok(b"987654321o")]])
    monkeypatch.setattr("mirrorpy.sync.bring.Partial", full)
    with pytest.raises(LocalError, match="no room"):
        one.bring(FILE)
    assert server.left[0].wait(10)


@pytest.mark.parametrize(
    ("file", "options"),
    [
        (RemoteFile("a.rpm", sha256(b""), 0, Kind.PACKAGE), {}),
        (RemoteFile("a.rpm", sha256(DATA), None, Kind.PACKAGE), {}),
        (RemoteFile("a.rpm", sha256(DATA), WHOLE + 1, Kind.PACKAGE), {}),
        (FILE, {"throttle": 1000}),
    ],
    ids=["empty", "no size", "large", "rationed"],
)
def test_files_that_do_not_come_whole(bringer, file, options):
    server, upstream, _ = bringer([FIRST, [ok(DATA)]], **options)
    assert not upstream.whole(file, lambda *_: True)
    assert len(server.asked) == 1


# Dates


@given(st.floats(0, 253402300799))
def test_dates_as_email_reads_them(seconds):
    text = email.utils.formatdate(seconds, usegmt=True)
    assert parse_date(text) == email.utils.parsedate_to_datetime(text).timestamp() == int(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *((DATE, SECONDS), ("Sunday, 06-Nov-94 08:49:37 GMT", SECONDS), ("Sun, 06 Nov 1994 09:49:37 +0100", SECONDS)),
        *((text, None) for text in (None, "", "0", "yesterday", "Sun, 31 Feb 2024 00:00:00 GMT")),
        *((text, None) for text in ("Sun, 06 Nov 1994 25:00:00 GMT", "Sun, 00 Nov 1994 00:00:00 GMT")),
    ],
)
def test_dates(text, seconds):
    assert parse_date(text) == seconds
