"""One connection that speaks HTTP/1.1 as mirrors do: an answer with a length, bytes as they are, into one buffer.

It is there for speed: small files cost a tenth of what a general library takes for them, and large ones are not copied
between buffers. What it does not understand it does not guess at: it raises `Unusual`, and httpx asks again.
"""

from __future__ import annotations

import errno
import re
import select
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING, Protocol

from mirrorpy.errors import LocalError
from mirrorpy.upstream.body import Broken, body_of
from mirrorpy.upstream.tls import hopeless

if TYPE_CHECKING:
    from collections.abc import Iterator

BUFFER = 256 * 1024
BRISK = 32 * 1024
"""Bytes that have come by the time they are asked for."""
HEAD_CAP = 64 * 1024
HEAD_SECONDS = 30.0
"""From the first byte of an answer's header to its last, however steadily it drips."""
_HEAD = re.compile(
    r"HTTP/1\.([01]) ([1-5]\d\d)(?: ([\t\x20-\xff]*))?\r\n((?:[!#$%&'*+.^_`|~\w-]+:[\t\x20-\xff]*\r\n)*)",
    re.ASCII,
)
_STATUS = re.compile(r"HTTP/1\.[01] [1-5]\d\d[ \r\n]")
_FIELD = re.compile(r"([^:]+):([^\r]*)\r\n")
_END = re.compile(rb"\n\r?\n")
"""An empty line, for those who are lax about it."""
_BODILESS = (204, 304)


class Unusual(Exception):
    """An answer that a whole HTTP library should read."""


class Stale(Exception):
    """The server closed a kept connection before it answered."""


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


class _Fields(dict[str, str]):
    def get(self, key: str, default: str = "", /) -> str:  # type: ignore[override]  # narrower, for strings alone
        """Return a field's value."""
        return super().get(key.lower(), default)


class Answer:
    """What came over the wire; its body is read once, before the next request."""

    def __init__(self, wire: Wire, head: re.Match[str], first: memoryview, *, bodiless: bool) -> None:
        self.status_code, self.reason_phrase = int(head[2]), (head[3] or "").strip()
        self.headers = _fields(head[4])
        self._kept = head[1] == "1" and "close" not in self.headers.get("connection").lower()
        if "transfer-encoding" in self.headers and self.headers.pop("content-length", None) is not None:
            self._kept = False  # RFC 9112, 6.3: somebody on the way may have believed the other one
        bodiless = bodiless or self.status_code in _BODILESS
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


def _parsed(head: str) -> re.Match[str]:
    match = _HEAD.fullmatch(head)
    if match is None or (match[1] == "0" and match[2] < "200"):
        raise Unusual if _STATUS.match(head) else Broken("connection failed: the answer is no HTTP")
    if match[2] == "101":
        raise Broken("connection failed: switches to another protocol, which nobody asked for")
    return match


def _fields(lines: str) -> _Fields:
    fields = _Fields()
    for name, value in _FIELD.findall(lines):
        key, text = name.lower(), value.strip(" \t")
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields


class Wire:
    """A connection to one server, for one request at a time.

    Raises:
        Broken: It cannot be made.
        LocalError: This machine has no descriptor left for it.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> None:
        try:
            self._socket = _connected(host, port, tls, timeout)
        except TimeoutError as error:
            raise Broken("timed out connecting") from error
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                hint = "raise the limit of open files, or lower max_parallel_downloads"
                raise LocalError(f"cannot connect: {error.strerror}", hint=hint) from error
            raise Broken(f"cannot connect: {error}", hopeless=hopeless(error)) from error
        self._wait_at_most(timeout)
        self._unread = select.poll()
        self._unread.register(self._socket, select.POLLIN)
        self._view = memoryview(bytearray(BUFFER))
        self._used = self._brisk = False

    def _wait_at_most(self, timeout: float) -> None:
        """Let the kernel keep the time: Python would ask for readiness before every read.

        Not with TLS, whose reads begin again when the kernel's time is over, and wait for whole records.
        """
        if isinstance(self._socket, ssl.SSLSocket):
            return  # what `_connected` set holds on
        seconds = struct.pack("@ll", int(timeout), int(timeout % 1 * 1e6))
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)

    def ask(self, request: bytes, *, bodiless: bool) -> Answer:
        """Send a request and return its answer, before the body; a bodiless one has none whatever it says.

        Raises:
            Stale: The connection was closed since it was last used.
            Unusual: What came should be read by somebody else.
            Broken: Nothing came, or not in time.
        """
        kept, self._used = self._used, True
        self._send(request, kept=kept)
        got = self._receive_head(0, kept=kept)
        until = time.monotonic() + HEAD_SECONDS
        while True:
            while (end := self._end_of_head(got)) < 0:
                if time.monotonic() > until:
                    raise Broken("timed out waiting for the end of the answer's header")
                got += self._receive_head(got, kept=False)
            head = _parsed(bytes(self._view[: end + 2]).decode("latin-1"))
            if head[2] >= "200":
                return Answer(self, head, self._view[end + 4 : got], bodiless=bodiless)
            self._view[: got - end - 4] = bytes(self._view[end + 4 : got])
            got -= end + 4

    def _end_of_head(self, got: int) -> int:
        data: bytearray = self._view.obj  # type: ignore[assignment]
        end = data.find(b"\r\n\r\n", 0, got)
        if end < 0 and _END.search(data, 0, got):
            raise Unusual
        if end < 0 and got >= HEAD_CAP:
            raise Broken(f"connection failed: the answer's header has more than {HEAD_CAP} bytes")
        return end

    def _send(self, request: bytes, *, kept: bool) -> None:
        try:
            self._socket.sendall(request)
        except (BlockingIOError, TimeoutError) as error:
            raise Broken("timed out sending the request") from error
        except OSError as error:
            raise (Stale() if kept else Broken(f"connection failed: {error}")) from error

    def _receive_head(self, at: int, *, kept: bool) -> int:
        try:
            got = self._receive_into(self._view[at:HEAD_CAP])
        except Broken as error:
            if kept and isinstance(error.__cause__, ConnectionError):
                raise Stale from error
            raise
        if not got:
            raise Stale if kept else Broken("connection failed: closed without an answer")
        return got

    def receive(self, most: int, *, full: bool = False) -> memoryview:
        """Return what comes next, in the one buffer; nothing at the end.

        full waits until that is the most that was asked for, where data comes briskly: fewer calls, each of which hands
        Python's lock to another thread. What drips is told of as it comes; TLS gives a record at a time.
        """
        full = full and self._brisk and not isinstance(self._socket, ssl.SSLSocket)
        got = self._receive_into(self._view[:most], socket.MSG_WAITALL if full else 0)
        self._brisk = got >= BRISK
        return self._view[:got]

    def _receive_into(self, view: memoryview, flags: int = 0) -> int:
        try:
            return self._socket.recv_into(view, 0, flags)
        except (BlockingIOError, TimeoutError) as error:
            raise Broken("timed out waiting for data") from error
        except OSError as error:
            raise Broken(f"connection failed: {error}") from error

    @property
    def quiet(self) -> bool:
        """Whether nothing came since the last answer, not even the end: what comes unasked is none (RFC 9112, 9.2)."""
        held = self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0
        return not held and not self._unread.poll(0)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _connected(host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> socket.socket:
    connection = socket.create_connection((host, port), timeout)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection if tls is None else tls.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise
