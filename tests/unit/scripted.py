"""A server that says what a test wants it to, connection by connection."""

import threading

from tests.faultserver.connection import Gone
from tests.faultserver.listener import Listener


class Scripted:
    """A server with a script for each connection: answers in turn, then it hangs up. What was asked is written down.

    An answer has parts: bytes, or what is to be done with the connection.
    """

    def __init__(self, *scripts, context=None):
        self._scripts = [list(script) for script in scripts]
        self._numbers = {}
        self.asked = []
        """Number of the connection, and what was asked for."""
        self.left = [threading.Event() for _ in scripts]
        """Set when the client is gone from a connection."""
        self._listener = Listener(0, context, self._answer_next)
        self.port = self._listener.port
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}/"

    def _answer_next(self, connection):
        number = self._numbers.setdefault(connection, len(self._numbers))
        try:
            head = connection.read_head()
            if head is None:
                raise Gone
            self.asked.append((number, head.split()[1].decode()))
            if not self._scripts[number]:
                return False
            for part in self._scripts[number].pop(0):
                part(connection) if callable(part) else connection.send(part)
        except Gone:
            self.left[number].set()
            return False
        return True

    def close(self):
        self._listener.close()


def ok(data, *fields):
    lines = b"".join(field + b"\r\n" for field in (b"Content-Length: %d" % len(data), *fields))
    return b"HTTP/1.1 200 OK\r\n%s\r\n%s" % (lines, data)
