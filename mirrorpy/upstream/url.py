"""URLs of files below a base, and who may have the secrets for them."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from mirrorpy.errors import UnsafeHref
from mirrorpy.rpmmd.href import quote_href

FETCHABLE = ("http", "https", "file")


def file_url(base: str, href: str, location_base: str | None = None) -> str:
    """Return the URL of an href below a base; `xml:base` may lead to another base, absolute or relative.

    Raises:
        UnsafeHref: `xml:base` is no place that can be fetched from.
    """
    root = base if base.endswith("/") else f"{base}/"
    if location_base:
        root = urljoin(root, location_base if location_base.endswith("/") else f"{location_base}/")
        scheme = urlsplit(root).scheme
        if scheme not in FETCHABLE or (scheme == "file") != base.startswith("file:"):
            raise UnsafeHref(f"xml:base {location_base!r} is no http or https URL", href=href)
    return root + quote_href(href)


def origin(url: str) -> tuple[str, int | None]:
    """Return host and port, which is whom secrets are for."""
    parts = urlsplit(url)
    try:
        return (parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme))
    except ValueError:
        return (parts.netloc, None)


def may_share_secrets(asked: str, target: str) -> bool:
    """Tell whether a redirect's target may have the secrets that were meant for the host asked.

    The same host and port, or the same host's move from http to https.
    """
    if origin(asked) == origin(target):
        return urlsplit(asked).scheme == urlsplit(target).scheme
    (host, port), (other, other_port) = origin(asked), origin(target)
    return host == other and (port, other_port) == (80, 443) and target.startswith("https:")
