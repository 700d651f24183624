"""Requests straight to servers: what is sent, who is given secrets, and which connection may be used again."""

import base64
import contextlib
import itertools
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from mirrorpy.config.load import load_config
from mirrorpy.config.model import Connection
from mirrorpy.errors import ConfigError, FetchError
from mirrorpy.rpmmd.model import Kind, RemoteFile
from mirrorpy.store.incoming import Partial
from mirrorpy.upstream import body as body_module
from mirrorpy.upstream import transfer as transfer_module
from mirrorpy.upstream.answer import Unusual
from mirrorpy.upstream.body import Broken
from mirrorpy.upstream.direct import Direct
from mirrorpy.upstream.network import Lanes
from mirrorpy.upstream.session import Session, Tally
from mirrorpy.upstream.transfer import Transfer
from mirrorpy.upstream.url import origin
from tests.faultserver import FaultServer
from tests.faultserver.connection import Connection as Link
from tests.faultserver.connection import Gone

from .documents import sha256
from .scripted import ok

PATIENCE = 10.0
"""Seconds to wait for a server that does answer, however busy the machine."""


def direct(tls=None, **settings):
    """Settings of a connection past every proxy; the default is no TLS."""
    return Direct(Connection(timeout=PATIENCE, **{"proxy": "", **settings}), tls)


@pytest.fixture(autouse=True)
def no_proxies(as_it_was):
    """Take every proxy out of the environment."""


# What is sent


def fields_of(request):
    """The header fields of a request, in order, names as they are."""
    lines = request.data.decode("latin-1").split("\r\n")
    assert lines[-2:] == ["", ""]
    return [tuple(line.split(": ", 1)) for line in lines[1:-2]]


def asked(url, own=None, /, *, trusted=True, **settings):
    """What is sent for a URL: the server, the first line, and the fields; None where httpx is to ask."""
    request = direct(**settings).request("GET", url, own or {}, trusted=trusted)
    return request and (request.server[:3], request.data.decode("latin-1").split("\r\n")[0], fields_of(request))


@pytest.mark.parametrize(
    ("url", "server", "target", "host"),
    [
        ("http://h/", ("http", "h", 80), "/", "h"),
        ("https://h/", ("https", "h", 443), "/", "h"),
        ("http://h", ("http", "h", 80), "/", "h"),
        ("http://h?a=b", ("http", "h", 80), "/?a=b", "h"),
        ("http://h:8080/a/b.rpm", ("http", "h", 8080), "/a/b.rpm", "h:8080"),
        ("http://h:80/", ("http", "h", 80), "/", "h:80"),
        ("http://Mirror.EXAMPLE.org/A", ("http", "mirror.example.org", 80), "/A", "Mirror.EXAMPLE.org"),
        ("http://xn--bcher-kva.example/", ("http", "xn--bcher-kva.example", 80), "/", "xn--bcher-kva.example"),
        ("http://a_b.c-d/", ("http", "a_b.c-d", 80), "/", "a_b.c-d"),
        ("http://[::1]/", ("http", "::1", 80), "/", "[::1]"),
        ("https://[2001:DB8::1]:8443/x", ("https", "2001:db8::1", 8443), "/x", "[2001:DB8::1]:8443"),
        ("http://h/a%2Bb~c/%C3%A9?x=1&y=/", ("http", "h", 80), "/a%2Bb~c/%C3%A9?x=1&y=/", "h"),
        ("http://h//other/x", ("http", "h", 80), "//other/x", "h"),
        ("http://u:p@h/", ("http", "h", 80), "/", "h"),
        ("http://other\\@h/", ("http", "h", 80), "/", "h"),
        ("http://h/@other/", ("http", "h", 80), "/@other/", "h"),
        ("http://h/http://other/", ("http", "h", 80), "/http://other/", "h"),
    ],
)
def test_who_is_asked_for_what(url, server, target, host):
    """As httpx does, and as those read it who say which server may have secrets."""
    got, line, fields = asked(url)
    assert (got, line, fields[0]) == (server, f"GET {target} HTTP/1.1", ("Host", host))
    assert origin(url) == server[1:]
    other = httpx.URL(url)
    assert (other.scheme, other.raw_host.decode().lower(), other.raw_path.decode()) == (*server[:2], target)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://h/", "file:///x", "HTTP://h/", "h/x", "http:///x", "http:h/", "//h/", ""),
        *("http://h:/", "http://h:port/", "http://h:99999/", "http://h:123456/", "http://h:-1/", "http://h:٣/"),
        *("http://h/ x", "http://h/x\r\nX: y", "http://h/\n", "http://h/\t", "http://h/\0", "http://h/\x7f"),
        *("http://h\r\n/", " http://h/", "http://h /", "http://u p@h/", "http://u\r\n@h/", "http://h\0/"),
        *("http://h/é", "http://bücher.example/", "http://h\u2024example/", "http://h%2eexample/"),
        *("http://h/#x", "http://h#x", "http://[fe80::1%25eth0]/", "http://[::1/", "http://::1/", "http://[h]x/"),
        *("http://a@b@h/", "http://h\\other/", "http://h,other/", "http://*/"),
    ],
)
def test_urls_for_a_whole_http_library(url):
    assert asked(url) is None


