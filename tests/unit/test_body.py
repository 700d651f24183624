"""Where a body ends, and whether anything came after it (RFC 9112, 6 and 7.1)."""

import pytest

from mirrorpy.upstream.body import LINE_CAP, Broken, Chunked, Sized, Unbounded, body_of

CHUNKED = {"transfer-encoding": "chunked"}
GONE = b"\xee"
"""What the buffer holds where a part was that is no longer valid."""


class Source:
    """A connection's bytes, part by part, out of one buffer: what was given is gone at the next call."""

    def __init__(self, parts=()):
        self.parts = iter(parts)
        self.buffer = bytearray(1 << 18)
        self.given = 0
        self.rest = b""
        self.asked = []
        self.ended = False

    def __call__(self, most, *, full=False):
        assert most > 0
        assert not self.ended, "asked again after the end"
        self.asked.append(most)
        self.buffer[: self.given] = GONE * self.given
        data = self.rest or next(self.parts, b"")
        data, self.rest = data[:most], data[most:]
        self.given, self.ended = len(data), not data
        self.buffer[: self.given] = data
        return memoryview(self.buffer)[: self.given]


def received(fields, first=b"", parts=(), *, bodiless=False):
    """Return the bytes of a body, copied as they come, and the body."""
    source = Source(parts)
    source.buffer[: len(first)] = first
    body = body_of(fields, memoryview(source.buffer)[: len(first)], source, bodiless=bodiless)
    return b"".join(bytes(part) for part in body), body


def bytewise(data):
    """Each byte on its own."""
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, Unbounded),
        ({"content-length": "5"}, Sized),
        ({"content-length": "0"}, Sized),
        ({"content-length": "005"}, Sized),
        (CHUNKED, Chunked),
        ({"transfer-encoding": "Chunked"}, Chunked),
        ({"content-length": "5", **CHUNKED}, Chunked),
    ],
)
def test_what_a_header_announces(fields, kind):
    assert type(body_of(fields, memoryview(b""), Source(), bodiless=False)) is kind


@pytest.mark.parametrize("fields", [{}, {"content-length": "5"}, CHUNKED, {"content-length": "x"}])
def test_bodiless_whatever_it_announces(fields):
    """An answer to HEAD, 204 and 304 (RFC 9112, 6.3)."""
    data, body = received(fields, bodiless=True)
    assert (data, body.complete) == (b"", True)
    data, body = received(fields, b"\r\n", bodiless=True)
    assert (data, body.complete) == (b"", False)


@pytest.mark.parametrize(
    "coding", ["", "gzip", "identity", "gzip, chunked", "chunked, chunked", "chunked;q=1", "xchunked"]
)
def test_transfer_codings_that_nobody_asked_for(coding):
    with pytest.raises(Broken, match="Transfer-Encoding"):
        received({"transfer-encoding": coding})


@pytest.mark.parametrize(
    "length",
    ["", "+5", "-1", "-0", "5, 6", "5 5", "0x5", "5.0", "1e3", "1_0", "5;", "\xb2", "\u0665", "1" * 20, "five", "5\n"],
)
def test_lengths_that_are_none(length):
    with pytest.raises(Broken, match="Content-Length"):
        received({"content-length": length}, b"hello")


SIZED = [
    (b"hello", ()),
    (b"", (b"hello",)),
    (b"he", (b"l", b"lo")),
    (b"", (b"h", b"e", b"l", b"l", b"o")),
]


@pytest.mark.parametrize(("first", "parts"), SIZED)
def test_sized(first, parts):
    data, body = received({"content-length": "5"}, first, parts)
    assert (data, body.complete) == (b"hello", True)


def test_sized_asks_for_no_byte_more_than_it_has_left():
    """What comes after it stays on the connection."""
    source = Source([b"helloHTTP/1.1 200 OK"])
    body = Sized(5, memoryview(b""), source)
    assert b"".join(map(bytes, body)) == b"hello"
    assert (source.asked, source.rest) == ([5], b"HTTP/1.1 200 OK")


def test_sized_with_surplus():
    data, body = received({"content-length": "5"}, b"hello!")
    assert (data, body.complete) == (b"hello", False)


@pytest.mark.parametrize(("first", "complete"), [(b"hello", True), (b"hell", False), (b"", False), (b"hello!", False)])
def test_sized_and_not_read(first, complete):
    assert Sized(5, memoryview(first), Source()).complete is complete


def test_sized_and_read_in_part():
    body = Sized(5, memoryview(b"he"), Source([b"llo"]))
    parts = iter(body)
    assert (bytes(next(parts)), body.complete) == (b"he", False)
    assert (bytes(next(parts)), body.complete) == (b"llo", True)


@pytest.mark.parametrize(("first", "parts", "missing"), [(b"", (), 5), (b"he", (), 3), (b"", (b"he", b"l"), 2)])
def test_sized_and_cut(first, parts, missing):
    body = Sized(5, memoryview(first), Source(parts))
    with pytest.raises(Broken, match=f"closed {missing} bytes before the end"):
        list(body)
    assert not body.complete


