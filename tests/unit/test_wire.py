"""One connection: heads that are understood, left to others, or none; when another answer may follow; silence."""

import contextlib
import fcntl
import socket
import ssl
import struct
import termios
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mirrorpy.upstream import wire as wire_module
from mirrorpy.upstream.answer import Unusual
from mirrorpy.upstream.wire import HEAD_CAP, Broken, Stale, Wire
from tests.faultserver.certificates import make_certificate

HERE = "127.0.0.1"
REQUEST = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
PATIENCE, TIMEOUT = 10.0, 0.2
"""Seconds that a wire waits for a server that does answer, however busy the machine; and for one that does not."""
SOON = 1.0
"""Seconds in which everything here is over, and after which a server that was silent hangs up."""
hasty = pytest.mark.parametrize("link", [TIMEOUT], indirect=True)
hasty_tls = pytest.mark.parametrize("secured", [TIMEOUT], indirect=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


class Link:
    """A wire, and the server's end of it: what is said before the request is asked is waiting there already."""

    def __init__(self, wire, server):
        self.wire, self.server = wire, server

    def ask(self, answer, *, bodiless=False):
        self.server.sendall(answer)
        return self.wire.ask(REQUEST, bodiless=bodiless)

    def say(self, *parts):
        """Send each part after the one before it was read."""
        for part in parts:
            until = time.monotonic() + SOON
            while self._unread() and time.monotonic() < until:
                time.sleep(0.0005)
            self.server.sendall(part)

    def _unread(self):
        return struct.unpack("i", fcntl.ioctl(self.wire._socket, termios.FIONREAD, b"\0" * 4))[0]

    def end(self, *, reset):
        if reset:
            self.server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.server.close()

    def hang_up(self):
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def listening():
    with socket.create_server((HERE, 0)) as listening:
        yield listening


@pytest.fixture
def link(listening, request):
    wire = Wire(*listening.getsockname(), None, getattr(request, "param", PATIENCE))
    with contextlib.closing(wire), listening.accept()[0] as server:
        yield Link(wire, server)


@pytest.fixture
def aside():
    """Somebody who does things meanwhile, and whose errors count."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@contextlib.contextmanager
def soon(hang_up=lambda: None):
    """Assert that it does not take long; whoever waits for a silent server is woken in the end."""
    timer = threading.Timer(SOON, hang_up)
    timer.start()
    started = time.monotonic()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
    assert time.monotonic() - started < SOON


def body(answer):
    """The bytes, copied as they come."""
    return b"".join(bytes(part) for part in answer.iter_raw())


# Asking ahead


LATER, LAST = b"GET /later HTTP/1.1\r\n\r\n", b"GET /last HTTP/1.1\r\n\r\n"
ANSWERS = OK + b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nlater" + b"HTTP/1.1 304 Not Modified\r\n\r\n"


@pytest.mark.parametrize("at", range(0, len(ANSWERS), 3))
def test_answers_that_came_together(link, aside, at):
    """Wherever a packet ends, each answer is its own request's, and each request is sent once."""
    said = aside.submit(link.say, ANSWERS[:at], ANSWERS[at:])
    first = link.wire.ask(REQUEST, bodiless=False, ahead=[LATER, LAST])
    assert (body(first), first.reusable, link.wire.waiting) == (b"ok", True, 2)
    assert link.wire.expects(LATER)
    assert not link.wire.expects(LAST)
    second = link.wire.ask(LATER, bodiless=False, ahead=[LAST])
    assert (second.status_code, body(second), second.reusable) == (404, b"later", True)
    third = link.wire.ask(LAST, bodiless=False)
    assert (third.status_code, body(third), third.reusable) == (304, b"", True)
    assert (link.wire.waiting, link.wire.answered_ahead) == (0, 2)
    said.result()
    assert link.server.recv(4096) == REQUEST + LATER + LAST


def test_what_comes_besides_is_no_answer(link):
    link.server.sendall(OK + OK + OK)
    assert body(link.wire.ask(REQUEST, bodiless=False, ahead=[LATER])) == b"ok"
    answer = link.wire.ask(LATER, bodiless=False)
    assert (body(answer), answer.reusable) == (b"ok", False)


@pytest.mark.parametrize("answer", [CHUNKED + OK, b"HTTP/1.1 200 OK\r\n\r\nok" + OK])
def test_answers_without_a_length_end_it(link, answer):
    """Where the next one begins within what came, nobody looks."""
    link.server.sendall(answer)
    first = link.wire.ask(REQUEST, bodiless=False, ahead=[LATER])
    link.hang_up()
    assert body(first)[:2] == b"ok"
    assert not first.reusable


def test_an_answer_that_was_asked_ahead_and_does_not_come(link):
    link.server.sendall(OK)
    assert body(link.wire.ask(REQUEST, bodiless=False, ahead=[LATER])) == b"ok"
    link.hang_up()
    with pytest.raises(Stale):
        link.wire.ask(LATER, bodiless=False)
    assert (link.wire.waiting, link.wire.answered_ahead) == (1, 0)


def test_the_way_to_the_server_and_back(link, aside):
    def answer(after):
        time.sleep(after)
        link.server.sendall(OK)

    assert link.wire.trip == 0
    for pause in (0.02, 1.0):
        answered = aside.submit(answer, pause)
        assert body(link.wire.ask(REQUEST, bodiless=False)) == b"ok"
        answered.result()
        assert 0.01 <= link.wire.trip < 1.0


# Heads


HEADS = [
    (b"HTTP/1.1 200 OK\r\n", (200, "OK", {})),
    (b"HTTP/1.1 200\r\n", (200, "", {})),
    (b"HTTP/1.1 200 \r\n", (200, "", {})),
    (b"HTTP/1.0 599 Sehr sch\xf6n, so\r\n", (599, "Sehr schön, so", {})),
    (b'HTTP/1.1 404 Not Found\r\nETag: "a"\r\n', (404, "Not Found", {"ETag": '"a"', "etag": '"a"', "ETAG": '"a"'})),
    (b"HTTP/1.1 200 OK\r\nA:b\r\nC: \t d e \t \r\nF:\r\n", (200, "OK", {"A": "b", "C": "d e", "F": ""})),
    (b"HTTP/1.1 200 OK\r\nA: b: c\r\nA: d\r\na:\r\n", (200, "OK", {"a": "b: c, d, "})),
    (b"HTTP/1.1 200 OK\r\n!#$%&'*+-.^_`|~09Az: \xe9\x7f\r\n", (200, "OK", {"!#$%&'*+-.^_`|~09az": "\xe9\x7f"})),
]


@pytest.mark.parametrize(("head", "expected"), HEADS)
def test_head(link, head, expected):
    answer = link.ask(head + b"Content-Length: 2\r\n\r\nok")
    status, reason, fields = expected
    assert (answer.status_code, answer.reason_phrase) == (status, reason)
    assert {name: answer.headers.get(name) for name in fields} == fields
    assert answer.headers.get("Set-Cookie") == ""
    assert answer.headers.get("Set-Cookie", "none") == "none"
    assert body(answer) == b"ok"
    assert link.server.recv(1000) == REQUEST


def test_head_that_comes_byte_by_byte(link, aside):
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\r\n\r\n"
    said = aside.submit(link.say, *(answer[at : at + 1] for at in range(len(answer))))
    assert body(link.wire.ask(REQUEST, bodiless=False)) == b"\r\n\r\n"
    said.result()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n c: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA\xe9: b\r\n\r\n",
        b"HTTP/1.1 200 \x1b[31m\r\n\r\n",
        b"HTTP/1.0 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200\nContent-Length: 4\n\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nok",
    ],
)
def test_heads_that_another_library_should_read(link, answer):
    """It refuses them, or knows what they mean; nobody waits for what does not come."""
    with soon(link.hang_up), pytest.raises(Unusual):
        link.ask(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"\r\n\r\n",
        b"<html></html>\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"\0\r\n\r\n",
    ],
)
def test_heads_that_are_none(link, answer):
    with pytest.raises(Broken, match="the answer is no HTTP"):
        link.ask(answer)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", b"HTTP/1.1 1\0 x\n:\r\n\r\n"]
)
def test_what_announces_no_answer(link, head):
    """Nobody asked for another protocol (RFC 9110, 15.2.2); and what is not even a head is not passed over."""
    with pytest.raises((Unusual, Broken)):
        link.ask(head + OK)


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 100\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 1000,
        b"HTTP/1.1 199 What\r\n\r\n",
    ],
)
def test_interim_answers(link, interim):
    answer = link.ask(interim + OK)
    assert (answer.status_code, body(answer), answer.reusable) == (200, b"ok", True)


@pytest.mark.parametrize("size", [HEAD_CAP, HEAD_CAP + 1])
def test_a_large_head(link, size):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: %s\r\n\r\n"
    answer = head % (b"a" * (size - len(head) + 2))
    assert len(answer) == size
    if size <= HEAD_CAP:
        assert link.ask(answer).reusable
    else:
        with pytest.raises(Broken, match=f"more than {HEAD_CAP} bytes"):
            link.ask(answer)


@pytest.mark.parametrize("value", [b"a" + b" \t" * 15_000 + b"b", b", " * 15_000, b" " * 30_000 + b"b"])
def test_a_head_is_read_in_linear_time(link, value):
    link.server.sendall(b"HTTP/1.1 200 OK\r\nA: %s\r\nContent-Length: 0\r\n\r\n" % value)
    started = time.thread_time()
    answer = link.wire.ask(REQUEST, bodiless=False)
    assert time.thread_time() - started < 0.05
    assert answer.headers.get("a") == value.decode().strip(" \t")


# Bodies, and what may follow


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", b""),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
)
def test_the_next_answer_may_follow(link, answer, expected):
    got = link.ask(answer)
    assert (body(got), got.reusable) == (expected, True)
    assert body(link.ask(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")) == b"next"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK + b"\r\n", b"ok"),
        (OK + OK, b"ok"),
        (OK.replace(b"1.1", b"1.0"), b"ok"),
        (OK.replace(b"1.1", b"1.0").replace(b"OK\r\n", b"OK\r\nConnection: keep-alive\r\n"), b"ok"),
        (OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), b"ok"),
        (OK.replace(b"OK\r\n", b"OK\r\nconnection: Keep-Alive\r\nConnection: Close\r\n"), b"ok"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", b""),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n" + OK, b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\r\n", b"ok"),
    ],
)
def test_no_answer_may_follow(link, answer, expected):
    got = link.ask(answer)
    assert (body(got), got.reusable) == (expected, False)