@pytest.mark.parametrize("character", '"<>\\^`{|}')
def test_characters_that_no_url_has(character):
    """RFC 3986 has none of them, some servers refuse them, and httpx escapes them."""
    assert asked(f"http://h/a{character}b") is None


TOKENS = ("", "@", ":", "/", "\\", "?", "#", "[", "]", ".", "evil", "80", "%40", " ", "\t", "\r\n", "\uff20", "\xa0")


def test_nobody_else_is_asked_than_is_judged():
    """Whatever a URL is made of: the server that is asked is the one that may, or may not, have secrets."""
    one = direct()
    taken = 0
    for tokens in itertools.product(TOKENS, repeat=4):
        url = "http://{}{}h{}{}".format(*tokens)
        if request := one.request("GET", url, {}, trusted=True):
            taken += 1
            assert origin(url) in (request.server[1:3], None), url
    assert taken > 1000


def test_head():
    request = direct().request("HEAD", "http://h/x", {}, trusted=True)
    assert request.data.startswith(b"HEAD /x HTTP/1.1\r\nHost: h\r\n")
    assert request.bodiless


@pytest.mark.parametrize("value", ['"a"', 'W/"a"', "bytes=5-", 'a"\t\x80\xff', ""])
def test_headers_of_one_request(value):
    fields = asked("http://h/", {"If-None-Match": value, "Range": "bytes=0-0"})[2]
    assert fields[-2:] == [("If-None-Match", value), ("Range", "bytes=0-0")]


@pytest.mark.parametrize("value", ['"a\r\nX: y"', '"a"\n', '"a\r"', '"\0"', '"\x7f"', '"\u0100"', '"\ud800"', "\x1b"])
def test_headers_that_cannot_be_sent(value):
    """An ETag, say, that stands in the state as the server gave it."""
    assert asked("http://h/", {"If-None-Match": value}) is None


