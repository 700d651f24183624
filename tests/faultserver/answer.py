"""Honest answers: a file or a folder's listing, whole or in part, as HTTP/1.1 (RFC 9110) asks for them."""

import errno
import html
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from .request import Request

PIECE = 1 << 18
"""Bytes that are read and sent at once; files up to this size are not kept open."""
TYPES = {".html": "text/html", ".xml": "text/xml", ".txt": "text/plain", ".rpm": "application/x-rpm"}
RANGE = re.compile(r"bytes=\s*(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class Body:
    """A stretch of bytes, or of an open file."""

    source: bytes | BinaryIO
    start: int
    size: int

    def pieces(self, most: int = PIECE) -> Iterator[bytes]:
        """All of it in order; fewer bytes where the file became shorter."""
        end = self.start + self.size
        for offset in range(self.start, end, most):
            size = min(most, end - offset)
            if isinstance(self.source, bytes):
                yield self.source[offset : offset + size]
            else:
                yield os.pread(self.source.fileno(), size, offset)

    def data(self) -> bytes:
        return b"".join(self.pieces())

    def cut(self, size: int) -> "Body":
        """Its first bytes."""
        return replace(self, size=max(0, min(size, self.size)))

    def after(self, size: int) -> "Body":
        """What follows its first bytes."""
        size = max(0, min(size, self.size))
        return replace(self, start=self.start + size, size=self.size - size)


@dataclass(frozen=True, slots=True)
class Resource:
    """What a path leads to."""

    whole: Body
    type: str
    modified: float
    """Seconds since 1970."""
    etag: str

    def with_data(self, data: bytes) -> "Resource":
        """The same with other content; what tells versions apart stays."""
        return replace(self, whole=Body(data, 0, len(data)))


@dataclass(slots=True)
class Answer:
    """A response that can still be changed; Content-Length, Date and Connection are added when it is sent."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = Body(b"", 0, 0)

    @property
    def size(self) -> int:
        return self.body.size


def text_answer(status: int, text: str | bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """A page of HTML; the status in words where nothing else is said."""
    if text is None:
        known = status in HTTPStatus.__members__.values()
        title = f"{status} {HTTPStatus(status).phrase}" if known else str(status)
        text = f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n</body>\n</html>\n"
    data = text if isinstance(text, bytes) else text.encode(errors="surrogateescape")
    return Answer(status, {"Content-Type": "text/html"} | (headers or {}), Body(data, 0, len(data)))


def find(folder: Path, path: str) -> Resource | Answer:
    """What stands at a decoded path below a folder, or the answer that says why nothing does."""
    if "\0" in path or ".." in path.split("/"):
        return text_answer(404)
    name = os.path.join(folder, path.lstrip("/"))
    try:
        if os.path.isdir(name):
            if path and not path.endswith("/"):
                return text_answer(301, headers={"Location": quote(os.fsencode(f"/{path}/"))})
            index = os.path.join(name, "index.html")
            return _file(index) if os.path.isfile(index) else _listing(name, path)
        return _file(name)
    except PermissionError:
        return text_answer(403)
    except OSError:
        return text_answer(404)


def _file(name: str) -> Resource:
    # A FIFO would be waited for without O_NONBLOCK.
    stream = open(name, "rb", buffering=0, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))  # noqa: SIM115
    try:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(errno.ENOENT, "no regular file", name)
        source = stream.read(PIECE + 1) if found.st_size <= PIECE else stream
    except BaseException:
        stream.close()
        raise
    if isinstance(source, bytes):
        stream.close()
    return Resource(
        whole=Body(source, 0, len(source) if isinstance(source, bytes) else found.st_size),
        type=TYPES.get(os.path.splitext(name)[1], "application/octet-stream"),
        modified=found.st_mtime,
        etag=f'"{found.st_mtime_ns:x}-{found.st_size:x}"',
    )


def _listing(name: str, path: str) -> Answer:
    """A folder as nginx's autoindex shows it."""
    title = html.escape(f"Index of /{path}")
    lines = [f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1><hr><pre>"]
    lines.append('<a href="../">../</a>\n')
    with os.scandir(name) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in sorted(shown, key=lambda entry: (not entry.is_dir(), entry.name)):
        try:
            found = entry.stat()
        except OSError:
            continue
        label, size = (f"{entry.name}/", "-") if entry.is_dir() else (entry.name, str(found.st_size))
        # nginx counts bytes, and cuts names in the middle of a character.
        name_bytes = os.fsencode(label)
        shown_name = name_bytes if len(name_bytes) <= 50 else name_bytes[:47] + b"..>"
        when = datetime.fromtimestamp(found.st_mtime, UTC).strftime("%d-%b-%Y %H:%M")
        link = f'<a href="{quote(name_bytes)}">{html.escape(os.fsdecode(shown_name))}</a>'
        lines.append(f"{link}{' ' * (51 - len(shown_name))}{when} {size:>19}\n")
    lines.append("</pre><hr></body>\n</html>\n")
    return text_answer(200, "".join(lines))


def answer(found: Resource | Answer, request: Request, *, ranged: bool = True, validators: bool = True) -> Answer:
    """The honest answer to a GET or HEAD of what was found.

    Args:
        found: What stands there.
        request: Whose conditions and range count.
        ranged: Whether Range is understood.
        validators: Whether ETag and Last-Modified are told, and asked about.
    """
    if isinstance(found, Answer):
        return found
    headers = {"Content-Type": found.type, "Accept-Ranges": "bytes" if ranged else "none"}
    if validators:
        headers |= {"ETag": found.etag, "Last-Modified": formatdate(int(found.modified), usegmt=True)}
        if _is_known(found, request.headers):
            return Answer(304, {name: headers[name] for name in ("ETag", "Last-Modified")})
    asked = request.headers.get("range")
    if ranged and asked and request.method == "GET" and _is_the_same(found, request.headers, validators=validators):
        stretch = parse_range(asked, found.whole.size)
        if stretch is None:
            return text_answer(416, headers={"Content-Range": f"bytes */{found.whole.size}"})
        if stretch:
            return part(found, stretch[0], stretch[1], headers)
    return Answer(200, headers, found.whole)


def part(found: Resource, first: int, last: int, headers: dict[str, str]) -> Answer:
    """A 206 with these bytes, both ends included."""
    told = {"Content-Range": f"bytes {first}-{last}/{found.whole.size}"}
    return Answer(206, headers | told, replace(found.whole, start=found.whole.start + first, size=last - first + 1))


def parse_range(asked: str, size: int) -> tuple[int, int] | tuple[()] | None:
    """First and last byte of a Range; () where the whole is to be sent; None where nothing is in it.

    Several ranges at once are answered with the whole, as RFC 9110 leaves a server free to do.
    """
    matched = RANGE.fullmatch(asked.strip())
    if not matched or matched[0].endswith("=-"):
        return ()
    first, last = matched.groups()
    if not first:
        return (max(0, size - int(last)), size - 1) if int(last) and size else None
    if last and int(last) < int(first):
        return ()
    if int(first) >= size:
        return None
    return int(first), min(int(last), size - 1) if last else size - 1


def _is_known(found: Resource, headers: dict[str, str]) -> bool:
    known = headers.get("if-none-match")
    if known is not None:
        return known == "*" or found.etag in (tag.strip().removeprefix("W/") for tag in known.split(","))
    return "if-modified-since" in headers and _seconds(headers["if-modified-since"]) >= int(found.modified)


def _is_the_same(found: Resource, headers: dict[str, str], *, validators: bool) -> bool:
    """Whether If-Range, where it is sent, lets a range be answered."""
    if "if-range" not in headers:
        return True
    told = headers["if-range"]
    return validators and (told == found.etag or _seconds(told) == int(found.modified))


def _seconds(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return float("-inf")
