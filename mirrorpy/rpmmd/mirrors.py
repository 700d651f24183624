"""Lists of mirrors: mirrorlist (lines) and metalink 3.0 (XML, which also pins repomd.xml by its hashes).

The rules are librepo's (`mirrorlist.c`, `metalink.c`): comments and odd lines are passed over, bad preferences and
unknown hash types too; either document may stand behind either kind of URL, so the content decides.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from typing import TYPE_CHECKING

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.model import DIGEST_BYTES, MAX_SIZE, Checksum, MirrorList, Pin
from mirrorpy.rpmmd.xml import local, parse_document, text_of, whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml.etree import _Element

REPOMD_HREF = "repodata/repomd.xml"
SCHEMES = ("https://", "http://", "file://")
MAX_MIRRORS = 500
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
"""One of yum's variables."""
CLIENT_VARIABLES = ("releasever", "basearch")
"""Those that every client knows of itself."""
_XML_STARTS = (
    b"<?xml",
    b"<metalink",
    b"<!--",
    codecs.BOM_UTF8 + b"<",
    codecs.BOM_UTF16_LE + b"<\0",
    codecs.BOM_UTF16_BE + b"\0<",
)


def parse_mirrors(data: bytes, variables: Mapping[str, str]) -> MirrorList:
    """Read a mirrorlist or a metalink, whichever it is.

    Raises:
        RepodataError: It is neither, names no mirror that can be used, or holds the server's own error.
    """
    head = data[:1024].lstrip()
    if head.startswith(_XML_STARTS):
        return parse_metalink(data)
    return parse_mirrorlist(data, variables)


def parse_mirrorlist(data: bytes, variables: Mapping[str, str]) -> MirrorList:
    """Read a mirrorlist: one base URL a line.

    Raises:
        RepodataError: No line can be used; the server's own words are quoted where it says why.
    """
    text = data.decode("utf-8-sig", "replace")
    if "<html" in text[:2048].lower():
        raise RepodataError("is an HTML page, not a mirrorlist")
    baseurls: list[str] = []
    for line in map(str.strip, text.splitlines()):
        url = f"file://{line}" if line.startswith("/") else line
        if url.lower().startswith(SCHEMES) and url.isprintable():
            baseurls.append(expand(url, variables))
    if not baseurls:
        complaint = re.search(r"error:[^\n]{0,200}", text)
        raise RepodataError(f"mirrorlist says {complaint[0]!r}" if complaint else "mirrorlist names no mirror")
    return MirrorList(_distinct(baseurls))


def expand(url: str, variables: Mapping[str, str]) -> str:
    """Replace `$name` and `${name}` by yum's variables, leaving unknown ones."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        # What follows may become a letter, and then a part of the name.
        unknown = f"${{{name}}}" if url[match.end() : match.end() + 1] == "$" else match[0]
        return variables.get(name, unknown)

    return VARIABLE.sub(value, url)


def variables_in(text: str) -> list[str]:
    """Return the names of the variables in a text, each once, in order."""
    return list(dict.fromkeys(match[1] or match[2] for match in VARIABLE.finditer(text)))


def parse_metalink(data: bytes) -> MirrorList:
    """Read a metalink 3.0 of repomd.xml.

    Raises:
        RepodataError: Malformed, of another file, or without a usable mirror.
    """
    root = parse_document(data, "metalink")
    if local(root) != "metalink":
        raise RepodataError(f"metalink has the root element {local(root)!r}")
    for file in root.iterfind("{*}files/{*}file"):
        if file.get("name") == "repomd.xml":
            break
    else:
        raise RepodataError("metalink has no repomd.xml")
    pins = [_parse_pin(element) for element in (file, *file.iterfind("{*}alternates/{*}alternate"))]
    urls = [(_preference(url), _baseurl(url)) for url in file.iterfind("{*}resources/{*}url")]
    ranked = sorted((item for item in urls if item[1]), key=lambda item: -item[0])
    if not ranked:
        raise RepodataError("metalink names no mirror over http, https or file")
    return MirrorList(_distinct([base for _, base in ranked if base]), tuple(pin for pin in pins if pin))


def _parse_pin(element: _Element) -> Pin | None:
    hashes: list[Checksum] = []
    for child in element.iterfind("{*}verification/{*}hash"):
        with contextlib.suppress(RepodataError):
            hashes.append(Checksum.parse(child.get("type"), (child.text or "").strip()))
    if not hashes:
        return None
    timestamp = 0
    with contextlib.suppress(RepodataError):
        timestamp = whole_number(text_of(element, "{*}timestamp"), "timestamp", MAX_SIZE) or 0
    strength = list(DIGEST_BYTES)
    return Pin(max(hashes, key=lambda checksum: strength.index(checksum.algorithm)), timestamp)


def _preference(url: _Element) -> int:
    text = (url.get("preference") or "").strip()
    return min(100, int(text)) if text.isascii() and text.isdigit() and len(text) < 5 else 0


def _baseurl(url: _Element) -> str | None:
    text = (url.text or "").strip()
    if not text.lower().startswith(SCHEMES) or not text.isprintable():
        return None
    return text.removesuffix(REPOMD_HREF)


def _distinct(baseurls: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(baseurls))[:MAX_MIRRORS]
