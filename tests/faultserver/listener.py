"""The port, and a thread for each connection."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

from .connection import Connection, Gone

LOOPBACK = "127.0.0.1"
BACKLOG = 512


class Listener:
    """Takes connections, and lets each be served on a thread of its own as long as there is something to answer."""

    def __init__(self, port: int, context: ssl.SSLContext | None, answer_next: Callable[[Connection], bool]) -> None:
        """Listen on a port, 0 being a free one; `answer_next` says whether the connection stays."""
        self._answer_next = answer_next
        self._context = context
        self._closing = False
        self._threads: dict[threading.Thread, Connection] = {}
        """Touched by the accepting thread alone, and after it has ended."""
        self._errors: list[BaseException] = []
        self._socket = socket.create_server((LOOPBACK, port), backlog=BACKLOG)
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name=f"faultserver-{self.port}", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                link, _ = self._socket.accept()
            except OSError:
                continue
            try:
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._context:
                    link = self._context.wrap_socket(link, server_side=True, do_handshake_on_connect=False)
            except OSError:
                link.close()
                continue
            connection = Connection(link)
            thread = threading.Thread(target=self._serve, args=(connection,), name=self._thread.name, daemon=True)
            self._threads = {old: served for old, served in self._threads.items() if old.is_alive()}
            self._threads[thread] = connection
            thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(Gone):
                connection.handshake()
                while self._answer_next(connection):
                    pass
                connection.finish()
        except BaseException as error:
            self._errors.append(error)
        finally:
            connection.close()

    def close(self) -> None:
        """End all connections, stalled ones too, and every thread; raises what went wrong in one of them."""
        self._closing = True
        # On Linux this wakes accept().
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        for connection in self._threads.values():
            connection.cut_off()
        for thread in self._threads:
            thread.join()
        errors, self._errors = self._errors, []
        if errors:
            raise errors[0]
