"""What a server says of a file in its header, and a small file as a whole in memory, no larger than it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.errors import FetchError, UpstreamError, redact
from mirrorpy.upstream.dates import parse_date

if TYPE_CHECKING:
    from mirrorpy.upstream.answer import Fields, Response
    from mirrorpy.upstream.transfer import Floor

DOCUMENT_CAP = 16 * 1024**2
"""Bytes of repomd.xml, of a mirrorlist, of a metalink."""
SIGNATURE_CAP = 64 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """A small file of upstream's, in memory; data is None where the server says `not modified`."""

    url: str
    data: bytes | None
    etag: str | None
    last_modified: str | None
    racy: bool
    """Whether it may change again without its validators changing: it is as young as their clock is coarse."""
    framed: bool = True
    """Whether the answer said where it ends; if not, it may have been cut."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says of a file without giving it."""

    size: int | None
    is_page: bool
    """Whether it is HTML."""
    cache_control: str
    etag: str | None
    last_modified: str | None
    racy: bool
    """As a document's."""


def document_of(response: Response, url: str, cap: int, floor: Floor, *, conditional: bool) -> Document:
    """Read an answer's body; a conditional request may have none.

    Raises:
        FetchError: It is no body, or comes too slowly.
        UpstreamError: It is larger than cap.
    """
    data = None
    if response.status_code == 200:
        data = _body(response, url, cap, floor)
    elif response.status_code != 304 or not conditional:
        raise FetchError(f"HTTP {response.status_code} where a document was asked for", url=redact(url))
    headers = response.headers
    return Document(
        url=redact(url),
        data=data,
        etag=headers.get("ETag"),
        last_modified=headers.get("Last-Modified"),
        racy=_is_racy(headers),
        framed=bool(headers.get("Content-Length") or headers.get("Transfer-Encoding")),
    )


def _body(response: Response, url: str, cap: int, floor: Floor) -> bytes:
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > cap:
            raise UpstreamError(f"is larger than {cap} bytes", url=redact(url))
        floor.count(len(chunk), 0.0)
    return bytes(body)


def answer_of(headers: Fields) -> Answer:
    """Return what an answer's header says of the file."""
    total = headers.get("Content-Range", "").rpartition("/")[2]
    length = total or headers.get("Content-Length", "")
    return Answer(
        size=int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None,
        is_page=headers.get("Content-Type", "").lower().startswith(("text/html", "application/xhtml")),
        cache_control=headers.get("Cache-Control", "").lower(),
        etag=headers.get("ETag") or None,
        last_modified=headers.get("Last-Modified") or None,
        racy=_is_racy(headers),
    )


def _is_racy(headers: Fields) -> bool:
    modified, date = parse_date(headers.get("Last-Modified")), parse_date(headers.get("Date"))
    return modified is None or date is None or date <= modified
