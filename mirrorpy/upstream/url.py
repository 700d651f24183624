"""URLs of files below a base, and who may have the secrets for them."""

from __future__ import annotations

import functools
import re
from urllib.parse import urljoin, urlsplit

from mirrorpy.errors import RepodataError, UnsafeHref, redact
from mirrorpy.rpmmd.href import quote_href

_PLACE = re.compile(r"[^/?#]*//[^/?#]*")
"""Scheme and server: a run asks about few, thousands of times."""


def file_url(base: str, href: str, location_base: str | None = None) -> str:
    """Return the URL of an href below a base; `xml:base` may lead to another base, absolute or relative.

    Raises:
        UnsafeHref: `xml:base` is no place that can be fetched from.
    """
    root = base if base.endswith("/") else f"{base}/"
    if location_base:
        try:
            root = urljoin(root, location_base if location_base.endswith("/") else f"{location_base}/")
            acceptable = _no_worse(base, root)
        except ValueError:
            acceptable = False
        if not acceptable:
            raise UnsafeHref(f"xml:base {location_base!r} is no place that {redact(base)} may lead to", href=href)
    return root + quote_href(href)


def _no_worse(base: str, target: str) -> bool:
    """Tell whether upstream may lead from one URL to another: not from the web to files, nor from https to http."""
    was, goes = urlsplit(base).scheme, urlsplit(target).scheme
    return goes in {"file": ("file",), "https": ("https",), "http": ("http", "https")}.get(was, ())


def usable_mirrors(source: str, baseurls: tuple[str, ...]) -> tuple[str, ...]:
    """Return the mirrors of a list that may be asked: none on this machine's disk, unless the list is there too.

    Raises:
        RepodataError: None is left.
    """
    local = source.startswith("file:")
    usable = tuple(url for url in baseurls if origin(url) is not None and (local or not url.startswith("file:")))
    if not usable:
        raise RepodataError("names no mirror that can be asked", url=redact(source))
    return usable


def origin(url: str) -> tuple[str, int | None] | None:
    """Return host and port, which is whom secrets are for; None of what is no URL."""
    return _origin_of(_place(url))


def _place(url: str) -> str:
    match = _PLACE.match(url)
    return match[0] if match else url


@functools.lru_cache(maxsize=256)
def _origin_of(place: str) -> tuple[str, int | None] | None:
    try:
        parts = urlsplit(place)
        return (
            parts.hostname or "",
            parts.port if parts.port is not None else {"http": 80, "https": 443}.get(parts.scheme),
        )
    except ValueError:
        return None


def may_share_secrets(asked: str, target: str) -> bool:
    """Tell whether a redirect's target may have the secrets that were meant for the host asked.

    The same host and port, or the same host's move from http to https.
    """
    return _may_share(_place(asked), _place(target))


@functools.lru_cache(maxsize=256)
def _may_share(asked: str, target: str) -> bool:
    if origin(asked) == origin(target):
        return urlsplit(asked).scheme == urlsplit(target).scheme
    here, there = origin(asked), origin(target)
    if here is None or there is None:
        return False
    (host, port), (other, other_port) = here, there
    return host == other and (port, other_port) == (80, 443) and target.startswith("https:")