def test_no_answer_may_follow_what_ends_with_the_connection(link):
    answer = link.ask(b"HTTP/1.1 200 OK\r\n\r\nok")
    link.hang_up()
    assert (body(answer), answer.reusable) == (b"ok", False)


@pytest.mark.parametrize("length", [b"11", b"2", b"\xb2"])
def test_chunks_and_a_length_are_not_both_believed(link, length):
    """RFC 9112, 6.3: chunks win, the length is to be removed, and it "ought to be handled as an error"."""
    fields = b"Transfer-Encoding: chunked\r\nContent-Length: " + length
    answer = link.ask(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n2\r\nok\r\n0\r\n\r\n" % fields)
    assert answer.headers.get("Content-Length") == ""
    assert (body(answer), answer.reusable) == (b"ok", False)


@pytest.mark.parametrize(
    ("fields", "sent", "reusable"),
    [
        (b"Content-Length: 2", b"", True),
        (b"Transfer-Encoding: chunked", b"", True),
        (b"Server: x", b"", True),
        (b"Content-Length: 2", b"ok", False),
    ],
)
def test_answers_to_head(link, fields, sent, reusable):
    answer = link.ask(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (fields, sent), bodiless=True)
    assert (body(answer), answer.reusable) == (b"", reusable)


@pytest.mark.parametrize(("sent", "reusable"), [(b"ok", True), (b"o", False), (b"", False), (b"ok!", False)])
def test_a_body_that_nobody_reads(link, sent, reusable):
    assert link.ask(OK[:-2] + sent).reusable is reusable


def test_a_large_body(link, aside):
    sent = bytes(range(251)) * 20_000
    said = aside.submit(link.server.sendall, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(sent), sent))
    answer = link.wire.ask(REQUEST, bodiless=False)
    assert body(answer) == sent
    assert answer.reusable
    said.result()


# Silence, and connections that end


@hasty
def test_silence_before_the_answer(link):
    with soon(link.hang_up), pytest.raises(Broken, match="timed out waiting for data"):
        link.wire.ask(REQUEST, bodiless=False)


@hasty
def test_silence_within_a_head(link):
    with soon(link.hang_up), pytest.raises(Broken, match="timed out waiting for data"):
        link.ask(b"HTTP/1.1 200 OK\r\n")


@hasty
def test_silence_within_a_body(link):
    answer = link.ask(OK[:-1])
    with soon(link.hang_up), pytest.raises(Broken, match="timed out waiting for data"):
        body(answer)


def test_a_head_that_drips(link, aside, monkeypatch):
    monkeypatch.setattr(wire_module, "HEAD_SECONDS", TIMEOUT)
    stop = threading.Event()

    def drip():
        while not stop.wait(TIMEOUT / 10):
            link.server.sendall(b"a")

    said = aside.submit(drip)
    with soon(stop.set), pytest.raises(Broken, match="timed out waiting for the end of the answer's header"):
        link.wire.ask(REQUEST, bodiless=False)
    stop.set()
    said.result()


def test_a_head_that_is_late_but_does_not_drip(link, aside, monkeypatch):
    """Its time runs from its first byte: how long that takes to come is `timeout`'s business."""
    monkeypatch.setattr(wire_module, "HEAD_SECONDS", TIMEOUT)

    def be_late():
        time.sleep(1.5 * TIMEOUT)
        link.say(OK[:20], OK[20:])

    said = aside.submit(be_late)
    assert body(link.wire.ask(REQUEST, bodiless=False)) == b"ok"
    said.result()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nConte"], ids=["silent", "begun"])