@pytest.mark.parametrize("settings", [{"proxy": "http://p:3128"}, {"proxy": None}, {"headers": (("hOst", "x"),)}])
def test_settings_for_a_whole_http_library(settings, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://p:3128")
    assert asked("http://h/", **settings) is None


@pytest.mark.parametrize("proxy", ["", "_none_"])
def test_no_proxy_even_if_there_is_one(proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://p:3128")
    assert asked("http://h/", proxy=proxy)


def test_no_proxy_in_the_environment(monkeypatch):
    monkeypatch.setenv("no_proxy", "example.org")
    monkeypatch.setenv("http_proxy", "")
    assert asked("http://h/", proxy=None)


# Secrets


def basic(login):
    return "Basic " + base64.b64encode(login.encode()).decode()


@pytest.mark.parametrize("trusted", [True, False])
def test_secrets_are_for_trusted_servers(trusted):
    settings = {"username": "u", "password": "p:é", "headers": (("X-Token", "t"), ("accept", "rpm"))}
    fields = dict(asked("http://h/", trusted=trusted, **settings)[2])
    assert fields.get("Authorization") == (basic("u:p:é") if trusted else None)
    assert fields.get("X-Token") == ("t" if trusted else None)
    assert {fields.get("Accept"), fields.get("accept")} == {None, "rpm" if trusted else "*/*"}


def test_trust_is_part_of_the_server():
    """So that no connection that was opened with a client certificate serves anybody else."""
    one = direct()
    assert one.request("GET", "https://h/", {}, trusted=True).server != (
        one.request("GET", "https://h/", {}, trusted=False).server
    )


@pytest.mark.parametrize(
    ("login", "sent"),
    [
        ("u:p", "u:p"),
        ("u", "u:"),
        ("u:p:q", "u:p:q"),
        ("u%40x:p%2F%3A%0A", "u@x:p/:\n"),
        ("%C3%A9:é", "é:é"),
        (":p", ":p"),
        ("", None),
        (":", None),
    ],
)
@pytest.mark.parametrize("trusted", [True, False])
def test_login_in_a_url(login, sent, trusted):
    """It is for whomever the URL names; of none, none is sent (httpx does so too)."""
    fields = asked(f"http://{login}@h/", trusted=trusted)[2]
    assert [value for name, value in fields if name == "Authorization"] == ([basic(sent)] if sent else [])
    assert all("@" not in value for name, value in fields if name != "Authorization")


def test_a_login_is_for_its_url_alone():
    one = direct()
    for login, sent in [("a:b@", basic("a:b")), ("", None), ("c:d@", basic("c:d")), ("a:b@", basic("a:b"))]:
        fields = dict(fields_of(one.request("GET", f"http://{login}h/", {}, trusted=True)))
        assert fields.get("Authorization") == sent


@pytest.mark.parametrize(
    ("url", "settings", "sent"),
    [
        ("http://a:b@h/", {"username": "u", "password": "p"}, basic("u:p")),
        ("http://h/", {"username": "u", "headers": (("authorization", "Bearer t"),)}, basic("u:")),
        ("http://a:b@h/", {"headers": (("AUTHORIZATION", "Bearer t"),)}, basic("a:b")),
        ("http://h/", {"headers": (("authorization", "Bearer t"),)}, "Bearer t"),
    ],
)
def test_one_authorization_is_sent(url, settings, sent):
    """The most particular, whatever the case of its name: httpx's order."""
    fields = asked(url, **settings)[2]
    assert [value for name, value in fields if name.lower() == "authorization"] == [sent]


@pytest.mark.parametrize("name", ["Host ", "Content-Length : 5", "X: y", "X Y", "X(Y", "[x]", ":"])
def test_header_names_that_are_none(name):
    """What such a line says is for the server to guess: framing, in the worst case."""
    assert asked("http://h/", headers=((name, "x"),)) is None


def test_a_password_that_is_no_text(tmp_path):
    """Environments hold bytes; those that are no UTF-8 cannot be sent."""
    file = tmp_path / "m.yaml"
    file.write_text("root: /pub\nrepos: [{id: a, baseurl: 'http://h/', username: u, password: '${PW}'}]\n")
    with pytest.raises(ConfigError, match="password"):
        load_config(file, {"PW": "\udcff"})


# Connections


@pytest.fixture
def connect():
    """Makes what asks them, and closes its connections in the end."""
    with contextlib.ExitStack() as made:
        yield lambda *given, **settings: made.enter_context(contextlib.closing(direct(*given, **settings)))


def fetch(one, url, method="GET", *, trusted=True):
    """Ask, read, and say what came."""
    with one.ask(one.request(method, url, {}, trusted=trusted)) as answer:
        return b"".join(bytes(part) for part in answer.iter_raw())


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_connection_is_kept(serve, connect, certificate, secure):
    context, trusting = certificate.context, ssl.create_default_context(cafile=certificate.authority)
    script = [[ok(b"a")], [ok(b"b")], [ok(b"c")]]
    server, one = serve(script, context=context if secure else None), connect(lambda _: trusting)
    assert [fetch(one, server.url + name) for name in "abc"] == [b"a", b"b", b"c"]
    assert server.asked == [(0, "/a"), (0, "/b"), (0, "/c")]
    one.close()
    assert server.left[0].wait(PATIENCE)


def test_trusted_and_not_are_never_on_one_connection(serve, connect):
    server, one = serve([[ok(b"a")], [ok(b"c")]], [[ok(b"b")], [ok(b"d")]]), connect()
    for name, trusted in (("a", True), ("b", False), ("c", True), ("d", False)):
        assert fetch(one, server.url + name, trusted=trusted) == name.encode()
    assert server.asked == [(0, "/a"), (1, "/b"), (0, "/c"), (1, "/d")]


def test_client_certificates_are_for_trusted_servers(serve, connect, certificate):
    asked_for = []

    def contexts(trusted):
        asked_for.append(trusted)
        return ssl.create_default_context(cafile=certificate.authority)

    server, one = serve([[ok(b"a")]], [[ok(b"b")]], context=certificate.context), connect(contexts)
    assert fetch(one, server.url, trusted=False) == b"a"
    assert fetch(one, server.url, trusted=True) == b"b"
    assert asked_for == [False, True]


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"a", b"Connection: close"),
        ok(b"a").replace(b"1.1", b"1.0"),
        ok(b"a") + b"\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n" + ok(b"evil"),
    ],
)
def test_a_connection_is_not_kept(serve, connect, answer):
    server, one = serve([[answer], [ok(b"evil")]], [[ok(b"b")]]), connect()
    assert fetch(one, server.url) in (b"a", b"")
    assert server.left[0].wait(PATIENCE)
    assert fetch(one, server.url) == b"b"


