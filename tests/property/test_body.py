"""However a body is cut into receives, its bytes are the same; whatever else comes is `Broken`, and none of it."""

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorpy.upstream.body import Broken, body_of

from .strategies import bytes_like, one_line

CHUNKED = {"transfer-encoding": "chunked"}
WORDS = st.text('abcXYZ019-="; ,:\t\xe9', max_size=20).map(lambda text: text.encode("latin-1"))
NAMES = st.text("abcXYZ019-", min_size=1, max_size=10).map(str.encode)
MARKS = [b"\r\n", b"0\r\n\r\n", b"5\r\n", b"HTTP/1.1 200 OK\r\n", b"\n", b";"]
DATA = st.binary(max_size=40) | st.lists(st.sampled_from(MARKS), max_size=5).map(b"".join)
SURPLUS = st.just(b"") | DATA
CUTS = st.lists(st.integers(0, 400), max_size=12) | st.just(range(400))


class Source:
    """A connection's bytes, part by part, out of one buffer: what was given is gone at the next call."""

    def __init__(self, data, cuts):
        places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        self.parts = [data[start:end] for start, end in pairwise(places)]
        self.buffer = bytearray(len(data))
        self.taken = 0
        self.ended = False

    def __call__(self, most, *, full=False):
        assert most > 0
        assert not self.ended, "asked again after the end: a real connection would be waited for"
        self.buffer[:] = b"\xee" * len(self.buffer)
        part = self.parts.pop(0) if self.parts else b""
        if part[most:]:
            self.parts.insert(0, part[most:])
        part = part[:most]
        self.taken, self.ended = self.taken + len(part), not part
        self.buffer[: len(part)] = part
        return memoryview(self.buffer)[: len(part)]


def read(fields, data, cuts, *, bodiless=False):
    """Return a body's bytes, the body, and how many bytes it took to read them; the first part came with the header."""
    source = Source(data, cuts)
    first = source(len(data)) if data else memoryview(b"")
    body = body_of(fields, first, source, bodiless=bodiless)
    return b"".join(bytes(part) for part in body), body, source.taken


@st.composite
def chunked(draw):
    """A body, and how it may be sent in chunks."""
    parts = draw(st.lists(DATA.filter(len), max_size=6))
    wire = b""
    for part in [*parts, b""]:
        digits = f"{len(part):0{draw(st.integers(1, 8))}{draw(st.sampled_from('xX'))}}".encode()
        extension = draw(st.just(b"") | WORDS.map(lambda words: b";" + words))
        wire += digits + draw(st.sampled_from([b"", b"", b" ", b"\t "])) + extension + b"\r\n"
        wire += part + b"\r\n" if part else b""
    trailers = draw(st.lists(st.tuples(NAMES, WORDS), max_size=3))
    wire += b"".join(name + b": " + words + b"\r\n" for name, words in trailers)
    return b"".join(parts), wire + b"\r\n"


@given(chunked(), SURPLUS, CUTS)
def test_chunked(sent, surplus, cuts):
    expected, wire = sent
    data, body, taken = read(CHUNKED, wire + surplus, cuts)
    assert data == expected
    assert taken >= len(wire)
    assert body.complete is (taken == len(wire))


@given(st.binary(max_size=200), SURPLUS, CUTS)
def test_sized(expected, surplus, cuts):
    data, body, taken = read({"content-length": str(len(expected))}, expected + surplus, cuts)
    assert data == expected
    assert taken >= len(expected)
    assert body.complete is (taken == len(expected))


@given(st.binary(max_size=200), CUTS)
def test_unbounded(expected, cuts):
    data, body, _ = read({}, expected, cuts)
    assert (data, body.complete) == (expected, False)


@given(DATA, CUTS, st.sampled_from([{}, CHUNKED, {"content-length": "5"}]))
def test_bodiless(surplus, cuts, fields):
    data, body, taken = read(fields, surplus, cuts, bodiless=True)
    assert data == b""
    assert body.complete is not taken


@given(chunked() | st.binary(min_size=1, max_size=100).map(lambda data: (data, data)), CUTS, st.data())
def test_cut(sent, cuts, choice):
    """What ends too early is never taken for the whole."""
    expected, wire = sent
    fields = {"content-length": str(len(wire))} if wire == expected else CHUNKED
    end = choice.draw(st.integers(0, len(wire) - 1))
    with pytest.raises(Broken, match="closed"):
        read(fields, wire[:end], cuts)


SENT = [
    b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n",
    b"1\r\n0\r\n00f\r\n0123456789abcde\r\n0\r\nETag: x\r\n\r\n",
    b"0\r\n\r\n",
]
LENGTHS = st.text(max_size=5) | st.integers(-5, 300).map(str) | st.text("0123456789", max_size=25)


@given(bytes_like(*SENT), CUTS)
def test_garbage_in_chunks(wire, cuts):
    """Bytes or `Broken`, the same however they come; where h11 gives bytes too, they are those."""
    whole = outcome(CHUNKED, wire, ())
    assert outcome(CHUNKED, wire, cuts) == whole
    other = h11_reads(wire)
    assert None in (whole, other) or whole == other


@given(LENGTHS, st.binary(max_size=100), CUTS)
def test_garbage_for_a_length(length, wire, cuts):
    data = outcome({"content-length": length}, wire, cuts)
    assert data in (None, wire[: len(data or b"")])
    if data is not None:
        assert length.isascii()
        assert len(data) == int(length)


@given(st.text(max_size=10) | st.sampled_from(["chunked", "Chunked", "gzip", "chunked, chunked", "chunked;a"]))
def test_garbage_for_a_coding(coding):
    data = outcome({"transfer-encoding": coding}, b"0\r\n\r\n", ())
    assert data == (b"" if coding.lower() == "chunked" else None)


def outcome(fields, wire, cuts):
    """The bytes of a body; None where it is broken."""
    try:
        return read(fields, wire, cuts)[0]
    except Broken as error:
        one_line(str(error), begins="connection failed: ")
        return None


def h11_reads(wire):
    """What the library under httpx makes of a body in chunks; None where it refuses it or waits for more."""
    link = h11.Connection(h11.CLIENT)
    link.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    link.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + wire)
    link.receive_data(b"")
    data = b""
    try:
        while not isinstance(event := link.next_event(), h11.EndOfMessage):
            data += event.data if isinstance(event, h11.Data) else b""
    except h11.RemoteProtocolError:
        return None
    return data
