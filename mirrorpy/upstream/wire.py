"""One connection that speaks HTTP/1.1 as mirrors do: an answer with a length, bytes as they are, into one buffer.

It is there for speed: small files cost a tenth of what a general library takes for them, and large ones are not copied
between buffers. What it does not understand it does not guess at: it raises `Unusual`, and httpx asks again.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections import deque
from typing import TYPE_CHECKING

from mirrorpy.upstream.answer import Answer, Unusual, find_plain, parse_head
from mirrorpy.upstream.body import Broken
from mirrorpy.upstream.connect import connect

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from mirrorpy.upstream.answer import HeaderFields, Plain

    Take = Callable[[memoryview, str], bool]
    """Takes a body, valid in there alone, and its Last-Modified; or refuses it."""

BUFFER = 256 * 1024
BRISK = 32 * 1024
"""Bytes that have come by the time they are asked for."""
AT_ONCE = 0.1
"""Seconds from an answer's first byte to its last, where it comes at once."""
HEAD_CAP = 64 * 1024
HEAD_SECONDS = 30.0
"""From the first byte of an answer's header to its last, however steadily it drips."""
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Says at once that data came, for which Linux takes up to 40 ms otherwise."""
_END = re.compile(rb"\n\r?\n")
"""An empty line, for those who are lax about it."""


class Stale(Exception):
    """The server closed a kept connection before it answered."""


class Wire:
    """A connection to one server, for requests that are answered one after the other (RFC 9112, 9.3).

    Raises:
        Broken: It cannot be made.
        LocalError: This machine has no descriptor left for it.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> None:
        self._socket = connect(host, port, tls, timeout)
        self._tls: ssl.SSLSocket | None = None if tls is None else self._socket  # type: ignore[assignment]
        self._unread = select.poll()
        self._unread.register(self._socket, select.POLLIN)
        self._view = memoryview(bytearray(BUFFER))
        self._used = self._brisk = False
        self._asked: deque[bytes] = deque()
        """Requests that are sent, and wait for their turn."""
        self._hurried = False
        """Whether several requests were sent at once."""
        self._held = b""
        """What came of answers whose turn it is not."""
        self._failure: Broken | None = None
        """What went wrong where `run` read, for who reads on."""
        self.answered_ahead = 0
        """Answers to requests that were sent before the answer before them had come."""
        self.trip = 0.0
        """Seconds from a request to its answer's first byte, at best; 0 where it is not known yet."""

    def ask(self, request: bytes, *, bodiless: bool, ahead: Sequence[bytes] = ()) -> Answer:
        """Send a request and return its answer, before the body; a bodiless one has none whatever it says.

        Those ahead are sent too, and have to be asked next, in this order; what was sent so is not sent again.

        Raises:
            Stale: The connection was closed since it was last used.
            Unusual: What came should be read by somebody else.
            Broken: Nothing came, or not in time.
        """
        kept, self._used = self._used, True
        if self.expects(request):
            self._send_new(ahead, kept=kept)
            got = self._take_held() or self._receive_head(0, HEAD_CAP, kept=kept)
            self.answered_ahead += 1
        else:
            self._send_new((request, *ahead), kept=kept)
            begun = time.monotonic()
            got = self._receive_head(0, HEAD_CAP, kept=kept)
            trip = time.monotonic() - begun
            self.trip = min(self.trip or trip, trip)
        self._asked.popleft()
        until = time.monotonic() + HEAD_SECONDS
        while True:
            while (end := self._end_of_head(got)) < 0:
                if time.monotonic() > until:
                    raise Broken("timed out waiting for the end of the answer's header")
                got += self._receive_head(got, HEAD_CAP, kept=False)
            head = parse_head(bytes(self._view[: end + 2]).decode("latin-1"))
            if head[2] >= "200":
                return Answer(self, head, self._view[end + 4 : got], bodiless=bodiless)
            self._view[: got - end - 4] = bytes(self._view[end + 4 : got])
            got -= end + 4

    def run(self, requests: Sequence[bytes], sizes: Sequence[int], take: Take) -> bool:
        """Send requests, and give take what each plain answer of its size brings; whether another request can follow.

        Ends at an answer that is not plain, or not here at once, or that take refuses: `ask` for that request goes on
        with what came, or went wrong.

        Raises:
            Stale: The connection was closed since it was last used, or between two answers.
        """
        at = got = taken = 0
        try:
            self._send_new(requests, kept=True)
        except Broken as error:
            self._failure = error
            self._asked.extend(requests)
        for size in sizes:
            if at + HEAD_CAP + size > BUFFER:
                self._view[: got - at] = bytes(self._view[at:got])
                at, got = 0, got - at
            plain, got = self._receive_plain(at, got, size)
            if plain is None or not take(self._view[plain.begin : plain.begin + size], plain.modified):
                break
            self._asked.popleft()
            at, taken = plain.begin + size, taken + 1
            self.answered_ahead += taken > 1
            if plain.last and self._asked:
                raise Stale
            if plain.last:
                return False
        self._held = bytes(self._view[at:got])
        return not (self._asked or self._held)

    def _receive_plain(self, at: int, got: int, size: int) -> tuple[Plain | None, int]:
        """Return what a plain answer says that begins at one place of the buffer, and the place up to which data came.

        None of any other answer, and of one that takes its time.
        """
        data: bytearray = self._view.obj  # type: ignore[assignment]
        plain, until = None, 0.0
        while True:
            if plain is None:
                end = data.find(b"\r\n\r\n", at, min(got, at + HEAD_CAP))
                plain = find_plain(data, at, end, size) if end >= 0 else None
                if plain is None and (end >= 0 or got - at >= HEAD_CAP):
                    return None, got
            if plain is not None and got >= plain.begin + size:
                return plain, got
            now = time.monotonic()
            until = 0.0 if got == at else until or now + AT_ONCE
            part = self._receive_soon(at, got, until - now)
            if not part:
                return None, got
            got += part

    def _receive_soon(self, at: int, got: int, seconds: float) -> int:
        """Receive an answer's first bytes, or, if they come within so many seconds, further ones; 0 if not."""
        try:
            if got == at:
                return self._receive_head(at, BUFFER, kept=True)
            return self._receive_into(self._view[got:]) if self._comes(seconds) else 0
        except Broken as error:
            self._failure = error
            return 0

    def _end_of_head(self, got: int) -> int:
        data: bytearray = self._view.obj  # type: ignore[assignment]
        end = data.find(b"\r\n\r\n", 0, min(got, HEAD_CAP))
        if end < 0 and _END.search(data, 0, min(got, HEAD_CAP)):
            raise Unusual
        if end < 0 and got >= HEAD_CAP:
            raise Broken(f"connection failed: the answer's header has more than {HEAD_CAP} bytes")
        return end

    def expects(self, request: bytes) -> bool:
        """Whether this request is sent already, and its answer the next one."""
        return bool(self._asked) and self._asked[0] == request

    @property
    def waiting(self) -> int:
        """How many requests are sent and not answered."""
        return len(self._asked)

    def part(self, fields: HeaderFields, first: memoryview, *, bodiless: bool) -> memoryview:
        """Keep what came of the next answers; where their beginning cannot be told, no answer can follow."""
        length = "0" if bodiless else fields.get("content-length")
        if not self._asked or "transfer-encoding" in fields or not length.isdecimal():
            return first
        self._held = bytes(first[int(length[:19]) :])
        return first[: int(length[:19])]

    def _take_held(self) -> int:
        got = len(self._held)
        self._view[:got] = self._held
        self._held = b""
        return got

    def _send_new(self, requests: Sequence[bytes], *, kept: bool) -> None:
        new = [request for request in requests if request not in self._asked]
        if new:
            self._send(b"".join(new), kept=kept)
            self._asked.extend(new)
            self._hurried = len(self._asked) > 1

    def _send(self, request: bytes, *, kept: bool) -> None:
        try:
            self._socket.sendall(request)
        except (BlockingIOError, TimeoutError) as error:
            raise Broken("timed out sending the request") from error
        except OSError as error:
            raise (Stale() if kept else Broken(f"connection failed: {error}")) from error

    def _receive_head(self, at: int, end: int, *, kept: bool) -> int:
        try:
            got = self._receive_into(self._view[at:end])
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
        full = full and self._brisk and self._tls is None
        got = self._receive_into(self._view[:most], socket.MSG_WAITALL if full else 0)
        self._brisk = got >= BRISK
        return self._view[:got]

    def _receive_into(self, view: memoryview, flags: int = 0) -> int:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        try:
            if self._hurried and _QUICKACK is not None:
                # Of several answers, the end is kept by some servers until what came before is acknowledged.
                with contextlib.suppress(OSError):
                    self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            return self._socket.recv_into(view, 0, flags)
        except (BlockingIOError, TimeoutError) as error:
            raise Broken("timed out waiting for data") from error
        except OSError as error:
            raise Broken(f"connection failed: {error}") from error

    @property
    def quiet(self) -> bool:
        """Whether nothing came since the last answer, not even the end: what comes unasked is none (RFC 9112, 9.2)."""
        return not self._comes(0)

    def _comes(self, seconds: float) -> bool:
        held = 0 if self._tls is None else self._tls.pending()
        return held > 0 or bool(self._unread.poll(max(0, int(seconds * 1000))))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