def test_a_connection_that_ends_after_the_request(link, aside, sent, kept, reset):
    """Only of one that was used before, and says nothing at all, it is known that the request went nowhere."""
    if kept:
        assert link.ask(OK).reusable
        assert link.server.recv(1000) == REQUEST

    def end():
        assert link.server.recv(1000) == REQUEST
        if sent:
            link.say(sent, b"nt-Length")
        link.end(reset=reset)

    ended = aside.submit(end)
    with pytest.raises(Stale if kept and not sent else Broken):
        link.wire.ask(REQUEST, bodiless=False)
    ended.result()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_kept_connection_that_ended_before_the_request(link, reset):
    assert link.ask(OK).reusable
    assert link.server.recv(1000) == REQUEST
    link.end(reset=reset)
    with pytest.raises(Stale):
        link.wire.ask(REQUEST, bodiless=False)


def test_a_body_that_ends_too_early(link):
    answer = link.ask(OK[:-1])
    link.hang_up()
    with pytest.raises(Broken, match="closed 1 bytes before the end"):
        body(answer)


# Connecting, and TLS


def test_nobody_listens(listening):
    address = listening.getsockname()
    listening.close()
    with pytest.raises(Broken, match=r"cannot connect: .*refused") as raised:
        Wire(*address, None, PATIENCE)
    assert not raised.value.hopeless


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_hosts_without_an_address(host):
    with pytest.raises(Broken, match="cannot connect"):
        Wire(host, 80, None, PATIENCE)


class Secured:
    """The server's end of a connection with TLS, whose records can be had before they are sent."""

    def __init__(self, link, context):
        self._link, self._in, self._out = link, ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        shaken = False
        while not shaken:
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                shaken = True
            link.sendall(self._out.read())
            if not shaken:
                self._in.write(link.recv(65536))

    def record(self, data):
        self._tls.write(data)
        return self._out.read()

    def sendall(self, data):
        self._link.sendall(self.record(data))

    def shutdown(self, how):
        self._link.shutdown(how)


@pytest.fixture(scope="module")
def certificate():
    certificate = make_certificate("good")
    yield certificate
    certificate.folder.cleanup()


@pytest.fixture
def trusting(certificate):
    return ssl.create_default_context(cafile=certificate.authority)


@pytest.fixture
def secured(listening, certificate, trusting, aside, request):
    def accept():
        link, _ = listening.accept()
        return link, Secured(link, certificate.context)

    accepted = aside.submit(accept)
    wire = Wire(*listening.getsockname(), trusting, getattr(request, "param", PATIENCE))
    link, server = accepted.result()
    with contextlib.closing(wire), link:
        yield Link(wire, server)


def test_tls(secured):
    answer = secured.ask(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    secured.server.sendall(b"x" * 100_000)
    assert (body(answer), answer.reusable) == (b"x" * 100_000, True)


@hasty_tls
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", OK[:-1]], ids=["nothing", "half a head", "half a body"])
def test_silence_over_tls(secured, sent):
    with soon(secured.hang_up), pytest.raises(Broken, match="timed out waiting for data"):
        body(secured.ask(sent) if sent else secured.wire.ask(REQUEST, bodiless=False))


@hasty_tls
def test_a_record_that_drips(secured, aside):
    """Of which nothing can be had before its end, so that nobody else can tell that it is slow."""
    answer = secured.ask(OK[:-2])
    stop = threading.Event()

    def drip():
        for byte in secured.server.record(b"ok"):
            if stop.wait(TIMEOUT / 3):
                return
            secured.server._link.sendall(bytes([byte]))

    said = aside.submit(drip)
    with soon(secured.hang_up), pytest.raises(Broken, match="timed out"):
        body(answer)
    stop.set()
    with contextlib.suppress(OSError):
        said.result()


def test_silence_in_the_handshake(listening, trusting):
    with soon(), pytest.raises(Broken, match="timed out connecting"):
        Wire(*listening.getsockname(), trusting, TIMEOUT)


def test_no_tls_is_spoken(listening, trusting, aside):
    """It will not be another time; and the connection is closed."""

    def answer():
        with listening.accept()[0] as link, contextlib.suppress(ConnectionResetError):
            link.settimeout(SOON)
            link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            while link.recv(65536):
                pass

    closed = aside.submit(answer)
    with pytest.raises(Broken, match=r"cannot connect: .*SSL") as raised:
        Wire(*listening.getsockname(), trusting, PATIENCE)
    assert raised.value.hopeless
    closed.result()