def test_a_body_that_was_not_read_to_its_end(serve, connect):
    long = bytes(600_000)
    server, one = serve([[ok(long)], [ok(b"evil")]], [[ok(long)], [ok(b"evil")]], [[ok(b"c")]]), connect()
    with one.ask(one.request("GET", server.url, {}, trusted=True)):
        pass
    with one.ask(one.request("GET", server.url, {}, trusted=True)) as answer:
        next(answer.iter_raw())
    assert fetch(one, server.url) == b"c"
    assert all(left.wait(PATIENCE) for left in server.left[:2])


def test_a_consumer_that_fails(serve, connect):
    server, one = serve([[ok(b"a")[:-1]]]), connect()
    with pytest.raises(KeyError), one.ask(one.request("GET", server.url, {}, trusted=True)):
        raise KeyError
    assert server.left[0].wait(PATIENCE)


def test_a_server_that_breaks_off(serve, connect):
    server, one = serve([[b"rubbish\r\n\r\n"], []], [[ok(b"b")]]), connect()
    with pytest.raises(Broken, match="no HTTP"):
        fetch(one, server.url)
    assert server.left[0].wait(PATIENCE)
    assert fetch(one, server.url) == b"b"


@pytest.mark.parametrize("end", [Link.finish, Link.reset], ids=["closed", "reset"])
def test_a_kept_connection_that_the_server_closed(serve, connect, end):
    server, one = serve([[ok(b"a"), end]], [[ok(b"b")]]), connect()
    assert fetch(one, server.url + "a") == b"a"
    assert fetch(one, server.url + "b") == b"b"
    assert server.asked[-1] == (1, "/b")


def test_a_kept_connection_that_is_closed_instead_of_an_answer(serve, connect):
    server, one = serve([[ok(b"a")]], [[ok(b"b")]]), connect()
    assert fetch(one, server.url + "a") == b"a"
    assert fetch(one, server.url + "b") == b"b"
    assert server.asked == [(0, "/a"), (0, "/b"), (1, "/b")]


def test_a_request_is_repeated_once(serve, connect):
    server, one = serve([[ok(b"a")]], [], []), connect()
    assert fetch(one, server.url + "a") == b"a"
    with pytest.raises(Broken, match="closed without an answer"):
        fetch(one, server.url + "b")
    assert server.asked == [(0, "/a"), (0, "/b"), (1, "/b")]


LONG = bytes(300_000)
LATE = {
    "body after HEAD": ("HEAD", ok(b"")[:-2] + b"\r\n", ok(b"evil")),
    "body after 304": ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n", ok(b"evil")),
    "another answer": ("GET", ok(b"a"), ok(b"evil")),
    "empty line": ("GET", ok(b"a"), b"\r\n"),
    "rubbish": ("GET", ok(b"a"), b"rubbish"),
}


@pytest.mark.parametrize("case", LATE)
def test_what_comes_unasked_is_no_answer(serve, connect, case):
    """A client must not take it for one, and should close the connection (RFC 9112, 9.2)."""
    method, answer, surplus = LATE[case]
    go, sent = threading.Event(), threading.Event()
    late = [answer, lambda _: go.wait(PATIENCE), surplus, lambda _: sent.set()]
    server, one = serve([late, [ok(b"b")]], [[ok(b"b")]]), connect()
    fetch(one, server.url + "a", method)
    go.set()
    assert sent.wait(PATIENCE)
    assert fetch(one, server.url + "b") == b"b"


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_what_comes_behind_a_long_body_is_no_answer(serve, connect, certificate, secure):
    """It was there before the next request, in the system's buffers or in TLS's."""
    trusting = ssl.create_default_context(cafile=certificate.authority)
    context = certificate.context if secure else None
    server, one = (
        serve([[ok(LONG) + ok(b"evil")], [ok(b"b")]], [[ok(b"b")]], context=context),
        connect(lambda _: trusting),
    )
    assert fetch(one, server.url + "a") == LONG
    assert fetch(one, server.url + "b") == b"b"


