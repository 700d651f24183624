"""Where an answer's body ends: after so many bytes, after its last chunk, or with the connection (RFC 9112, 6)."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LINE_CAP = 4096
"""Bytes of the line before a chunk, and of all that may follow the last."""
LINE_SECONDS = 30.0
"""From one line's first byte to its last."""
PIECE = 256 * 1024
_LENGTH = re.compile(r"\d{1,19}", re.ASCII)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")


class Broken(Exception):
    """No connection, or none any more, or nothing came in time, or no HTTP."""

    def __init__(self, cause: str, *, hopeless: bool = False) -> None:
        super().__init__(cause)
        self.hopeless = hopeless


class Receive(Protocol):
    """Gives what comes next, at most so many bytes, or all of them; valid until called again; nothing at the end."""

    def __call__(self, most: int, /, *, full: bool = False) -> memoryview: ...


class Body(Protocol):
    """A body, to be read once.

    Raises:
        Broken: The connection ended too early, or gave something else.
    """

    @property
    def complete(self) -> bool:
        """Whether all of it came, and nothing else, so that the next answer can follow."""

    def __iter__(self) -> Iterator[memoryview]: ...


def body_of(fields: Mapping[str, str], first: memoryview, receive: Receive, *, bodiless: bool) -> Body:
    """Return the body that a header announces; first is what came with the header.

    Raises:
        Broken: It cannot be told where it ends.
    """
    if bodiless:
        return Sized(0, first, receive)
    if "transfer-encoding" in fields:
        coding = fields["transfer-encoding"]
        if coding.lower() != "chunked":
            raise Broken(f"connection failed: unknown Transfer-Encoding {coding[:40]!r}")
        return Chunked(first, receive)
    if "content-length" not in fields:
        return Unbounded(first, receive)
    length = fields["content-length"]
    if not _LENGTH.fullmatch(length):
        raise Broken(f"connection failed: Content-Length is {length[:40]!r}")
    return Sized(int(length), first, receive)


class Sized:
    """A body of known length."""

    def __init__(self, length: int, first: memoryview, receive: Receive) -> None:
        self._left, self._receive = length, receive
        self._surplus = len(first) > length
        self._first = first[:length]

    @property
    def complete(self) -> bool:
        return not self._surplus and self._left == len(self._first)

    def __iter__(self) -> Iterator[memoryview]:
        while self._left:
            part, self._first = self._first or self._receive(self._left, full=True), self._first[:0]
            if not part:
                raise Broken(f"connection failed: closed {self._left} bytes before the end")
            self._left -= len(part)
            yield part


class Unbounded:
    """A body that ends with its connection; nobody can tell whether it was to end there."""

    complete = False

    def __init__(self, first: memoryview, receive: Receive) -> None:
        self._first, self._receive = first, receive

    def __iter__(self) -> Iterator[memoryview]:
        part = self._first or self._receive(PIECE)
        while part:
            yield part
            part = self._receive(PIECE)


class Chunked:
    """A body in chunks, each announced with its length."""

    def __init__(self, first: memoryview, receive: Receive) -> None:
        self._data, self._receive = bytearray(first), receive
        self._ended = False

    @property
    def complete(self) -> bool:
        return self._ended and not self._data

    def __iter__(self) -> Iterator[memoryview]:
        while left := self._announced():
            while left:
                part = bytes(self._data[:left]) if self._data else bytes(self._more(min(left, PIECE)))
                del self._data[: len(part)]
                left -= len(part)
                yield memoryview(part)
            if self._line() != b"\r\n":
                raise Broken("connection failed: a chunk is longer than it was announced")
        trailers, until = 0, time.monotonic() + LINE_SECONDS
        while (line := self._line()) != b"\r\n":
            trailers += len(line)
            if trailers > LINE_CAP or time.monotonic() > until:
                raise Broken("connection failed: what follows the last chunk has no end")
        self._ended = True

    def _announced(self) -> int:
        line = self._line()
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise Broken(f"connection failed: a chunk's length is {line[:20]!r}")
        return int(match[1], 16)

    def _line(self) -> bytes:
        until = time.monotonic() + LINE_SECONDS
        while (end := self._data.find(b"\n", 0, LINE_CAP) + 1) <= 0:
            if len(self._data) >= LINE_CAP or time.monotonic() > until:
                raise Broken("connection failed: a chunk's length has no end")
            self._data += self._more(PIECE)
        line = bytes(self._data[:end])
        del self._data[:end]
        return line

    def _more(self, most: int) -> memoryview:
        part = self._receive(most)
        if not part:
            raise Broken("connection failed: closed before the last chunk")
        return part
