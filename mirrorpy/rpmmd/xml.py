"""XML from strangers: no DOCTYPE, no entities, no network, bounded depth and text; errors name the line."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Protocol

from lxml import etree

from mirrorpy.errors import RepodataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lxml.etree import _Element

REPO = "http://linux.duke.edu/metadata/repo"
COMMON = "http://linux.duke.edu/metadata/common"
MAX_ELEMENT = 8 * 1024**2
"""Bytes from one package to the next; the largest of real ones have a tenth of it."""
_PLACE = re.compile(r", line \d+, column \d+.*|, (?:try|use|see) XML_PARSE_HUGE.*| \(see xml\w+.*\)", re.DOTALL)
"""What libxml2 adds to its messages: the place once more, and advice for programmers."""
XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"


class Readable(Protocol):
    """A stream of bytes; `mirrorpy.rpmmd.decode.Decoded` is one."""

    def read(self, size: int, /) -> bytes: ...


@contextlib.contextmanager
def translated(name: str) -> Iterator[None]:
    """Raise lxml's errors as RepodataError, with the document's name and the line."""
    try:
        yield
    except etree.XMLSyntaxError as error:
        # Where the parser gave up is at times told by its log alone.
        log: Any = error.error_log
        line, cause = (log[-1].line, log[-1].message) if not error.lineno and len(log) else (error.lineno, error.msg)
        cause = _PLACE.sub("", str(cause)).strip()
        raise RepodataError(f"{name} is not well-formed XML at line {line or 1}: {cause}") from error
    except (UnicodeError, LookupError, ValueError) as error:
        raise RepodataError(f"{name} is not readable XML: {error}") from error


def refuse_doctype(root: _Element, name: str) -> None:
    """Refuse a document with a DOCTYPE: repositories have none, attacks do.

    Raises:
        RepodataError: There is one.
    """
    info = root.getroottree().docinfo
    if info.internalDTD:
        raise RepodataError(f"{name} has a DOCTYPE, which no repository needs")


def parse_document(data: bytes, name: str) -> _Element:
    """Return the root of a small document.

    Raises:
        RepodataError: It is not well-formed, or has a DOCTYPE.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    with translated(name):
        root = etree.fromstring(data, parser)
    refuse_doctype(root, name)
    return root


def iter_elements(source: Readable, name: str, tag: str, check_root: Callable[[_Element], None]) -> Iterator[_Element]:
    """Yield each element of this tag, cleared after use, so that memory stays flat.

    check_root is called with the root as soon as it is known, and refuses what is no such document.

    Raises:
        RepodataError: Not well-formed, a DOCTYPE, or too much between one element and the next.
    """
    bounded = _Bounded(source, name)
    events = etree.iterparse(
        bounded, events=("end",), tag=tag, resolve_entities=False, no_network=True, huge_tree=False
    )
    seen = False
    with translated(name):
        for _, element in events:
            if not seen:
                seen = True
                _check(element.getroottree().getroot(), name, check_root)
            yield element
            element.clear()
            _forget(element)
            bounded.since = 0
    if not seen:
        _check(events.root, name, check_root)


def _check(root: _Element, name: str, check_root: Callable[[_Element], None]) -> None:
    refuse_doctype(root, name)
    check_root(root)


def _forget(element: _Element) -> None:
    """Drop everything before an element, below each of its parents."""
    here: _Element | None = element
    while here is not None:
        above = here.getparent()
        while above is not None and here.getprevious() is not None:
            del above[0]
        here = above


class _Bounded:
    """A stream that refuses to feed the parser without end before it gives an element back."""

    def __init__(self, source: Readable, name: str) -> None:
        self._source, self._name = source, name
        self.since = 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self.since += len(data)
        if self.since > MAX_ELEMENT:
            raise RepodataError(f"{self._name} has more than {MAX_ELEMENT} bytes in one piece")
        return data


def check_root(tag: str, name: str, expected: str) -> None:
    """Refuse a document that is another one.

    Raises:
        RepodataError: Its root element has another name or namespace.
    """
    if tag == expected:
        return
    namespace, _, root = tag.rpartition("}")
    if root == expected.rpartition("}")[2]:
        raise RepodataError(
            f"{name} is of the namespace {namespace[1:]!r} instead of {expected[1:].partition('}')[0]!r}"
        )
    raise RepodataError(f"{name} has the root element {root!r}")


def local(element: _Element) -> str:
    """Return an element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def text_of(element: _Element, tag: str) -> str | None:
    """Return a child's text, None where there is no such child."""
    child = element.find(tag)
    return None if child is None else (child.text or "").strip()


def whole_number(text: str | None, name: str, limit: int) -> int | None:
    """Return a count or a size; None where it is not given.

    Raises:
        RepodataError: It is negative, too large, or no number.
    """
    if text is None or not text.strip():
        return None
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19 and int(digits) <= limit):
        raise RepodataError(f"{name} is {text[:40]!r}, which is no size")
    return int(digits)
