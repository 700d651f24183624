"""One request and its answer on the way: what faults work with."""

from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .answer import Answer, Body, Resource, answer, find, text_answer
from .connection import Connection, Gone
from .request import Request

if TYPE_CHECKING:
    from .server import FaultServer

WITHOUT_BODY = (204, 304)
REASONS = {int(status): status.phrase for status in HTTPStatus}


class Exchange:
    """A request that is to be answered on its connection."""

    def __init__(self, request: Request, connection: Connection, server: "FaultServer") -> None:
        self.request = request
        self.connection = connection
        self.server = server
        self.stays = request.lingers
        """Whether the connection is for further requests."""
        self._found: list[Resource] = []
        self._head = b""
        self._silent = request.method == "HEAD"

    # What would be honest

    def find(self, folder: Path | None = None) -> Resource | Answer:
        """What the request's path leads to, in the server's folder or another."""
        found = find(folder or self.server.folder, self.request.path)
        if isinstance(found, Resource):
            self._found.append(found)
        return found

    def honest(self, folder: Path | None = None) -> Answer:
        """The answer of a server without faults."""
        if self.request.method not in ("GET", "HEAD"):
            return text_answer(405, headers={"Allow": "GET, HEAD"})
        return answer(self.find(folder), self.request)

    # Sending

    def send(self, given: Answer) -> None:
        """Send a whole answer, with the headers that belong to it."""
        self.head(given)
        self.body(given.body)

    def head(self, given: Answer, *, length: int | None = -1) -> None:
        """Send status and headers.

        Args:
            given: The answer.
            length: What Content-Length says; the body's size if not given, None for no such header.
        """
        headers = {"Server": "faultserver", "Date": formatdate(usegmt=True)}
        if length is not None and given.status not in WITHOUT_BODY:
            headers["Content-Length"] = str(given.body.size if length < 0 else length)
        if not self.stays:
            headers["Connection"] = "close"
        elif self.request.version == "1.0":
            headers["Connection"] = "keep-alive"
        lines = [f"HTTP/1.1 {given.status} {REASONS.get(given.status, 'Whatever')}"]
        lines += [f"{name}: {value}" for name, value in (headers | given.headers).items()]
        self.raw_head("\r\n".join([*lines, "", ""]).encode(errors="surrogateescape"), given.status)
        self._silent = self._silent or given.status in WITHOUT_BODY

    def raw_head(self, head: bytes, status: int) -> None:
        """Send these bytes where the head belongs; they go with the body's first bytes, or by `flush`."""
        self.request.status = status
        self._head += head

    def body(self, given: Body) -> None:
        """Send a body, or a part of it; a file that became shorter meanwhile ends the connection."""
        before = self.request.sent
        for piece in given.pieces():
            self.write(piece)
        self.flush()
        if not self._silent and self.request.sent - before != given.size:
            self.stays = False

    def write(self, data: bytes, framing: tuple[bytes, bytes] = (b"", b"")) -> None:
        """Send bytes of the body, with what stands around them on the wire."""
        if self._silent:
            return
        before, after = framing
        # Counted first: the client may look at the record as soon as it has the last byte.
        self.request.sent += len(data)
        message = b"".join((self.take_head(), before, data, after))
        try:
            self.connection.send(message)
        except Exception as error:
            self.request.sent -= min(len(data), getattr(error, "unsent", 0))
            raise

    def raw(self, data: bytes) -> None:
        """Send bytes that are no part of the file."""
        if not self._silent:
            self.connection.send(self.take_head() + data)

    def take_head(self) -> bytes:
        """The head that was not sent yet; it will not be."""
        head, self._head = self._head, b""
        return head

    def flush(self) -> None:
        """Send the head now."""
        if head := self.take_head():
            self.connection.send(head)

    def wait(self, seconds: float | None = None) -> None:
        """Send what is there, and do nothing for so long; None is until the client goes, which raises Gone."""
        self.flush()
        self.connection.wait(seconds)

    def end(self) -> None:
        """Let the connection be closed after this answer."""
        self.stays = False

    def reset(self) -> NoReturn:
        """Break the connection with an RST now."""
        self.flush()
        self.connection.reset()
        raise Gone

    def drop(self) -> NoReturn:
        """Close the connection now, though nobody said that it would be."""
        self.flush()
        self.connection.close()
        raise Gone

    def close(self) -> None:
        """Close the files."""
        for found in self._found:
            if not isinstance(found.whole.source, bytes):
                found.whole.source.close()
