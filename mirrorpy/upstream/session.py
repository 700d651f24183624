"""One request: connections, redirects that give no secret away, and httpx's errors told as ours."""

from __future__ import annotations

import contextlib
import email.utils
import re
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httpx

from mirrorpy.errors import FetchError, NotFound, redact
from mirrorpy.upstream.clients import Clients
from mirrorpy.upstream.local import FileTransport
from mirrorpy.upstream.url import may_share_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirrorpy.config import Connection
    from mirrorpy.upstream.network import Lanes

MAX_REDIRECTS = 10
DRAIN_CAP = 64 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
_RETRYABLE = frozenset({408, 421, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524})
_NEVER_AGAIN = re.compile(r"CERTIFICATE|certificate|WRONG_VERSION|UNSUPPORTED_PROTOCOL|HANDSHAKE_FAILURE|ALERT")


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise httpx's errors as FetchError, with the URL and without its secrets."""
    shown = redact(url)
    try:
        yield
    except httpx.TimeoutException as error:
        what = "connecting" if isinstance(error, httpx.ConnectTimeout) else "an answer"
        raise FetchError(f"timed out waiting for {what}", url=shown, retryable=True) from error
    except httpx.ConnectError as error:
        hopeless = bool(_NEVER_AGAIN.search(str(error)))
        raise FetchError(f"cannot connect: {error}", url=shown, retryable=not hopeless) from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError) as error:
        raise FetchError(f"cannot be requested: {error}", url=shown) from error
    except httpx.TransportError as error:
        cause = str(error) or type(error).__name__
        raise FetchError(f"connection failed: {cause}", url=shown, retryable=True) from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise FetchError(f"request failed: {error}", url=shown, retryable=True) from error


class Session:
    """The connections for one set of connection settings, shared by all threads."""

    def __init__(self, connection: Connection, lanes: Lanes, transport: httpx.BaseTransport | None = None) -> None:
        self._clients = Clients(connection, transport)
        self._lanes = lanes
        self._files = FileTransport()

    @contextlib.contextmanager
    def open(
        self, url: str, headers: Mapping[str, str], *, named: Sequence[str], tally: Tally, method: str = "GET"
    ) -> Iterator[httpx.Response]:
        """Request a URL, following redirects, and yield the answer before its body.

        Only hosts of the URLs that the configuration names are given secrets.

        Raises:
            FetchError: No answer, or one that is neither a body nor `not modified` nor a range that is not there.
        """
        asked = url
        for _ in range(MAX_REDIRECTS + 1):
            tally.count_request()
            with self._lanes.enter(url), translated(url), self._send(method, url, headers, named) as response:
                if response.status_code not in _REDIRECTS:
                    if response.status_code >= 400 and response.status_code != 416:
                        _drain(response)
                    check_status(response, url)
                    yield response
                    return
                target = _redirected(response, url)
                _drain(response)
            url = target
        raise FetchError(f"redirects more than {MAX_REDIRECTS} times", url=redact(asked))

    @contextlib.contextmanager
    def _send(
        self, method: str, url: str, headers: Mapping[str, str], named: Sequence[str]
    ) -> Iterator[httpx.Response]:
        """Send one request, and close its answer in the end."""
        if url.startswith("file:"):
            # Not through a client, whose cookie jar takes no URL without a host.
            with contextlib.closing(
                self._files.handle_request(httpx.Request("GET", url, headers=dict(headers)))
            ) as found:
                yield found
            return
        trusted = any(may_share_secrets(known, url) for known in named)
        with self._clients.borrow(urlsplit(url).scheme, trusted=trusted) as client:
            try:
                response = client.send(client.build_request(method, url, headers=dict(headers)), stream=True)
            except ValueError as error:
                # The standard library's part in httpx (cookies, IDNA) has its own idea of a URL.
                raise FetchError(f"cannot be requested: {error}", url=redact(url)) from error
            with contextlib.closing(response):
                yield response

    def close(self) -> None:
        """Close every connection."""
        self._clients.close()


class Tally:
    """Counts of one repository's requests, from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.retries = 0

    def count_request(self) -> None:
        """Count one request, redirects included."""
        with self._lock:
            self.requests += 1

    def count_retry(self) -> None:
        """Count one more attempt after a failure."""
        with self._lock:
            self.retries += 1


def _drain(response: httpx.Response) -> None:
    """Read a body that nobody wants, if it is short, so that the connection can be used again."""
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and 0 < int(length) <= DRAIN_CAP:
        for _ in response.iter_raw():
            pass


def _redirected(response: httpx.Response, url: str) -> str:
    location = str(response.headers.get("Location", ""))
    try:
        target: str = urljoin(url, location)
        scheme = urlsplit(target).scheme
    except ValueError:
        scheme = ""
    if not location or scheme not in ("http", "https"):
        raise FetchError(f"redirects to {redact(location)!r}, which cannot be followed", url=redact(url))
    if scheme == "http" and urlsplit(url).scheme == "https":
        raise FetchError("redirects from https to plain http, which is refused", url=redact(url))
    return _with_login(target, url) if may_share_secrets(url, target) else target


def _with_login(target: str, url: str) -> str:
    """Return a URL of the same host with the user name and password that stood in the one before."""
    login, mark, _ = urlsplit(url).netloc.rpartition("@")
    parts = urlsplit(target)
    return parts._replace(netloc=f"{login}{mark}{parts.netloc.rpartition('@')[2]}").geturl()


def check_status(response: httpx.Response, url: str) -> None:
    """Pass answers that carry something on.

    Raises:
        NotFound: 404 and 410.
        FetchError: Every other status; retryable where another attempt may help.
    """
    status = response.status_code
    if status in (200, 206, 304, 416):
        return
    shown = redact(url)
    reason = f"HTTP {status} {response.reason_phrase}".strip()
    if status in (404, 410):
        raise NotFound(reason, url=shown)
    hints = {401: "set username and password", 403: "check username, password or sslclientcert", 407: "check proxy"}
    raise FetchError(
        reason,
        url=shown,
        hint=hints.get(status),
        retryable=status in _RETRYABLE,
        retry_after=retry_after(response.headers.get("Retry-After")),
        status=status,
    )


def retry_after(value: str | None) -> float:
    """Return the seconds that a Retry-After asks for; 0 where it says nothing that can be read."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    return 0.0
