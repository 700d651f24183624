"""Mutations of XML: tags, attributes, texts, entities, depth."""

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

from hypothesis import strategies as st

from .mutations import LENGTHS, VALUES, Draw, Mutation, one, pick, put
from .mutations_text import TEXT, digest, encoding, number, value

_LEAF = re.compile(rb"(<([\w:-]+)(?:\s[^<>]*)?(?:/>|>[^<>]*</\2\s*>))")
_TAG = re.compile(rb"<[^<>]*>")
_ATTRIBUTE = re.compile(rb"\s([\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))")
_INSIDE = re.compile(rb"=\s*[\"']([^\"'<>]*)[\"']")
_TEXT = re.compile(rb">([^<>]+)<")
_CLAIM = re.compile(rb"encoding=[\"']([^\"']*)")
_NAMESPACE = re.compile(rb"xmlns(?::\w+)?=[\"']([^\"']*)")
DOCTYPES = [
    b"<!DOCTYPE x>",
    b'<!DOCTYPE x [<!ENTITY e "1">]>',
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;"><!ENTITY e "&b;&b;&b;&b;">]>',
    b'<!DOCTYPE x SYSTEM "file:///etc/passwd">',
    b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
    b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/"> %p;]>',
    b'<!DOCTYPE x [<!ATTLIST x a CDATA "1">]>',
]
PIECES = [b"&e;", b"&lt;", b"&#0;", b"&#xD800;", b"&#x10FFFF;", b"&#1114112;", b"<!---->", b"<?x?>", b"<![CDATA[]]>"]
PIECES += [b"<x/>", b"<y:x/>", b"</x>", b'<x xmlns="y">', b"<x a='1' a='2'/>", b"<x a/>", b"<!--", b"]]>", b"<?xml?>"]
INSIDES = [*VALUES, *PIECES]


def elements(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Drop an element without children, or put another in its place or behind it; what is well-formed stays so."""
    where, other = one(draw, _LEAF, data), one(draw, _LEAF, data)
    if where is None or other is None:
        return data
    return put(data, where, pick(draw, [b"", data[where]]) + data[other] * pick(draw, [0, 1, 1, 2, 100]))


def fill(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Replace an attribute's value or an element's text by what XML can hold."""
    odd = pick(draw, VALUES).decode("utf-8", "replace")
    return put(
        data, one(draw, pick(draw, [_INSIDE, _TEXT]), data), escape(odd, {'"': "&quot;", "'": "&apos;"}).encode()
    )


def tags(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Drop a tag, or put another in its place or behind it."""
    where, other = one(draw, _TAG, data), one(draw, _TAG, data)
    if where is None or other is None:
        return data
    kept = pick(draw, [b"", data[where]])
    return put(data, where, kept + data[other] * pick(draw, [0, 1, 1, 2, 100]))


def attributes(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Drop an attribute, or put another in its place or behind it."""
    where, other = one(draw, _ATTRIBUTE, data), one(draw, _ATTRIBUTE, data)
    if where is None or other is None:
        return data
    return put(data, where, pick(draw, [b"", data[other], data[where] + b" " + data[other]]))


def inside(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Replace an attribute's value or an element's text."""
    pattern = pick(draw, [_INSIDE, _TEXT, _CLAIM, _NAMESPACE])
    return put(data, one(draw, pattern, data), pick(draw, INSIDES))


def pieces(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    where = one(draw, _TAG, data)
    return data if where is None else put(data, slice(where.stop, where.stop), pick(draw, PIECES))


def doctype(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at = data.find(b"?>") + 2 if data.startswith(b"<?xml") else 0
    data = put(data, slice(at, at), pick(draw, DOCTYPES))
    return put(data, one(draw, _TEXT, data), b"&e;") if draw(st.booleans()) else data


def nest(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """Wrap an element in many, or open many and close none."""
    where, depth = one(draw, _TAG, data), pick(draw, LENGTHS)
    close = draw(st.booleans())
    name = pick(draw, [b"x", b"package", b"data", b"delta", b"url"])
    return put(data, where, b"<%b>" % name * depth + (data[where] if where else b"") + b"</%b>" % name * depth * close)


_CAREFUL = (elements, elements, elements, fill, fill, fill, fill, attributes, number, value, digest)
_ROUGH = (*TEXT, tags, tags, attributes, inside, inside, pieces, pieces, doctype, doctype, nest, nest, nest, encoding)
XML: tuple[Mutation, ...] = (*_CAREFUL * 5, *_ROUGH)
