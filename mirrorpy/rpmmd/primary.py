"""primary.xml: the packages of a repository, streamed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.errors import MirrorError, RepodataError
from mirrorpy.rpmmd.href import check_href
from mirrorpy.rpmmd.model import MAX_SIZE, Checksum, Kind, Nevra, RemoteFile
from mirrorpy.rpmmd.xml import COMMON, XML_BASE, iter_elements, local, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

    from mirrorpy.rpmmd.xml import Readable

logger = logging.getLogger(__name__)
_NS = f"{{{COMMON}}}"


@dataclass(slots=True)
class PrimaryCount:
    """What primary.xml says of its length, and what was read."""

    promised: str | None = None
    read: int = 0

    @property
    def warning(self) -> str | None:
        """A line where the two differ; real repositories occur whose `packages=` is wrong."""
        if self.promised is None or self.promised == str(self.read):
            return None
        return f"primary says packages={self.promised[:20]!r} but lists {self.read}"


def iter_primary(source: Readable, count: PrimaryCount | None = None) -> Iterator[RemoteFile]:
    """Yield each package of an unpacked primary.xml as the file it promises, in order.

    Raises:
        RepodataError: Malformed, or a package without a valid checksum.
        UnsafeHref: A package's location is missing or leaves the repository.
    """
    seen = count if count is not None else PrimaryCount()
    for element in _iter_packages(source, seen):
        try:
            yield _parse_package(element)
        except MirrorError as error:
            raise _named(error, element, seen) from None


def iter_listed(source: Readable, count: PrimaryCount) -> Iterator[tuple[Nevra, RemoteFile | MirrorError]]:
    """Yield what each package is called, and the file it promises or what is wrong with that.

    Raises:
        RepodataError: The document is malformed.
    """
    for element in _iter_packages(source, count):
        found: RemoteFile | MirrorError
        try:
            found = _parse_package(element)
        except MirrorError as error:
            found = _named(error, element, count)
        yield _parse_nevra(element), found


def _iter_packages(source: Readable, seen: PrimaryCount) -> Iterator[_Element]:
    def check_root(root: _Element) -> None:
        if root.tag != f"{_NS}metadata":
            raise RepodataError(f"primary has the root element {local(root)!r}")
        seen.promised = root.get("packages")

    for element in iter_elements(source, "primary", f"{_NS}package", check_root):
        seen.read += 1
        yield element


def _named(error: MirrorError, element: _Element, seen: PrimaryCount) -> MirrorError:
    name = element.findtext(f"{_NS}name") or f"number {seen.read}"
    error.cause = f"primary: package {name}: {error.cause}"
    return error


def _parse_nevra(element: _Element) -> Nevra:
    version = element.find(f"{_NS}version")

    def part(name: str) -> str:
        return "" if version is None else version.get(name) or ""

    return Nevra(
        element.findtext(f"{_NS}name") or "",
        part("epoch") or "0",
        part("ver"),
        part("rel"),
        element.findtext(f"{_NS}arch") or "",
    )


def _parse_package(element: _Element) -> RemoteFile:
    location = checksum = size = None
    for child in element.iterchildren(f"{_NS}location", f"{_NS}checksum", f"{_NS}size"):
        if child.tag == f"{_NS}location":
            location = child
        elif child.tag == f"{_NS}checksum":
            checksum = child
        else:
            size = child
    href = check_href(None if location is None else location.get("href"), Kind.PACKAGE)
    if checksum is None:
        raise RepodataError("has no checksum", href=href)
    return RemoteFile(
        href,
        Checksum.parse(checksum.get("type"), (checksum.text or "").strip()),
        None if size is None else whole_number(size.get("package"), "size", MAX_SIZE),
        Kind.PACKAGE,
        None if location is None else location.get(XML_BASE),
    )
