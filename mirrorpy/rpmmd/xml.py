"""XML from strangers: no DOCTYPE, no entities, no network, bounded depth and text; errors name the line."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

from lxml import etree

from mirrorpy.errors import RepodataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

REPO = "http://linux.duke.edu/metadata/repo"
COMMON = "http://linux.duke.edu/metadata/common"
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
        line = error.lineno or 0
        raise RepodataError(f"{name} is not well-formed XML at line {line}: {error.msg}") from error
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


def iter_elements(source: Readable, name: str, root_tag: str, tag: str, check_root: Any = None) -> Iterator[_Element]:
    """Yield each element of this tag, cleared after use, so that memory stays flat.

    Raises:
        RepodataError: Not well-formed, a DOCTYPE, or another root than root_tag.
    """
    events = etree.iterparse(
        source, events=("start", "end"), tag=(root_tag, tag), resolve_entities=False, no_network=True, huge_tree=False
    )
    root = None
    with translated(name):
        for event, element in events:
            if root is None:
                root = element.getroottree().getroot()
                refuse_doctype(root, name)
                if root.tag != root_tag:
                    raise RepodataError(f"{name} has the root element {local(root)!r}")
                if check_root is not None:
                    check_root(root)
            if event == "end" and element.tag == tag:
                yield element
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
    if root is None:
        raise RepodataError(f"{name} has another root element than {root_tag}")


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
