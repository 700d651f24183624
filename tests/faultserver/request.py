"""What a client asked for, as it came over the wire."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

REQUEST_LINE = re.compile(rb"([!-~]+) ([!-~\x80-\xff]+) HTTP/1\.([01])")
ORIGIN = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class BadRequest(Exception):
    """What came is no HTTP request."""


@dataclass(slots=True)
class Request:
    """One request, and what became of it."""

    method: str
    path: str
    """Decoded, without its leading slash; the query is not in it."""
    headers: dict[str, str]
    """By their names in lower case."""
    query: str = ""
    """As it was sent."""
    target: str = ""
    """Path and query, or the whole URL, as they were sent."""
    version: str = "1.1"
    status: int = 0
    """Of the answer; 0 where no answer began."""
    sent: int = 0
    """Bytes of body that the system took for sending."""
    fault: str = ""
    """The name of the fault that this request met."""
    lingers: bool = field(default=True, repr=False)
    """Whether the client wants the connection to stay open."""


def parse_request(head: bytes) -> Request:
    """Return what a request's head asks for; its path is percent-decoded once.

    Raises:
        BadRequest: It is none.
    """
    first, *lines = head.split(b"\r\n")
    matched = REQUEST_LINE.fullmatch(first)
    if not matched:
        raise BadRequest(f"{first[:80]!r} is no request line")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(f"{line[:80]!r} is no header")
        key = name.lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    method, target, minor = matched.groups()
    path, _, query = ORIGIN.sub(b"", target, count=1).partition(b"#")[0].partition(b"?")
    connection = headers.get("connection", "").lower()
    return Request(
        method=method.decode(),
        path=unquote_to_bytes(path).decode(errors="surrogateescape").removeprefix("/"),
        headers=headers,
        query=query.decode("latin-1"),
        target=target.decode("latin-1"),
        version=f"1.{minor.decode()}",
        lingers="close" not in connection if minor == b"1" else "keep-alive" in connection,
    )
