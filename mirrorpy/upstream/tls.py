"""TLS settings out of the configuration: whose certificates are believed, and whom ours is shown."""

from __future__ import annotations

import contextlib
import re
import threading
from typing import TYPE_CHECKING

from mirrorpy.errors import ConfigError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from mirrorpy.config.model import Connection

_NEVER_AGAIN = re.compile(r"CERTIFICATE|certificate|WRONG_VERSION|UNSUPPORTED_PROTOCOL|HANDSHAKE_FAILURE|ALERT")


def hopeless(error: Exception) -> bool:
    """Tell whether a connection that failed for this reason will fail again."""
    return bool(_NEVER_AGAIN.search(str(error)))


class Contexts:
    """The TLS settings of one set of connection settings, made once each."""

    def __init__(self, settings: Connection) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._made: dict[bool, ssl.SSLContext] = {}

    def get(self, trusted: bool) -> ssl.SSLContext:  # the key of what was made
        """Return those for a host that the configuration names, or for another.

        Raises:
            ConfigError: A certificate file is none.
        """
        with self._lock:
            if trusted not in self._made:
                self._made[trusted] = tls_context(self._settings, trusted=trusted)
            return self._made[trusted]


def tls_context(settings: Connection, *, trusted: bool) -> ssl.SSLContext:
    """Return TLS settings: the system's authorities, or sslcacert's; a client certificate for trusted hosts only.

    Raises:
        ConfigError: A certificate file is none.
    """
    import ssl  # noqa: PLC0415  # a mirror in the next room often has none

    with _certificate(settings.sslcacert):
        context = ssl.create_default_context(cafile=settings.sslcacert if settings.sslverify else None)
    if not settings.sslcacert and not context.cert_store_stats()["x509_ca"]:
        import httpx  # noqa: PLC0415  # brings certificates of its own, which are seldom needed

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