def test_a_server_for_a_whole_http_library(serve, connect):
    server, other, one = serve([[b"HTTP/1.1 200 OK\nContent-Length: 1\n\na"]]), serve([[ok(b"b")]]), connect()
    with pytest.raises(Unusual):
        fetch(one, server.url)
    assert server.left[0].wait(PATIENCE)
    assert one.request("GET", server.url + "x", {}, trusted=False) is None
    assert fetch(one, other.url) == b"b"


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"304 Not Modified"])
def test_cookies_are_left(serve, connect, status):
    answer = b"HTTP/1.1 %s\r\nSet-Cookie: a=b\r\nLocation: /\r\nContent-Length: 0\r\n\r\n" % status
    server, one = serve([[answer], [ok(b"b")]]), connect()
    assert [fetch(one, server.url), fetch(one, server.url)] == [b"", b"b"]


def test_a_connection_in_use_when_all_are_closed(serve, connect):
    """Nobody will come for it again."""
    server, one = serve([[ok(b"a")]]), connect()
    with one.ask(one.request("GET", server.url, {}, trusted=True)):
        one.close()
    closed = server.left[0].wait(1)
    one.close()
    assert closed


def test_threads(tmp_path, connect):
    """Each gets what it asked for."""
    for number in range(8):
        (tmp_path / str(number)).write_bytes(bytes([number]) * (1 + number * 40_000))
    one = connect()

    def ask(number):
        return [fetch(one, f"{server.url}{number}") for _ in range(10)]

    with FaultServer(tmp_path) as server, ThreadPoolExecutor(8) as executor:
        for number, bodies in enumerate(executor.map(ask, range(8))):
            assert bodies == [bytes([number]) * (1 + number * 40_000)] * 10
        one.close()


# With those above it


@pytest.fixture
def session():
    """Makes sessions, and closes their connections in the end."""
    with contextlib.ExitStack() as made:

        def make(**settings):
            given = Connection(timeout=PATIENCE, **{"proxy": "", **settings})
            return made.enter_context(contextlib.closing(Session(given, Lanes(8))))

        yield make


def ask(session, url, own=None):
    with session.open(url, own or {}, named=(), tally=Tally()) as response:
        return b"".join(bytes(part) for part in response.iter_raw())


def test_redirect_with_a_name_that_is_not_ascii(serve, session):
    """Servers write UTF-8, and browsers, curl and httpx read it."""
    answer = b"HTTP/1.1 302 Found\r\nLocation: /\xc3\xa9\r\nContent-Length: 0\r\n\r\n"
    server = serve([[answer], [ok(b"a")]], [[ok(b"a")]])
    assert ask(session(), server.url) == b"a"
    assert [path for _, path in server.asked] == ["/", "/%C3%A9"]


@pytest.mark.parametrize(
    ("before", "byte"),
    [(b"3;", b"a"), (b"3\r\nabc\r\n0\r\nA:", b"a"), (b"3\r\nabc\r\n0\r\n", b"\n")],
    ids=["extension", "trailer", "trailers"],
)
def test_chunks_that_drip(serve, session, tmp_path, monkeypatch, before, byte):
    """Though not a byte of the body comes."""
    monkeypatch.setattr(transfer_module, "FLOOR_WINDOW", 0.2)
    monkeypatch.setattr(body_module, "LINE_SECONDS", 0.2)
    over = time.monotonic() + 1

    def drip(connection):
        while time.monotonic() < over:
            connection.send(byte)
            connection.wait(0.02)
        raise Gone

    server = serve([[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + before, drip]])
    sink = Partial(str(tmp_path), RemoteFile("a", sha256(b"abc"), 3, Kind.PACKAGE))
    transfer = Transfer(session(), Tally(), sink, named=(), minrate=1000, throttles=(), received=lambda _: None)
    with contextlib.closing(sink), pytest.raises(FetchError) as raised:
        transfer.attempt(server.url)
    assert raised.value.retryable
    assert time.monotonic() < over
