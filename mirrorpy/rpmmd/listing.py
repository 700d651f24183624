"""Pages that web servers make of folders: nginx's autoindex, Apache's as a table, as a text and plain, and their like.

A page is a listing if its title or heading says so, as all of these do, or if it leads to the folder above. An entry
is a link to one name right below; its text, which servers shorten, is not looked at. Whatever else a page links to,
such as its other sort orders, other hosts, or the folders above, is no entry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from lxml import etree, html

from mirrorpy.errors import MirrorError, RepodataError
from mirrorpy.rpmmd.href import MAX_SEGMENT, RESERVED, check_href
from mirrorpy.rpmmd.model import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LISTING = 64 * 1024**2
"""Bytes."""
MAX_LISTED = 250_000
"""Entries; the largest folders of real mirrors have a fifth."""
_HEADINGS = ("title", "h1")
_SAYS_SO = re.compile(r"\s*(?:(?:index of|directory listing|listing of|directory:)|/(?:[^<>]*/)?\s*$)", re.IGNORECASE)
"""In words, or by being a path of a folder."""
_PARENTS = ("..", "../", "./..", "./../")
_SYNTAX = re.compile("[?#]")
"""What begins a query or a fragment."""
_NO_TEXT = "\ufffd"
"""What stands for bytes that are not UTF-8."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a folder."""

    name: str
    """Decoded, one segment of a path that may become a name on disk."""
    folder: bool


class Listing(list[Listed]):
    """The entries of a folder, and the names in it that nothing on disk can have: their number, and the first."""

    unusable: int = 0
    first_unusable: str = ""


def parse_listing(data: bytes, url: str) -> Listing:
    """Read the page of a folder; url is for the messages. Each name comes once, in the page's order.

    Raises:
        RepodataError: It is no listing, or has more entries than any folder.
    """
    page = _Page()
    # No tree is built where there is a target; the stubs know of none that is told text only.
    target: Any = page
    try:
        parser = html.HTMLParser(target=target, encoding="utf-8")
        parser.feed(data)
        parser.close()
    except (etree.LxmlError, ValueError) as error:
        raise RepodataError("is no HTML, and so no listing of a folder", url=url) from error
    except RepodataError as error:
        error.url = url
        raise
    if not page.is_listing:
        raise RepodataError("is a web page, but no listing of a folder", url=url)
    listing = Listing(page.entries.values())
    listing.unusable, listing.first_unusable = page.unusable, page.first_unusable
    return listing


def listed_name(name: str) -> str | None:
    """Return a name if it can be one on disk, as everything that upstream names must."""
    if "/" in name or name in ("", ".", RESERVED):
        return None
    try:
        # Below another name: of what lies at a repository's top some names are its own.
        check_href(f"_/{name}", Kind.RECORD)
    except MirrorError:
        return None
    return name


class _Page:
    """What lxml's parser tells of a page."""

    def __init__(self) -> None:
        self.entries: dict[str, Listed] = {}
        self.is_listing = False
        self.unusable, self.first_unusable = 0, ""
        self._heading: list[str] | None = None

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in _HEADINGS:
            self._heading = []
        elif tag == "a":
            self._link(attributes.get("href", "").strip())

    def data(self, text: str) -> None:
        if self._heading is not None and len(self._heading) < 10:
            self._heading.append(text[:100])

    def end(self, tag: str) -> None:
        if tag in _HEADINGS and self._heading is not None:
            self.is_listing |= _SAYS_SO.match("".join(self._heading)) is not None
            self._heading = None

    def close(self) -> None:
        """Nothing is left to be told."""

    def _link(self, href: str) -> None:
        if href in _PARENTS:
            self.is_listing = True
        segment = _segment(href)
        if segment is None:
            return
        name = _name(segment)
        if name is None:
            self.unusable += 1
            self.first_unusable = self.first_unusable or segment[:MAX_SEGMENT]
        if name is None or name in self.entries:
            return
        if len(self.entries) == MAX_LISTED:
            raise RepodataError(f"lists more than {MAX_LISTED} entries")
        self.entries[name] = Listed(name, href.endswith("/"))


def _segment(href: str) -> str | None:
    """Return what a link says of one name right below; servers write a name's own `?`, `#`, `:` in other ways."""
    if _SYNTAX.search(href) or _SCHEME.match(href):
        return None
    segment = href.removeprefix("./").removesuffix("/")
    return None if "/" in segment or segment in ("", ".", "..") else segment


def _name(segment: str) -> str | None:
    try:
        return None if _NO_TEXT in segment else listed_name(unquote_to_bytes(segment).decode())
    except UnicodeError:
        return None
