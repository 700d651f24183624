"""Small files that come whole: a plain answer is taken as it lies there, any other is read with care."""

import contextlib
import email.utils
import errno
import itertools
import os
import stat
import threading
import time
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirrorpy.config.model import Connection, Repository
from mirrorpy.errors import FetchError, LocalError, NotFound
from mirrorpy.rpmmd.href import quote_href
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile
from mirrorpy.store import incoming
from mirrorpy.store.incoming import Partial, keep_whole
from mirrorpy.sync.bring import MANY, MOST_AHEAD, Bringer, Failed, Landed
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
    read = bytearray()
    read_into(read, session, url)
    return bytes(read)


def read_into(read, session, url):
    """Add what comes with all care to what was read."""
    with session.open(url, {}, named=(), tally=Tally()) as response:
        for part in response.iter_raw():
            read += part


def whole(session, url, href, size, take=None):
    """What comes whole: body and time; None where nothing does."""
    return next(iter(run(session, url, {href: size}, take)), None)


def run(session, url, sizes, take=None):
    """What comes whole of several, by href and size."""
    taken = []

    def keep(body, modified):
        if take is None or take(body, modified):
            taken.append((bytes(body), modified))
            return True
        return False

    session.whole(session.route(url, ()), [*sizes], [*sizes.values()], keep)
    return taken


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
    """An answer may come in any pieces."""
    body = os.urandom(size)
    answer = ok(body)
    cut = answer.index(b"\r\n\r\n") + 4

    def pause(_):
        time.sleep(0.02)

    in_body, in_header = ([answer[:at], pause, answer[at:]] for at in (cut + size // 3, 20))
    server = serve([FIRST, in_body, in_header])
    one = session(server.url)
    assert whole(one, server.url, "a", size) == (body, "")
    assert whole(one, server.url, "b", size) == (body, "")
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
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"Content-Length: 3\r\n\r\nabc",
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


def test_what_came_before_a_reset(serve, session):
    """Is not lost."""
    at, body = threading.Event(), os.urandom(1000)

    def reset(connection):
        at.wait(10)
        connection.reset()

    server = serve([FIRST, [ok(body)[:-1], reset]])
    one = session(server.url)
    threading.Timer(AT_ONCE / 2, at.set).start()
    assert whole(one, server.url, "a", len(body)) is None
    read = bytearray()
    with pytest.raises(FetchError, match="connection failed"):
        read_into(read, one, server.url + "a")
    assert read == body[:-1]
    assert len(server.asked) == 2


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
    assert whole(one, server.url, "a", len(body)) == (body, "")
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
        one.settle(last=False)
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


# Several, one after the other


def hang_up(connection):
    connection.close()


def read_on(session, *urls):
    """What care makes of answers, one after the other."""
    read = []
    for number, url in enumerate(urls):
        with session.open(url, {}, named=(), tally=Tally(), ahead=urls[number + 1 :]) as response:
            read.append(b"".join(bytes(part) for part in response.iter_raw()))
    return read


def test_a_run(serve, session):
    server = serve([FIRST, [ok(b"abc")], [ok(b"d", b"Last-Modified: " + DATE.encode())], [ok(b"ef")]])
    one = session(server.url)
    assert run(one, server.url, {"a": 3, "b": 1, "c": 2}) == [(b"abc", ""), (b"d", DATE), (b"ef", "")]
    assert server.asked == [(0, "/"), (0, "/a"), (0, "/b"), (0, "/c")]


def test_requests_of_a_run_are_sent_before_their_turn(serve, session):
    """So that the server need not wait for us, nor we for it."""
    seen = []

    def look(connection):
        seen.append(connection.read_head().split()[1])

    server = serve([FIRST, [look, ok(b"abc") + ok(b"d")]])
    assert run(session(server.url), server.url, {"a": 3, "b": 1}) == [(b"abc", ""), (b"d", "")]
    assert seen == [b"/b"]


@given(
    sizes=st.lists(st.one_of(st.integers(1, 200), st.integers(1, WHOLE)), min_size=2, max_size=9),
    cuts=st.lists(st.integers(0, 9 * WHOLE), max_size=6),
    close=st.booleans(),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_run_in_any_pieces(serve, session, sizes, cuts, close):
    """However large it is, and wherever it is cut, in headers too."""
    bodies = [os.urandom(size) for size in sizes]
    answers = b"".join(ok(body, *[b"Connection: close"] * (close and body is bodies[-1])) for body in bodies)
    marks = [0, *sorted(cut for cut in cuts if cut < len(answers)), len(answers)]
    pieces = [answers[begin:end] for begin, end in itertools.pairwise(marks)]
    heads = [lambda connection: connection.read_head()] * (len(sizes) - 1)
    after = [[ok(b"after")]]
    server = serve([FIRST, [*heads, *pieces], *after], after)
    one = session(server.url)
    got = run(one, server.url, {f"f{number}": size for number, size in enumerate(sizes)})
    assert got == [(body, "") for body in bodies]
    assert asked(one, server.url + "after") == b"after"
    assert server.asked[-1] == (int(close), "/after")
    one.close()


@pytest.mark.parametrize("context", [False, True])
def test_a_run_that_breaks_off_goes_on_with_care(serve, session, certificate, context):
    """A good answer that is not plain costs no other request, nor do those that follow."""
    script = [FIRST, [ok(b"abc")], [ok(b"d", b"Connection: odd")], [ok(b"ef")]]
    server = serve(script, [[ok(b"g")]], context=certificate.context if context else None)
    one = session(server.url, tls={"sslcacert": certificate.authority} if context else None)
    assert run(one, server.url, {"a": 3, "b": 1, "c": 2}) == [(b"abc", "")]
    assert run(one, server.url, {"b": 1, "c": 2}) == [], "what is on its way is waited for"
    assert read_on(one, server.url + "b", server.url + "c") == [b"d", b"ef"]
    assert server.left[0].wait(10), "nobody else gets this connection"
    assert asked(one, server.url + "g") == b"g"
    assert server.asked[1:] == [(0, "/a"), (0, "/b"), (0, "/c"), (1, "/g")]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n", b"abc"])
def test_a_bad_answer_within_a_run_is_not_believed(serve, session, answer):
    """It may be another's: the file is asked for once more, alone."""
    server = serve([FIRST, [ok(b"abc")], [answer], [ok(b"ef")]], [[ok(b"d")], [ok(b"ef")]])
    one = session(server.url)
    assert run(one, server.url, {"a": 3, "b": 1, "c": 2}) == [(b"abc", "")]
    assert read_on(one, server.url + "b", server.url + "c") == [b"d", b"ef"]
    assert [asked for asked in server.asked if asked[0]] == [(1, "/b"), (1, "/c")]


def test_mixed_up_answers(serve, session):
    """Who mixes them up is asked one by one from then on."""
    server = serve([FIRST, [ok(b"abc")], [ok(b"x")]], [[ok(b"d")], [ok(b"e")]])
    one = session(server.url)
    assert not one.doubt(server.url, ()), "what came alone is what was asked for"
    assert run(one, server.url, {"a": 3, "b": 1, "c": 2}, lambda body, _: body != b"x") == [(b"abc", "")]
    assert read_on(one, server.url + "b") == [b"x"]
    assert one.doubt(server.url, ())
    assert read_on(one, server.url + "b") == [b"d"]
    assert not one.doubt(server.url, ())
    assert run(one, server.url, {"c": 1, "d": 1}) == [(b"e", "")]
    assert server.asked[-1] == (1, "/c")


@pytest.mark.parametrize(("answered", "asks"), [(1, [2, 2, 1]), (3, [4, 4, 4])])
def test_servers_that_close_connections(serve, session, answered, asks):
    """After so many answers, without a word; those that give less than they lose are spared."""
    answers = [[ok(b"a")] for _ in range(answered)]
    connections = [[*answers, [hang_up]] for _ in range(3)]
    server = serve([FIRST, *connections[0]], *([FIRST, *rest] for rest in connections[1:]))
    one = session(server.url)
    for number in range(3):
        if number:
            assert asked(one, server.url) == b"first"
        assert len(run(one, server.url, {f"f{each}": 1 for each in range(answered + 1)})) == answered
    sent = Counter(number for number, href in server.asked if href != "/")
    assert [sent[number] for number in range(3)] == asks
    assert one._direct.lines.bears(one.route(server.url, ()).server) == (answered == 3)


def test_a_last_answer_within_a_run(serve, session):
    """What was asked after it never comes."""
    server = serve([FIRST, [ok(b"abc", b"Connection: close")]], [[ok(b"d")]])
    one = session(server.url)
    assert run(one, server.url, {"a": 3, "b": 1}) == [(b"abc", "")]
    assert read_on(one, server.url + "b") == [b"d"]
    assert (1, "/b") in server.asked


def test_a_line_keeps_its_lane(serve, session):
    """As long as answers are on their way."""
    server = serve([FIRST, [ok(b"abc")], [ok(b"d")]])
    one = session(server.url, width=1)
    assert run(one, server.url, {"a": 3, "b": 1}, lambda *_: False) == []
    got = waits_for_a_lane(one, server.url)
    assert not got.wait(0.1)
    one.leave()
    assert server.left[0].wait(10)
    assert got.wait(10)


def test_a_disk_that_is_full_within_a_run(serve, session):
    def full(body, _):
        if body == b"d":
            raise LocalError("no room")
        return True

    server = serve([FIRST, [ok(b"abc")], [ok(b"d")], [ok(b"ef")]])
    one = session(server.url, width=1)
    with pytest.raises(LocalError, match="no room"):
        run(one, server.url, {"a": 3, "b": 1, "c": 2}, full)
    assert server.left[0].wait(10)
    assert waits_for_a_lane(one, server.url).wait(10)


def test_silence_within_a_run(serve, session):
    """It is no failure: the file is asked for once more, alone."""
    done = threading.Event()
    server = serve([FIRST, [ok(b"abc")], [lambda _: done.wait(10)]], [[ok(b"d")]])
    one = session(server.url, timeout=0.5)
    assert run(one, server.url, {"a": 3, "b": 1}) == [(b"abc", "")]
    assert read_on(one, server.url + "b") == [b"d"]
    done.set()


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
    end = data.find(b"\r\n\r\n", 0, got)
    plain = find_plain(data, 0, end, 3) if end >= 0 else None
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
    assert one.do([FILE]) == [Landed(FILE, incoming.place_in(str(tmp_path), FILE), len(DATA), 0, FILE.checksum)]
    assert os.stat(incoming.place_in(str(tmp_path), FILE)).st_mtime == SECONDS
    assert upstream.tally.requests == len(server.asked) == 2


def test_a_wrong_file_is_refused(bringer):
    """As it came, without another request."""
    server, _, one = bringer([FIRST, [ok(b"9876543210")]])
    (done,) = one.do([FILE])
    assert isinstance(done, Failed)
    assert "checksum" in done.error.cause
    assert len(server.asked) == 2


def test_a_leftover_is_gone_on_with(bringer, tmp_path):
    """It is not brought whole once more."""
    (tmp_path / os.path.basename(incoming.place_in("", FILE))).write_bytes(DATA[:4])
    rest = b"HTTP/1.1 206 x\r\nContent-Length: 6\r\nContent-Range: bytes 4-9/10\r\n\r\n" + DATA[4:]
    server, _, one = bringer([FIRST, [rest]])
    (done,) = one.do([FILE])
    assert (done.size, done.resumed) == (10, 4)
    assert len(server.asked) == 2


def test_what_this_run_left_is_gone_on_with(bringer):
    """Not brought whole, and thrown away."""
    rest = b"HTTP/1.1 206 x\r\nContent-Length: 6\r\nContent-Range: bytes 4-9/10\r\n\r\n" + DATA[4:]
    cut = [ok(DATA)[:-6], lambda connection: connection.close()]
    server, upstream, one = bringer([FIRST, cut], [[rest]], retries=0)
    assert isinstance(one.do([FILE])[0], Failed)
    assert one.do([FILE])[0].resumed == 4
    assert len(server.asked) == upstream.tally.requests == 3


def test_an_answer_that_nobody_reads_on(bringer, monkeypatch):
    def full(*_):
        raise LocalError("no room")

    server, _, one = bringer([FIRST, [ok(b"987654321o")]])
    monkeypatch.setattr("mirrorpy.sync.bring.Partial", full)
    with pytest.raises(LocalError, match="no room"):
        one.do([FILE])
    assert server.left[0].wait(10)


def numbered(*bodies):
    return [RemoteFile(f"f{number}.rpm", sha256(body), len(body), Kind.PACKAGE) for number, body in enumerate(bodies)]


def brought(bringer, files):
    """What becomes of each of these files, which one thread has in hand."""
    left, done = list(files), []
    while left:
        some = bringer.do(left)
        done += some
        del left[: len(some)]
    return done


def test_a_hand_is_brought_in_one_run(bringer, tmp_path):
    files = numbered(b"abc", b"d", b"ef")
    server, upstream, one = bringer([FIRST, [ok(b"abc")], [ok(b"d")], [ok(b"ef")]])
    assert len(one.do(files)) == 3
    assert upstream.tally.requests == len(server.asked) == 4
    assert all((tmp_path / os.path.basename(incoming.place_in("", file))).exists() for file in files)


def test_one_bad_file_of_a_hand(bringer):
    """It fails for what it is, and the others come."""
    files = numbered(b"abc", b"d", b"ef", b"g")
    missing = b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n"
    again = [[missing]], [[ok(b"ef")], [ok(b"g")]]
    _, upstream, one = bringer([FIRST, [ok(b"abc")], [missing], [ok(b"ef")], [ok(b"g")]], *again, retries=0)
    done = brought(one, files)
    assert [isinstance(each, Landed) for each in done] == [True, False, True, True]
    assert isinstance(done[1].error, NotFound)
    assert upstream.tally.retries == 0


def test_a_file_of_a_hand_that_is_something_else(bringer):
    files = numbered(b"abc", b"d", b"ef")
    _, _, one = bringer([FIRST, [ok(b"abc")], [ok(b"x")], [ok(b"ef")]], [[ok(b"x")], [ok(b"ef")]], retries=0)
    done = brought(one, files)
    assert [isinstance(each, Landed) for each in done] == [True, False, True]
    assert "checksum" in done[1].error.cause


def test_a_bad_file_alone_is_asked_for_once(bringer):
    """Also where others came in runs before."""
    files = numbered(b"abc", b"d")
    wrong = RemoteFile("wrong.rpm", sha256(bytes(WHOLE + 1)), WHOLE + 1, Kind.PACKAGE)
    server, _, one = bringer([FIRST, [ok(b"abc")], [ok(b"d")], [ok(b"1" * (WHOLE + 1))]], retries=0)
    assert all(isinstance(done, Landed) for done in brought(one, files))
    assert "checksum" in one.do([wrong])[0].error.cause
    assert len(server.asked) == 4


def test_runs_go_on_after_an_odd_answer(bringer):
    files = numbered(*(b"%d" % number for number in range(9)))
    answers = [[ok(b"%d" % number)] for number in range(9)]
    answers[1] = [ok(b"1", b"Connection: odd")]
    server, upstream, one = bringer([FIRST, *answers[:3]], [*answers[3:]], retries=0)
    assert all(isinstance(done, Landed) for done in brought(one, files[:3]))
    assert server.left[0].wait(10)
    assert len(one.do(files[3:4])) == 1
    assert len(one.do(files[4:])) == 5
    assert [number for number, _ in server.asked] == [0] * 4 + [1] * 6
    assert upstream.tally.requests == len(server.asked)


def test_what_is_on_its_way_is_given_up_with_the_last_of_a_hand(bringer, tmp_path):
    """Here is what nobody knew of: it is not asked for, or only for the rest of it."""
    files = numbered(b"abc", b"defg")
    server, _, one = bringer([FIRST, [ok(b"abc")], [ok(b"defg")]], [[ok(b"h")]])
    (tmp_path / os.path.basename(incoming.place_in("", files[1]))).write_bytes(b"defg")
    brought(one, files)
    assert server.left[0].wait(10)


def test_what_landed_before_the_disk_was_full_is_told(bringer, monkeypatch):
    files, keep = numbered(b"abc", b"d", b"ef"), keep_whole

    def full(path, file, data, modified):
        if file is files[1]:
            raise LocalError("no room")
        return keep(path, file, data, modified)

    monkeypatch.setattr("mirrorpy.sync.bring.keep_whole", full)
    server, _, one = bringer([FIRST, [ok(b"abc")], [ok(b"d")], [ok(b"ef")]])
    assert [done.file for done in one.do(files)] == files[:1]
    assert server.left[0].wait(10)


def test_a_kernel_that_does_not_hurry(serve, session, monkeypatch):
    monkeypatch.setattr("mirrorpy.upstream.wire._QUICKACK", 9999)
    server = serve([FIRST, [ok(b"abc")], [ok(b"d")]])
    assert run(session(server.url), server.url, {"a": 3, "b": 1}) == [(b"abc", ""), (b"d", "")]


def test_a_part_that_is_here_is_no_part_of_a_run(bringer, tmp_path):
    files = numbered(b"abc", b"defg", b"h")
    (tmp_path / os.path.basename(incoming.place_in("", files[1]))).write_bytes(b"de")
    rest = b"HTTP/1.1 206 x\r\nContent-Length: 2\r\nContent-Range: bytes 2-3/4\r\n\r\nfg"
    server, _, one = bringer([FIRST, [ok(b"abc")], [rest], [ok(b"h")]])
    assert [done.resumed for done in brought(one, files)] == [0, 2, 0]
    assert len(server.asked) == 4


def test_how_much_a_hand_takes(bringer):
    """Small files of a near server, as many as are soon there."""
    small, large = numbered(b"abc", bytes(WHOLE + 1))
    _, _, one = bringer([FIRST])
    assert one.reaches([small], small, MANY)
    assert not one.reaches([small], small, MANY - 1)
    assert not one.reaches([small], large, MANY)
    assert not one.reaches([small] * (MOST_AHEAD + 1), small, MANY)
    assert not one.reaches([large, large], small, MANY)


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
    upstream.whole([file], pytest.fail)
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