@pytest.mark.parametrize(("first", "parts"), [*SIZED, (b"", ())])
def test_unbounded(first, parts):
    """It ends with the connection, so nothing follows it."""
    data, body = received({}, first, parts)
    assert (data, body.complete) == (b"".join([first, *parts]), False)


WHOLE = [
    (b"0\r\n\r\n", b""),
    (b"000\r\n\r\n", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
    (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
    (b"00000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"5;a\r\nhello\r\n0;b=c\r\n\r\n", b"hello"),
    (b'5 ; a="b;c"\r\nhello\r\n0 \t\r\n\r\n', b"hello"),
    (b"5\r\n\r\n0\r\n\r\n0\r\n\r\n", b"\r\n0\r\n"),
    (b"5\r\nhello\r\n0\r\nETag: x\r\nExpires: y\r\n\r\n", b"hello"),
]


@pytest.mark.parametrize(("wire", "expected"), WHOLE)
def test_chunked(wire, expected):
    assert received(CHUNKED, wire)[0] == expected
    for cut in range(len(wire)):
        data, body = received(CHUNKED, wire[:cut], [wire[cut:]])
        assert (data, body.complete) == (expected, True)
    data, body = received(CHUNKED, b"", bytewise(wire))
    assert (data, body.complete) == (expected, True)


@pytest.mark.parametrize(("wire", "expected"), WHOLE)
def test_chunked_with_surplus(wire, expected):
    for surplus in (b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n"):
        data, body = received(CHUNKED, wire + surplus)
        assert (data, body.complete) == (expected, False)


@pytest.mark.parametrize(("wire", "expected"), WHOLE)
def test_chunked_and_cut(wire, expected):
    for end in range(len(wire)):
        body = body_of(CHUNKED, memoryview(wire[:end]), Source(), bodiless=False)
        with pytest.raises(Broken, match="closed before the last chunk"):
            list(body)
        assert not body.complete


def test_chunked_and_not_read():
    assert not body_of(CHUNKED, memoryview(b"0\r\n\r\n"), Source(), bodiless=False).complete


@pytest.mark.parametrize(
    "wire",
    [
        b"\r\n",
        b"g\r\n",
        b"-5\r\nhello",
        b"+5\r\nhello",
        b" 5\r\nhello",
        b"0x5\r\nhello",
        b"5_0\r\nhello",
        b"\xb2\r\nhello",
        b"5 5\r\nhello",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\r\nhello",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"6\r\nhello\r\n0\r\n\r\n",
        b"0" * 16 + b"\r\n\r\n",
        b"f" * 16 + b"\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\0\r\n",
    ],
)
def test_chunks_that_are_none(wire):
    for parts in ([wire], bytewise(wire)):
        with pytest.raises(Broken, match="connection failed: "):
            received(CHUNKED, b"", parts)


def test_a_chunk_without_an_end_is_given_as_it_comes():
    """Nobody waits for the whole of it, nor holds it in memory."""
    body = body_of(CHUNKED, memoryview(b"fffffffffffffff\r\n"), Source([b"x" * 1000] * 3), bodiless=False)
    parts = iter(body)
    assert [len(next(parts)) for _ in range(3)] == [1000] * 3


PATIENCE = 100
"""Parts that anybody may wait for."""


def endless(part):
    """Give the same for ever, to somebody who sees in time that it does not end."""
    for _ in range(PATIENCE):
        yield part
    raise AssertionError("listens for ever")


@pytest.mark.parametrize("byte", [b"a", b"0", b" ", b"\r"])
@pytest.mark.parametrize("before", [b"", b"5;", b"5\r\nhello", b"0\r\n"])
def test_a_line_without_an_end(before, byte):
    with pytest.raises(Broken):
        received(CHUNKED, before, endless(byte * (2 * LINE_CAP // PATIENCE)))


@pytest.mark.parametrize("size", [2 * LINE_CAP, 100_000])
@pytest.mark.parametrize("step", [1000, 200_000], ids=["in parts", "at once"])
def test_a_line_that_is_too_long(size, step):
    """It makes no difference how it comes."""
    wire = b"5;" + b"a" * size + b"\r\nhello\r\n0\r\n\r\n"
    with pytest.raises(Broken):
        received(CHUNKED, b"", [wire[at : at + step] for at in range(0, len(wire), step)])


@pytest.mark.parametrize("line", [b"a: b\r\n", b"\n", b"a: " + b"b" * 1000 + b"\r\n"], ids=["short", "empty", "long"])
def test_trailers_without_an_end(line):
    """All that follows the last chunk has at most so many bytes."""
    with pytest.raises(Broken):
        received(CHUNKED, b"3\r\nabc\r\n0\r\n", endless(line * (2 * LINE_CAP // PATIENCE)))


def test_what_the_connection_says_of_itself_is_passed_on():
    def silent(_most, *, full=False):
        raise Broken("timed out waiting for data")

    for fields in ({}, {"content-length": "5"}, CHUNKED):
        with pytest.raises(Broken, match="timed out"):
            list(body_of(fields, memoryview(b""), silent, bodiless=False))
