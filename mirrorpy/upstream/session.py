"""One request: connections, redirects that give no secret away, and httpx's errors told as ours."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from mirrorpy.errors import FetchError, NotFound, redact
from mirrorpy.upstream.answer import Unusual
from mirrorpy.upstream.body import Broken
from mirrorpy.upstream.dates import retry_after
from mirrorpy.upstream.direct import Direct
from mirrorpy.upstream.tls import Contexts
from mirrorpy.upstream.url import may_share_secrets, origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import httpx

    from mirrorpy.config.model import Connection
    from mirrorpy.upstream.answer import Response
    from mirrorpy.upstream.clients import Clients
    from mirrorpy.upstream.network import Lanes
    from mirrorpy.upstream.request import Route
    from mirrorpy.upstream.wire import Take

MAX_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_RETRYABLE = frozenset({408, 421, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524})


class Session:
    """The connections for one set of connection settings, shared by all threads."""

    def __init__(self, settings: Connection, lanes: Lanes, transport: httpx.BaseTransport | None = None) -> None:
        self._settings, self._lanes, self._transport = settings, lanes, transport
        self._contexts = Contexts(settings)
        self._direct = Direct(settings, self._contexts.get)
        self._lock = threading.Lock()
        self._clients: Clients | None = None

    @contextlib.contextmanager
    def open(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        named: Sequence[str],
        tally: Tally,
        method: str = "GET",
        ahead: Sequence[str] | None = None,
    ) -> Iterator[Response]:
        """Request a URL, following redirects, and yield the answer before its body.

        Only hosts of the URLs that the configuration names are given secrets. The URLs ahead are those that this thread
        will request next, with no headers; None where no checksum proves what comes.

        Raises:
            FetchError: No answer, or one that is neither a body nor `not modified` nor a range that is not there.
        """
        asked = url
        for _ in range(MAX_REDIRECTS + 1):
            tally.count_request()
            lane = self._lanes.enter(url, self._stays, self.leave)
            with lane, self._send(method, url, headers, named, ahead) as response:
                if response.status_code not in _REDIRECTS:
                    check_status(response, url)
                    yield response
                    return
                target = _redirected(response, url)
            url = target
        raise FetchError(f"redirects more than {MAX_REDIRECTS} times", url=redact(asked))

    @contextlib.contextmanager
    def _send(
        self, method: str, url: str, headers: Mapping[str, str], named: Sequence[str], ahead: Sequence[str] | None
    ) -> Iterator[Response]:
        """Send one request, straight where that is possible, else through httpx; close its answer in the end."""
        trusted = _trusts(url, named)
        request = self._direct.request(method, url, headers, trusted=trusted) if self._transport is None else None
        if request is not None:
            later = [self._direct.request("GET", one, {}, trusted=_trusts(one, named)) for one in ahead or ()]
            proved = ahead is not None and method == "GET" and not headers
            asked = self._direct.ask(request, [one for one in later if one is not None] if proved else None)
            with contextlib.suppress(Unusual), translated(url), asked as answer:
                yield answer
                return
        with self._through_httpx().ask(method, url, headers, trusted=trusted) as response:
            yield response

    def route(self, base: str, named: Sequence[str]) -> Route | None:
        """Return how files below a base URL are requested straight; None where httpx has to."""
        base = base if base.endswith("/") else f"{base}/"
        return self._direct.route(base, trusted=_trusts(base, named)) if self._transport is None else None

    def trip(self, route: Route) -> float:
        """Return how long a server's answer took, at best, in seconds; 0 where that is not known."""
        return self._direct.lines.trip(route.server)

    def far(self, route: Route) -> bool:
        """Whether a server is so far away that it pays to say what will be requested next."""
        return self._direct.lines.far(route.server)

    def near(self, route: Route) -> bool:
        """Whether `whole` is worth trying."""
        return self._direct.near(route.server)

    def whole(self, route: Route, hrefs: Sequence[str], sizes: Sequence[int], take: Take) -> None:
        """Request small files of a near server and give take what comes of each, in this order.

        Ends where the answer is anything but plain, or not as long, or take refuses it: `open`, when this thread calls
        it for the same file, goes on with what came.
        """
        if not self.near(route) or self._direct.lines.busy:
            return
        with self._lanes.enter(route.base, self._stays, self.leave):
            self._direct.whole(route.server, [route.request(href) for href in hrefs], sizes, take)

    def doubt(self, url: str, named: Sequence[str]) -> bool:
        """Request one thing at a time from a URL's server from now on; False where this thread did so just now."""
        return self._direct.doubt(url, trusted=_trusts(url, named))

    def _stays(self) -> bool:
        return self._direct.lines.busy or self._direct.begun

    def settle(self, *, last: bool) -> None:
        """Give up an answer that `whole` left this thread and nobody read on, and its place.

        last is that it will request nothing of what is on its way either.
        """
        if self._direct.begun or (last and self._direct.lines.busy):
            self.leave()

    def leave(self) -> None:
        """Give up what this thread requested ahead or left unread, and its place."""
        self._direct.lines.leave()
        self._direct.drop()
        self._lanes.leave()

    def _through_httpx(self) -> Clients:
        """Return httpx's clients, which take a tenth of a second to import."""
        from mirrorpy.upstream.clients import Clients  # noqa: PLC0415

        with self._lock:
            self._clients = self._clients or Clients(self._settings, self._contexts, self._transport)
            return self._clients

    def close(self) -> None:
        """Close every connection that no request is using."""
        self._direct.close()
        if self._clients is not None:
            self._clients.close()


def _trusts(url: str, named: Sequence[str]) -> bool:
    return any(may_share_secrets(known, url) for known in named)


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise what the wire says as FetchError, with the URL and without its secrets."""
    try:
        yield
    except Broken as error:
        raise FetchError(str(error), url=redact(url), retryable=not error.hopeless) from error


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

    def count_others(self, requests: int, retries: int) -> None:
        """Count what another process did."""
        with self._lock:
            self.requests += requests
            self.retries += retries


def _redirected(response: Response, url: str) -> str:
    location = _decoded(str(response.headers.get("Location", "")))
    try:
        target: str = urljoin(url, location)
        scheme = urlsplit(target).scheme
    except ValueError:
        scheme = ""
    if not location:
        raise FetchError("redirects without saying where to", url=redact(url))
    if scheme not in ("http", "https") or origin(target) is None:
        raise FetchError(f"redirects to {redact(location)!r}, which cannot be followed", url=redact(url))
    if scheme == "http" and urlsplit(url).scheme == "https":
        raise FetchError("redirects from https to plain http, which is refused", url=redact(url))
    return _with_login(target, url) if may_share_secrets(url, target) else target


def _decoded(text: str) -> str:
    """Return a header's value as UTF-8 where it is."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _with_login(target: str, url: str) -> str:
    """Return a URL of the same host with the user name and password that stood in the one before."""
    login, mark, _ = urlsplit(url).netloc.rpartition("@")
    parts = urlsplit(target)
    return parts._replace(netloc=f"{login}{mark}{parts.netloc.rpartition('@')[2]}").geturl()


def check_status(response: Response, url: str) -> None:
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
