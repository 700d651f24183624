"""httpx clients for one set of connection settings, each lent to one request at a time."""

from __future__ import annotations

import contextlib
import ssl
import threading
from typing import TYPE_CHECKING

import httpx

from mirrorpy import __version__
from mirrorpy.errors import ConfigError, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorpy.config import Connection

NO_PROXY = ("", "_none_")
"""Values of `proxy` that switch off the environment's proxy too; the second is dnf.conf's."""


class Clients:
    """A client is lent to one request at a time, so its pool of connections is a pool of one.

    Eight threads that share one client spend more time waiting for its pool's lock than for the network.
    """

    def __init__(self, connection: Connection, transport: httpx.BaseTransport | None) -> None:
        self._connection = connection
        self._transport = transport
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, bool], list[httpx.Client]] = {}
        self._contexts: dict[bool, ssl.SSLContext] = {}

    @contextlib.contextmanager
    def borrow(self, scheme: str, *, trusted: bool) -> Iterator[httpx.Client]:
        """Lend a client; an untrusted one has no secrets, for hosts that the configuration does not name."""
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
        settings = self._connection
        agent = settings.user_agent or f"mirrorpy/{__version__}"
        headers = {"User-Agent": agent, "Accept-Encoding": "identity", "Accept": "*/*"}
        auth = None
        direct = settings.proxy in NO_PROXY
        if trusted:
            headers.update(settings.headers)
            if settings.username is not None:
                auth = httpx.BasicAuth(settings.username, settings.password or "")
        try:
            return httpx.Client(
                transport=self._transport,
                verify=self._tls(trusted=trusted) if scheme == "https" and not self._transport else False,
                proxy=None if self._transport or direct else settings.proxy,
                headers=headers,
                auth=auth,
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

    def _tls(self, *, trusted: bool) -> ssl.SSLContext:
        with self._lock:
            if trusted not in self._contexts:
                self._contexts[trusted] = tls_context(self._connection, trusted=trusted)
            return self._contexts[trusted]

    def close(self) -> None:
        """Close every connection that no request is using."""
        for clients in self._idle.values():
            for client in clients:
                client.close()


def tls_context(settings: Connection, *, trusted: bool) -> ssl.SSLContext:
    """Return TLS settings: the system's authorities, or sslcacert's; a client certificate for trusted hosts only.

    Raises:
        ConfigError: A certificate file is none.
    """
    with _certificate(settings.sslcacert):
        context = ssl.create_default_context(cafile=settings.sslcacert if settings.sslverify else None)
    if not settings.sslcacert and not context.cert_store_stats()["x509_ca"]:
        context = httpx.create_ssl_context()
    if not settings.sslverify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.sslclientcert and trusted:
        with _certificate(settings.sslclientcert):
            context.load_cert_chain(settings.sslclientcert, settings.sslclientkey, lambda: "")
    return context


@contextlib.contextmanager
def _certificate(name: str | None) -> Iterator[None]:
    """Raise what is wrong with a certificate's file as ConfigError, with its name."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name}: is no certificate that can be used: {error}") from error
