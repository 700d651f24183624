"""The packages of primary.xml as plain fields: cut out of the bytes where that is safe, else element by element.

libxml2 reads every byte either way, and refuses what is not well-formed; it does so beside the cutting, and nothing is
believed before it was read. While it meets nothing but elements and text, each `<` begins a tag, and a pattern for a
whole package as createrepo_c writes it sees what a parser sees; to build elements for all that a mirror does not want
to know takes three times as long. At the first comment, head or package that is written otherwise, the element parser
takes over for the rest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.wellformed import Checker
from mirrorpy.rpmmd.xml import COMMON, MAX_ELEMENT, XML_BASE, iter_elements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lxml.etree import _Element

    from mirrorpy.rpmmd.xml import Readable

CHUNK = 512 * 1024
HEAD = 4096
"""Bytes within which the first package begins."""
_NS = f"{{{COMMON}}}"
_END, _FORMAT_END = b"</package>", b"</format>"
TAIL = 64
"""Bytes within which a package ends after its `<format>`."""
_NO_TAG = re.compile(rb"<[!?]")
_HEAD = re.compile(
    rb'(?:<\?xml version="1\.0" encoding="(?i:utf-8)"\?>)?\s*<metadata xmlns="' + COMMON.encode() + rb'"'
    rb'(?:\s+xmlns:[a-z]+="[^"<&]*")*\s+packages="([0-9]*)"\s*>'
)
_TEXT = rb"(?:/>|>[^<]*</%s>)\s*"
_PACKAGE = re.compile(
    rb'\s*<package type="rpm">\s*<name>([^<&\r]*)</name>\s*<arch>([^<&\r]*)</arch>\s*'
    rb'<version epoch="([0-9]*)" ver="([^"<&\s]*)" rel="([^"<&\s]*)"\s*/>\s*'
    rb'<checksum type="([A-Za-z0-9-]+)" pkgid="YES">([0-9A-Fa-f]*)</checksum>\s*'
    + b"".join(b"<" + tag + _TEXT % tag for tag in (b"summary", b"description", b"packager", b"url"))
    + rb'<time(?:\s+(?:file|build)="[0-9]*")*\s*/>\s*'
    rb'<size package="([0-9]*)"(?:\s+(?:installed|archive)="[0-9]*")*\s*/>\s*'
    rb'<location(?:\s+xml:base="([^"<&\s]*)")?\s+href="([^"<&\t\r\n]*)"\s*/>\s*<format>'
)


class Listed(NamedTuple):
    """One `<package>`, unchecked; None is what it does not have."""

    name: str
    arch: str
    epoch: str
    version: str
    release: str
    algorithm: str | None
    checksum: str | None
    """None where there is no such element; empty where it has no text."""
    size: str | None
    base: str | None
    href: str | None


def iter_packages(source: Readable, check_root: Callable[[str, str | None], None]) -> Iterator[Listed]:
    """Yield each package of an unpacked primary.xml, in order.

    check_root is called with the root's tag and `packages=` once they are known, and refuses what is no such document.

    Raises:
        RepodataError: Not well-formed, a DOCTYPE, or too much in one piece.
    """
    cutter = _Cutter(source, check_root)
    try:
        yield from cutter.iter_cut()
    finally:
        cutter.end()
    if cutter.rest is None:
        return
    for element in iter_elements(
        cutter.rest, "primary", "{*}package", lambda root: check_root(str(root.tag), root.get("packages"))
    ):
        if element.tag == f"{_NS}package":
            yield _listed(element)
        elif (above := element.getparent()) is not None and above.getparent() is None:
            # dnf takes it all the same, so its clients would ask for it.
            raise RepodataError(f"primary has a package of another namespace than {COMMON}")


class _Cutter:
    """Cuts packages out of a stream as long as all is as it expects it."""

    def __init__(self, source: Readable, check_root: Callable[[str, str | None], None]) -> None:
        self._source, self._check_root = _Ahead(source), check_root
        self._checker = Checker()
        self._head = b""
        self._data = b""
        """What was read, but not cut."""
        self._lines = 0
        """Of what was cut."""
        self.rest: Readable | None = None
        """What is left to the element parser: the head, and all from the first package on that was not cut."""

    def iter_cut(self) -> Iterator[Listed]:
        """Yield packages; `rest` tells whether these were all."""
        while part := self._source.read(max(CHUNK, HEAD)):
            self._data += part
            if not (self._head or self._behead()) or _NO_TAG.search(self._data):
                # Looked for before anything is cut: what begins here may hide what follows.
                break
            self._checker.begin(part, more=len(part) >= CHUNK)
            self._source.look()
            found, end = self._cut()
            if not self._checker.passes() or found is None:
                # What a parser forgives, the other one judges.
                break
            self._lines += self._data.count(b"\n", 0, end)
            self._data = self._data[end:]
            yield from found
        if not part and self._data.strip() == b"</metadata>" and self._head:
            self._checker.close()
        else:
            self._source.put_back(self._head + b"\n" * self._lines + self._data)
            self.rest = self._source

    def end(self) -> None:
        """Have nothing more read."""
        self._checker.end()

    def _cut(self) -> tuple[list[Listed] | None, int]:
        """Return the whole packages of what is here, and their end; None where it cannot be told."""
        found: list[Listed] = []
        at, last = 0, self._data.rfind(_END)
        end = last + len(_END)
        while at <= last:
            match = _PACKAGE.match(self._data, at, end)
            if match is None:
                return None, 0
            try:
                found.append(Listed._make(map(bytes.decode, match.groups(b""))))
            except UnicodeDecodeError:
                return None, 0
            at = self._data.find(_END, match.end()) + len(_END)
            if not self._data[at - TAIL : at - len(_END)].rstrip().endswith(_FORMAT_END):
                return None, 0
        if self._data.count(_FORMAT_END, 0, at) != len(found) or (not found and len(self._data) > MAX_ELEMENT):
            # A second <format> could stand around anything.
            return None, 0
        return found, at

    def _behead(self) -> bool:
        match = _HEAD.match(self._data)
        if match is None:
            return False
        self._check_root(f"{_NS}metadata", match[1].decode())
        self._head, self._data = self._data[: match.end()], self._data[match.end() :]
        return True


class _Ahead:
    """A stream of which a part can be read before its turn, and given back after it."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._first = b""
        self._failure: Exception | None = None

    def look(self) -> None:
        """Read the next part now; what that raises is raised in its turn."""
        if self._failure is None:
            try:
                self._first = self._gather(CHUNK)
            except Exception as error:  # noqa: BLE001
                self._failure = error

    def put_back(self, data: bytes) -> None:
        """Have this read before the rest."""
        self._first = data + self._first

    def _gather(self, size: int) -> bytes:
        parts, left = list[bytes](), size
        try:
            while left > 0 and (part := self._source.read(left)):
                parts.append(part)
                left -= len(part)
        except Exception as error:
            if not parts:
                raise
            self._failure = error
        return b"".join(parts)

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, fewer at the end alone or where they were here already."""
        if not self._first:
            if self._failure is not None:
                raise self._failure
            return self._gather(size)
        part, self._first = self._first[:size], self._first[size:]
        return part


def _listed(element: _Element) -> Listed:
    location = checksum = size = None
    for child in element.iterchildren(f"{_NS}location", f"{_NS}checksum", f"{_NS}size"):
        if child.tag == f"{_NS}location":
            location = child
        elif child.tag == f"{_NS}checksum":
            checksum = child
        else:
            size = child
    version = element.find(f"{_NS}version")

    def part(name: str) -> str:
        return "" if version is None else version.get(name) or ""

    return Listed(
        element.findtext(f"{_NS}name") or "",
        element.findtext(f"{_NS}arch") or "",
        part("epoch"),
        part("ver"),
        part("rel"),
        None if checksum is None else checksum.get("type"),
        None if checksum is None else (checksum.text or "").strip(),
        None if size is None else size.get("package"),
        None if location is None else location.get(XML_BASE),
        None if location is None else location.get("href"),
    )
