"""An answer: what its header says, where its body is, and which of them are left to httpx to read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mirrorpy.upstream.body import Broken, body_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorpy.upstream.wire import Wire

_HEAD = re.compile(
    r"HTTP/1\.([01]) ([1-5]\d\d)(?: ([\t\x20-\xff]*))?\r\n((?:[!#$%&'*+.^_`|~\w-]+:[\t\x20-\xff]*\r\n)*)",
    re.ASCII,
)
_STATUS = re.compile(r"HTTP/1\.[01] [1-5]\d\d[ \r\n]")
_NOTED = re.compile(
    rb"\r\n(?:(content-length)|(last-modified)|transfer-encoding|connection)[\t ]*:[\t ]*([^\r]*)", re.IGNORECASE
)
"""The fields that say where a body ends and whether another may follow, and the time."""
_FIELD = re.compile(r"([^:]+):([^\r]*)\r\n")
_BODILESS = (204, 304)


class Unusual(Exception):
    """An answer that a whole HTTP library should read."""


class Response(Protocol):
    """An answer before its body; httpx's is one too."""

    @property
    def status_code(self) -> int: ...
    @property
    def reason_phrase(self) -> str: ...
    @property
    def headers(self) -> Fields: ...
    def iter_raw(self) -> Iterator[bytes]: ...


class Fields(Protocol):
    """Header fields, by names in any case."""

    def get(self, key: str, default: str = "", /) -> str: ...


class HeaderFields(dict[str, str]):
    """Header fields that came over the wire, by names in lower case."""

    def get(self, key: str, default: str = "", /) -> str:  # type: ignore[override]  # narrower, for strings alone
        """Return a field's value."""
        return super().get(key.lower(), default)


def parse_head(head: str) -> re.Match[str]:
    """Match HTTP's minor version, status, reason and header lines.

    Raises:
        Unusual: Somebody who is lax may be able to read it.
        Broken: It is none.
    """
    match = _HEAD.fullmatch(head)
    if match is None or (match[1] == "0" and match[2] < "200"):
        raise Unusual if _STATUS.match(head) else Broken("connection failed: the answer is no HTTP")
    if match[2] == "101":
        raise Broken("connection failed: switches to another protocol, which nobody asked for")
    return match


def parse_fields(lines: str) -> HeaderFields:
    """Return the fields of header lines; those of one name are joined with commas (RFC 9110, 5.3)."""
    fields = HeaderFields()
    for name, value in _FIELD.findall(lines):
        key, text = name.lower(), value.strip(" \t")
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields


class Answer:
    """What came over the wire; its body is read once, before the next request."""

    def __init__(self, wire: Wire, head: re.Match[str], first: memoryview, *, bodiless: bool) -> None:
        self.status_code, self.reason_phrase = int(head[2]), (head[3] or "").strip()
        self.headers = parse_fields(head[4])
        self._kept = head[1] == "1" and "close" not in self.headers.get("connection").lower()
        if "transfer-encoding" in self.headers and self.headers.pop("content-length", None) is not None:
            self._kept = False  # RFC 9112, 6.3: somebody on the way may have believed the other one
        bodiless = bodiless or self.status_code in _BODILESS
        first = wire.part(self.headers, first, bodiless=bodiless)
        self._body = body_of(self.headers, first, wire.receive, bodiless=bodiless)

    def iter_raw(self) -> Iterator[bytes]:
        """Yield the body's bytes, each part valid until the next is asked for.

        Raises:
            Broken: The connection ended too early, or gave nothing for as long as the timeout.
        """
        return iter(self._body)  # type: ignore[arg-type]  # views of bytes, which is all that anyone needs of them

    @property
    def reusable(self) -> bool:
        """Whether the next request can follow: all of this answer is here, read or not."""
        return self._kept and self._body.complete


class Plain(NamedTuple):
    """What matters of a plain answer: 200, a length, and nothing special."""

    begin: int
    """Where the body begins."""
    modified: str
    last: bool
    """Whether the server closes the connection after it."""


def find_plain(data: bytearray, at: int, end: int, size: int) -> Plain | None:
    """Return what the header from at to end, where an empty line follows, says before a body of this size.

    None where that is no plain answer. A field may be none that `parse_head` would take. So this is for bodies that a
    checksum proves.
    """
    if not data.startswith(b"HTTP/1.1 200 ", at):
        return None
    lengths, modified, last = list[bytes](), list[bytes](), False
    for is_length, is_modified, value in _NOTED.findall(data, at, end):
        if is_length:
            lengths.append(value)
        elif is_modified:
            modified.append(value)
        elif value.lower() == b"close":
            last = True
        elif value.lower() != b"keep-alive":
            return None
    if lengths != [b"%d" % size] or len(modified) > 1:
        return None
    return Plain(end + 4, modified[0].decode("latin-1") if modified else "", last)
