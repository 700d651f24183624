"""Mutations of what has words, numbers and lines: configurations, lists, headers, status lines."""

import codecs
import re
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from .mutations import BYTES, LENGTHS, NUMBERS, ODD, VALUES, Draw, Mutation, one, pick, place, put

_NUMBER = re.compile(rb"-?\d+")
_TOKEN = re.compile(rb"[A-Za-z_]+|\d+|[^\w\s]")
_DIGEST = re.compile(rb"[0-9a-fA-F]{32,128}")
_BETWEEN = re.compile(rb"[\"'>]([^\"'<>]+)[\"'<]")
_FIELD = re.compile(rb"\r\n([^\r\n:]+:[^\r\n]*)")
_VALUE = re.compile(rb"[=:]\s*([^\s<>\"',]+)")


def number(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    return put(data, one(draw, _NUMBER, data), pick(draw, NUMBERS))


def word(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    return put(data, one(draw, _TOKEN, data), pick(draw, ODD))


def value(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    return put(data, one(draw, _VALUE, data), pick(draw, VALUES))


def exchange(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Put one word of a document in another's place."""
    taken = one(draw, _TOKEN, data)
    return data if taken is None else put(data, one(draw, _TOKEN, data), data[taken])


def digest(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    changes: list[Callable[[bytes], bytes]] = [bytes.upper, lambda old: old[:-1], lambda old: old + b"0"]
    changes += [lambda old: b" " + old, lambda old: b"g" + old[1:], lambda old: "٣".encode() + old[1:], lambda _: b""]
    where = one(draw, _DIGEST, data)
    return data if where is None else put(data, where, pick(draw, changes)(data[where]))


def lines(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Drop, repeat, move, indent or join lines."""
    parts = data.split(b"\n")
    at, to = (data.count(b"\n", 0, place(draw, data)) for _ in range(2))
    kind = pick(draw, ["drop", "repeat", "move", "indent", "join", "endings"])
    if kind == "repeat":
        parts[to:to] = parts[at : at + 1] * pick(draw, LENGTHS)
    elif kind == "move":
        parts[to:to] = parts[at : at + 1]
    elif kind == "indent":
        parts[at] = pick(draw, [b" ", b"\t", b"    ", b"- ", b"#", b"\xef\xbb\xbf"]) + parts[at]
    elif kind == "join":
        parts[at : at + 2] = [b"".join(parts[at : at + 2])]
    elif kind == "endings":
        return data.replace(b"\n", pick(draw, [b"\r\n", b"\r", b"\n\n", b"\v", b"\xe2\x80\xa8", b"\0"]))
    else:
        del parts[at]
    return b"\n".join(parts)


def field(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Drop a header, put another in its place or behind it, or give it another value."""
    where, other = one(draw, _FIELD, data), one(draw, _FIELD, data)
    if where is None or other is None:
        return data
    filled = data[where].partition(b":")[0] + b": " + pick(draw, VALUES)
    return put(data, where, pick(draw, [b"X: y", data[other], data[where] + b"\r\n" + data[other], filled, filled]))


def swell(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Make a word, a number or what stands between quotes or brackets long."""
    where = one(draw, pick(draw, [_TOKEN, _NUMBER, _VALUE, _BETWEEN]), data)
    if where is None or where.start == where.stop:
        return data
    at, piece = where.stop - 1, pick(draw, [b"a", b" ", b"0", b"&lt;", b"/", b"\n"])
    return put(data, slice(at, at), piece * 2 ** draw(st.integers(4, 17)))


def encoding(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Write the text in another encoding, with or without a byte order mark, whatever it claims to be in."""
    names = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "utf-7", "cp037", "utf-8-sig", "shift_jis"]
    changed = data.decode("utf-8", "replace").encode(pick(draw, names), "replace")
    marks = [b"", b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE]
    return pick(draw, marks) + changed


_OFTEN = (number, number, value, value, lines, lines)
TEXT: tuple[Mutation, ...] = (*BYTES, *_OFTEN, word, exchange, digest, swell, encoding)
HTTP: tuple[Mutation, ...] = (*TEXT, *(field, field, number, value) * 7)
