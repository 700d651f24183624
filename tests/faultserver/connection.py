"""One client's connection: bytes in and out, and the ways to end it. Needs Linux, to see clients go."""

import contextlib
import select
import socket
import ssl
import struct
import time
from fcntl import ioctl
from termios import TIOCOUTQ

from .request import BadRequest

GOING = select.POLLRDHUP | select.POLLHUP | select.POLLERR
LONGEST_HEAD = 1 << 20
LINGER_SECONDS = 1.0
"""How long a client may take to read what is left and to close after us."""


class Gone(Exception):
    """The client is gone, or the server ends."""

    def __init__(self, unsent: int = 0) -> None:
        super().__init__(unsent)
        self.unsent = unsent
        """Bytes that were to be sent and were not."""


class Connection:
    """A socket with a client at its other end; only `cut_off` may be called by another thread."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._received = bytearray()

    def handshake(self) -> None:
        """Agree on TLS, where the socket has it."""
        if isinstance(self._link, ssl.SSLSocket):
            try:
                self._link.do_handshake()
            except OSError as error:
                raise Gone from error

    def read_head(self) -> bytes | None:
        """The next request's head without the empty line at its end; None when the client closes in between."""
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            if len(self._received) > LONGEST_HEAD:
                raise BadRequest("its head has no end")
            if not self._receive():
                return None
        head = bytes(self._received[:end])
        del self._received[: end + 4]
        return head.lstrip(b"\r\n")

    def skip(self, size: int) -> None:
        """Drop the body of a request."""
        while len(self._received) < size:
            if not self._receive():
                raise Gone
        del self._received[:size]

    def _receive(self) -> bool:
        try:
            data = self._link.recv(65536)
        except (OSError, ValueError) as error:
            raise Gone from error
        self._received += data
        return bool(data)

    def send(self, data: bytes) -> None:
        """Hand all of it to the system.

        Raises:
            Gone: Some of it went nowhere.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._link.send(rest) :]
        except (OSError, ValueError) as error:
            raise Gone(len(rest)) from error

    def wait(self, seconds: float | None = None) -> None:
        """Do nothing for so long; None is until the client goes.

        Raises:
            Gone: The client went meanwhile.
        """
        if self._poll(GOING, seconds):
            raise Gone

    def await_more(self) -> None:
        """Wait until the client sends something, and leave it unread."""
        if not self._received:
            self._poll(select.POLLIN | GOING, None)

    def _poll(self, events: int, seconds: float | None) -> bool:
        poll = select.poll()
        poll.register(self._link, events)
        return bool(poll.poll(None if seconds is None else max(0, seconds) * 1000))

    def finish(self) -> None:
        """Close in order: what was sent arrives, then its end."""
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self._link, ssl.SSLSocket):
                self._link.settimeout(0)
                with contextlib.suppress(ssl.SSLError):
                    self._link.unwrap()
            socket.socket.shutdown(self._link, socket.SHUT_WR)
            # Closed with something unread, Linux would send a reset, which can overtake what was sent.
            until = time.monotonic() + LINGER_SECONDS
            while self._poll(select.POLLIN, max(0.0, until - time.monotonic())):
                if not socket.socket.recv(self._link, 65536):
                    break
        self.close()

    def reset(self) -> None:
        """Break it with an RST, after the client's system has what was sent."""
        with contextlib.suppress(OSError, ValueError):
            while struct.unpack("i", ioctl(self._link, TIOCOUTQ, b"\0" * 4))[0]:
                if self._poll(GOING, 0.001):
                    break
            self._link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Give the socket up."""
        self._link.close()

    def cut_off(self) -> None:
        """End what another thread waits for on this connection."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._link, socket.SHUT_RDWR)
