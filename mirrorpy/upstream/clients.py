"""Requests through httpx: proxies, file:// URLs, and whatever servers do that the wire does not understand."""

from __future__ import annotations

import contextlib
import http.cookiejar
import threading
import time
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from mirrorpy.errors import ConfigError, FetchError, redact
from mirrorpy.upstream.fields import NO_PROXY, fixed_headers
from mirrorpy.upstream.local import FileTransport
from mirrorpy.upstream.tls import hopeless

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirrorpy.config.model import Connection
    from mirrorpy.upstream.tls import Contexts

DRAIN_CAP = 64 * 1024
DRAIN_SECONDS = 1.0


class _NoCookies(http.cookiejar.CookieJar):
    """Keeps none, as dnf does not; some would break every later request."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Leave them."""


class Clients:
    """A client is lent to one request at a time, so its pool of connections is a pool of one.

    Eight threads that share one client spend more time waiting for its pool's lock than for the network.
    """

    def __init__(self, settings: Connection, contexts: Contexts, transport: httpx.BaseTransport | None) -> None:
        self._settings, self._contexts, self._transport = settings, contexts, transport
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, bool], list[httpx.Client]] = {}
        self._files = FileTransport()

    @contextlib.contextmanager
    def ask(self, method: str, url: str, headers: Mapping[str, str], *, trusted: bool) -> Iterator[httpx.Response]:
        """Send one request, yield its answer before the body, and close it in the end.

        An untrusted request carries no secrets; it is for hosts that the configuration does not name.

        Raises:
            FetchError: No answer, or one that breaks off.
        """
        with self._translated(url):
            if url.startswith("file:"):
                # Not through a client, whose cookie jar takes no URL without a host.
                request = httpx.Request("GET", url, headers=dict(headers))
                with contextlib.closing(self._files.handle_request(request)) as found:
                    yield found
                return
            with self._borrow(url.partition(":")[0], trusted=trusted) as client:
                try:
                    response = client.send(client.build_request(method, url, headers=dict(headers)), stream=True)
                except ValueError as error:
                    # The standard library's part in httpx (cookies, IDNA) has its own idea of a URL.
                    raise FetchError(f"cannot be requested: {error}", url=redact(url)) from error
                with contextlib.closing(response):
                    yield response
                    _drain(response)

    @contextlib.contextmanager
    def _borrow(self, scheme: str, *, trusted: bool) -> Iterator[httpx.Client]:
        with self._lock:
            idle = self._idle.setdefault((scheme, trusted), [])
            client = idle.pop() if idle else None
        client = client or self._new(scheme, trusted=trusted)
        try:
            yield client
        finally:
            with self._lock:
                idle.append(client)

    def _new(self, scheme: str, *, trusted: bool) -> httpx.Client:
        settings = self._settings
        login = trusted and settings.username is not None
        direct = settings.proxy in NO_PROXY
        try:
            return httpx.Client(
                transport=self._transport,
                cookies=_NoCookies(),
                verify=self._contexts.get(trusted) if scheme == "https" and not self._transport else False,
                proxy=None if self._transport or direct else settings.proxy,
                headers=fixed_headers(settings, trusted=trusted),
                auth=httpx.BasicAuth(settings.username or "", settings.password or "") if login else None,
                timeout=httpx.Timeout(settings.timeout, pool=None),
                limits=httpx.Limits(max_connections=None, keepalive_expiry=30),
                trust_env=self._transport is None and not direct,
            )
        except ImportError as error:
            raise ConfigError("a SOCKS proxy needs the package socksio", hint="pip install httpx[socks]") from error
        except (httpx.InvalidURL, ValueError) as error:
            raise ConfigError(
                f"proxy {redact(settings.proxy or '')!r} cannot be used: {type(error).__name__}"
            ) from error

    @contextlib.contextmanager
    def _translated(self, url: str) -> Iterator[None]:
        """Raise httpx's errors as FetchError, with the URL, with the proxy where it is to blame, without secrets."""
        shown = redact(url)
        try:
            yield
        except httpx.TimeoutException as error:
            what = "connecting" if isinstance(error, httpx.ConnectTimeout) else "waiting for data"
            raise FetchError(f"timed out {what}{self._through(url)}", url=shown, retryable=True) from error
        except httpx.ProxyError as error:
            cause, refused = f"the proxy says {error}{self._through(url)}", "407" in str(error)
            raise FetchError(
                cause, url=shown, retryable=not refused, hint="check proxy" if refused else None
            ) from error
        except httpx.ConnectError as error:
            cause = f"cannot connect{self._through(url)}: {error}"
            raise FetchError(cause, url=shown, retryable=not hopeless(error)) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError) as error:
            raise FetchError(f"cannot be requested: {error}", url=shown) from error
        except httpx.TransportError as error:
            cause = f"connection failed{self._through(url)}: {str(error) or type(error).__name__}"
            raise FetchError(cause, url=shown, retryable=True) from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise FetchError(f"request failed: {error}", url=shown, retryable=True) from error

    def _through(self, url: str) -> str:
        """Return a phrase that names the proxy on the way to a URL; empty where there is none."""
        proxy = self._settings.proxy
        if proxy is None and self._transport is None:
            found = urllib.request.getproxies()
            bypassed = urllib.request.proxy_bypass(urlsplit(url).netloc)
            proxy = "" if bypassed else found.get(urlsplit(url).scheme) or found.get("all") or ""
        return "" if proxy is None or proxy in NO_PROXY else f" through the proxy {redact(proxy)}"

    def close(self) -> None:
        """Close every connection that no request is using."""
        for clients in self._idle.values():
            for client in clients:
                client.close()


def _drain(response: httpx.Response) -> None:
    """Read a body that nobody wanted, if it is short and quick, so that the connection can be used again."""
    length = response.headers.get("Content-Length", "")
    if response.is_stream_consumed or not length.isdigit() or int(length) > DRAIN_CAP:
        return
    until = time.monotonic() + DRAIN_SECONDS
    with contextlib.suppress(httpx.HTTPError):
        for _ in response.iter_raw():
            if time.monotonic() > until:
                return
