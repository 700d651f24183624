"""A connection to one server: made in time, with TLS where that is asked for, and as patient as it was told to be."""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING

from mirrorpy.errors import LocalError
from mirrorpy.upstream.body import Broken
from mirrorpy.upstream.tls import hopeless

if TYPE_CHECKING:
    import ssl


def connect(host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> socket.socket:
    """Return a connection that gives up what takes longer than the timeout, in seconds.

    Raises:
        Broken: It cannot be made.
        LocalError: This machine has no descriptor left for it.
    """
    try:
        connection = _connected(host, port, tls, timeout)
    except TimeoutError as error:
        raise Broken("timed out connecting") from error
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            hint = "raise the limit of open files, or lower max_parallel_downloads"
            raise LocalError(f"cannot connect: {error.strerror}", hint=hint) from error
        raise Broken(f"cannot connect: {error}", hopeless=hopeless(error)) from error
    if tls is None:
        _wait_at_most(connection, timeout)
    return connection


def _connected(host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> socket.socket:
    connection = socket.create_connection((host, port), timeout)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection if tls is None else tls.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def _wait_at_most(connection: socket.socket, timeout: float) -> None:
    """Let the kernel keep the time: Python would ask for readiness before every read.

    Not with TLS, whose reads begin again when the kernel's time is over, and wait for whole records.
    """
    seconds = struct.pack("@ll", int(timeout), int(timeout % 1 * 1e6))
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)
