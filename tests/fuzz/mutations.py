"""Mutations: what accidents, other people's tools and malice do to a document, drawn by hypothesis.

A mutation takes what draws, the bytes, and the seeds of the same target. A family is what suits a kind of document:
here those of bytes, whatever they mean; in `mutations_text` and `mutations_xml` those of what has words, and tags.
"""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import strategies as st

from tests.property.strategies import BREAKERS

T = TypeVar("T")
Draw = st.DrawFn
Mutation = Callable[[Draw, bytes, Sequence[bytes]], bytes]

MAX_INPUT = 256 * 1024
SHOWN = 4000
NUMBERS = [b"-1", b"0", b"1", b"00", b"+1", b"1.5", b"1e9", b"0x10", b"1_0", b"4294967296", b"NaN", b"inf", b""]
NUMBERS += [b"%d" % (2**power - less) for power in (7, 8, 15, 16, 31, 32, 53, 63, 64) for less in (0, 1)]
NUMBERS += [b"1" + b"0" * 30, b"9" * 400, b"9" * 5000, "٣٤".encode(), b"\xef\xbc\x91", "²".encode(), b"-" + b"9" * 30]
_HREFS = """.. / // . ./ ../x a/../../b /etc/passwd file:///etc/passwd http://evil.test/ https://evil.test:99999/
//evil.test/ repodata/repomd.xml ./repodata//repomd.xml .mirrorpy/pool .mirrorpy %2e%2e/x ..%2fx a%00b \\..\\x data:,
http://[::1 ftp://x/ a?b#c rsync://x/ http://user:word@h/ http://h:0/ http://h:-1/ http://h:port/ a+b~c^d.rpm repodata
a/ é ü.rpm"""
HREFS = _HREFS.split()
WORDS = [*(href.encode() for href in HREFS), b"x" * 256, b"a/" * 65, b"\xe2\x80\xae", b"\xc2\x85", b"\xe2\x80\xa8"]
WORDS += [b"sha256", b"SHA-512", b"md5", b"crc32", b"a" * 64, b"g" * 64, b"A" * 128, b"true", b"null", b"$x", b"${X}"]
ODD = [*BREAKERS, *WORDS, *map(bytes, ([0], [0x7F], [0x80], [0xC3], [0xFF], [0xFF] * 8, [0] * 8))]
VALUES = [*WORDS, *NUMBERS]
LENGTHS = [2, 3, 10, 100, 255, 256, 257, 300, 1000, 5000]
SEVEN_BITS = st.integers(0, 127)
SLICES = st.integers(0, 64)


def pick(draw: Draw, values: Sequence[T]) -> T:
    """One of these; a plain number is what hypothesis draws fastest."""
    return values[draw(st.integers(0, len(values) - 1))]


def place(draw: Draw, data: bytes) -> int:
    """Somewhere in the document, everywhere as likely: of larger ranges hypothesis likes the lower end."""
    return (draw(SEVEN_BITS) << 7 | draw(SEVEN_BITS)) * (len(data) + 1) >> 14


def one(draw: Draw, pattern: re.Pattern[bytes], data: bytes) -> slice | None:
    """One of the places that match, the next one from somewhere; of groups the first counts."""
    found = pattern.search(data, place(draw, data)) or pattern.search(data)
    return slice(*found.span(pattern.groups and 1)) if found else None


def put(data: bytes, where: slice | None, piece: bytes) -> bytes:
    """The document with a piece instead of what is there."""
    return data if where is None else data[: where.start] + piece + data[where.stop :]


def flip(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at = place(draw, data[:-1])
    return data[:at] + bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in data[at : at + 1]) + data[at + 1 :]


def overwrite(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at = place(draw, data)
    return put(data, slice(at, at + draw(SLICES)), pick(draw, ODD))


def insert(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at = place(draw, data)
    return put(data, slice(at, at), pick(draw, ODD))


def cut(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at = place(draw, data)
    return put(data, slice(at, at + draw(SLICES) ** pick(draw, [1, 1, 2])), b"")


def truncate(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    return data[: place(draw, data)]


def repeat(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at = place(draw, data)
    return put(data, slice(at, at), data[at : at + draw(SLICES)] * pick(draw, LENGTHS))


def swap(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    first, second, length = place(draw, data), place(draw, data), draw(SLICES)
    first, second = min(first, second), max(first, second)
    end = min(first + length, second)
    return data[:first] + data[second : second + length] + data[end:second] + data[first:end] + data[second + length :]


def splice(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    other = pick(draw, seeds)
    return data[: place(draw, data)] + other[place(draw, other) :]


def append(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    return data + pick(draw, [b"\0", b"\n", b" " * 512, *seeds])


EDGES = [
    0,
    1,
    7,
    8,
    15,
    16,
    17,
    62,
    63,
    255,
    256,
    0xFFFF,
    0x10000,
    2**24,
    2**28,
    2**28 + 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
]


def integer(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Replace a number of one, two or four bytes."""
    width = pick(draw, [1, 2, 4, 4])
    at = place(draw, data) // width * width
    number = (pick(draw, EDGES) if draw(st.booleans()) else draw(st.integers(0, 2**32 - 1))) % 256**width
    return put(data, slice(at, at + width), number.to_bytes(width, pick(draw, ["big", "big", "little"])))


BYTES: tuple[Mutation, ...] = (flip, overwrite, insert, cut, truncate, repeat, swap, splice, append)
BINARY: tuple[Mutation, ...] = (*BYTES, integer, integer, integer)


class Input(bytes):
    """What is shown of a large one when it fails is its beginning; the long run keeps all of it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return bytes.__repr__(self[:SHOWN]) + f" + {len(self) - SHOWN} more bytes" * (len(self) > SHOWN)


@st.composite
def mutated(
    draw: Draw, seeds: Sequence[bytes], family: Sequence[Mutation], drawn: st.SearchStrategy[bytes] | None
) -> bytes:
    """A seed or a drawn document, after some mutations."""
    data = pick(draw, seeds) if drawn is None or draw(st.integers(0, 3)) else draw(drawn)
    for _ in range(draw(st.integers(0, 5))):
        data = pick(draw, family)(draw, data, seeds)[:MAX_INPUT]
    return Input(data)
