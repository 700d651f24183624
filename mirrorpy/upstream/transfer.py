"""One file over one URL: into a sink that knows what it must become, resumed where a part is here already."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Protocol

from mirrorpy.errors import ChecksumMismatch, FetchError, redact
from mirrorpy.upstream.dates import parse_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirrorpy.rpmmd.model import RemoteFile
    from mirrorpy.upstream.answer import Response
    from mirrorpy.upstream.network import Throttle
    from mirrorpy.upstream.session import Session, Tally

FLOOR_WINDOW = 30.0
"""Seconds over which `minrate` is measured, as librepo's low-speed time."""
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")


class Sink(Protocol):
    """Where a download goes; `mirrorpy.store.incoming.Partial` is one."""

    @property
    def file(self) -> RemoteFile: ...
    @property
    def offset(self) -> int: ...
    @property
    def complete(self) -> bool: ...
    @property
    def provable(self) -> bool:
        """Whether `finish` would notice the parts of two versions; if not, only a validator lets a download go on."""

    def write(self, data: bytes | memoryview) -> None: ...
    def restart(self) -> None: ...
    def finish(self, modified: float | None = None) -> None: ...


class Floor:
    """Tells a stalled download from a slow one."""

    def __init__(self, minrate: int, url: str) -> None:
        self._minrate, self._url = minrate, url
        self._since, self._bytes = time.monotonic(), 0

    def count(self, received: int, waited: float) -> None:
        """Count bytes; the seconds that we held back ourselves do not weigh.

        Raises:
            FetchError: Fewer bytes than minrate came over the window.
        """
        self._bytes += received
        self._since += waited
        elapsed = time.monotonic() - self._since
        if elapsed >= FLOOR_WINDOW:
            if self._bytes < self._minrate * elapsed:
                rate = self._bytes / elapsed
                cause = f"stalled: {rate:.0f} bytes/s is below minrate of {self._minrate}"
                raise FetchError(cause, url=self._url, retryable=True)
            self._since, self._bytes = time.monotonic(), 0


class Transfer:
    """The download of one file, over as many attempts and mirrors as it takes."""

    def __init__(
        self,
        session: Session,
        tally: Tally,
        sink: Sink,
        *,
        named: Sequence[str],
        minrate: int,
        throttles: Sequence[Throttle],
        received: Callable[[int], None],
    ) -> None:
        self._session, self._tally, self._sink = session, tally, sink
        self._named = named
        self._minrate, self._throttles, self._received = minrate, throttles, received
        self._modified: float | None = None
        self._validator: tuple[str, str] | None = None
        """URL, and what its server calls this version of the file."""

    def attempt(self, url: str, ahead: Sequence[str] = (), *, again: bool = False) -> None:
        """Bring the file from this URL, going on from what is here; those ahead are what this thread will get next.

        A part that does not belong to the file costs one restart, and so does a server that may have mixed up answers.

        Raises:
            FetchError: The URL did not give it, or not all of it.
            ChecksumMismatch: The URL gave something else.
        """
        sink = self._sink
        went_on = sink.offset > 0
        try:
            if not sink.complete:
                self._get(url, ahead)
            sink.finish(self._modified)
        except ChecksumMismatch as error:
            error.url = redact(url)
            mixed_up = not again and self._session.doubt(url, self._named)
            if not (went_on or mixed_up):
                raise
            sink.restart()
            self.attempt(url, again=True)

    def _get(self, url: str, ahead: Sequence[str]) -> None:
        headers, proved = self._headers(url), ahead if self._sink.provable else None
        with self._session.open(url, headers, named=self._named, tally=self._tally, ahead=proved) as response:
            if self._accept(response, url):
                self._stream(response, url)
                return
        self._sink.restart()
        with self._session.open(url, {}, named=self._named, tally=self._tally) as response:
            if not self._accept(response, url):
                raise FetchError(f"HTTP {response.status_code} to a request for the whole file", url=redact(url))
            self._stream(response, url)

    def _headers(self, url: str) -> dict[str, str]:
        if not self._sink.offset:
            return {}
        headers = {"Range": f"bytes={self._sink.offset}-"}
        if self._validator and self._validator[0] == url:
            headers["If-Range"] = self._validator[1]
        elif not self._sink.provable:
            self._sink.restart()
            return {}
        return headers

    def _accept(self, response: Response, url: str) -> bool:
        """Prepare the sink for the answer's body; False if only a request for the whole file can help."""
        sink, status = self._sink, response.status_code
        if status == 206:
            if not sink.offset:
                raise FetchError("HTTP 206 that nobody asked for", url=redact(url))
            if response.headers.get("Content-Type", "").lower().startswith("multipart/"):
                raise FetchError("HTTP 206 in several parts (multipart) where one was asked for", url=redact(url))
            self._remember(response, url)
            return self._continues(response)
        if status == 416 and sink.offset:
            # Where no size is promised, this may be the end: the checksum will tell.
            return sink.file.size is None
        if status != 200:
            raise FetchError(f"HTTP {status} where a file was asked for", url=redact(url))
        if sink.offset:
            sink.restart()
        length = response.headers.get("Content-Length", "")
        size = sink.file.size
        if size is not None and length.isascii() and length.isdigit() and (len(length) > 19 or int(length) != size):
            raise ChecksumMismatch(f"is announced with {length[:20]} bytes instead of the promised {size}")
        self._remember(response, url)
        return True

    def _continues(self, response: Response) -> bool:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not match or int(match[1]) != self._sink.offset:
            return False
        size = self._sink.file.size
        return size is None or match[3] in ("*", str(size))

    def _remember(self, response: Response, url: str) -> None:
        etag = response.headers.get("ETag", "")
        modified = response.headers.get("Last-Modified")
        validator = etag if etag.startswith('"') else modified
        self._validator = (url, validator) if validator and validator.isascii() else None
        self._modified = parse_date(modified)

    def _stream(self, response: Response, url: str) -> None:
        if response.status_code == 416:
            return
        floor = Floor(self._minrate, redact(url))
        for chunk in _chunks(response):
            self._sink.write(chunk)
            self._received(len(chunk))
            waited = sum(throttle.take(len(chunk)) for throttle in self._throttles)
            floor.count(len(chunk), waited)
        size = self._sink.file.size
        if size is not None and self._sink.offset < size:
            raise FetchError(f"ended after {self._sink.offset} of {size} bytes", url=redact(url), retryable=True)


def _chunks(response: Response) -> Iterator[bytes]:
    """The body as it came over the wire: a `.gz` with a stray Content-Encoding is what was promised, undecoded."""
    return response.iter_raw()
