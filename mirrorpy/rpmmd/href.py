"""Confinement of upstream's locations: a checked href names a file inside the repository, and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from mirrorpy.errors import RepodataError, UnsafeHref
from mirrorpy.rpmmd.model import Kind, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SEGMENT = 255
"""Bytes of one name, on every Linux filesystem."""
MAX_HREF = 2048
"""Bytes; Linux takes 4,096 for a whole path."""
MAX_DEPTH = 64
RESERVED = ".mirrorpy"
INDEX_FILES = ("repodata/repomd.xml", "repodata/repomd.xml.asc", "repodata/repomd.xml.key")
SIGNATURE_HREF = INDEX_FILES[1]
_INDEX_FOLDERS = tuple(f"{name}/" for name in INDEX_FILES)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SAFE = re.compile(r"[A-Za-z0-9_+~^-][A-Za-z0-9._+~^-]*(?:/[A-Za-z0-9_+~^-][A-Za-z0-9._+~^-]*)*")


def check_href(href: str | None, kind: Kind) -> str:
    """Return href unchanged if it names a file inside the repository.

    It is literal text, so `%2e%2e` is a name like any other. The rules are those of CVE-2018-10897's mending in
    reposync, applied to the path's segments and not to its prefix, so that a sibling folder never passes.

    Raises:
        UnsafeHref: There is none, it is absolute, has a `..`, a control character or a name that is too long, or claims
            a place that belongs to mirrorpy or to the metadata.
    """
    if not href:
        raise UnsafeHref("has no location")
    if len(href) <= 100 and _SAFE.fullmatch(href):
        path = href
    else:
        _check_unusual(href)
        path = plain(href)
    if path.split("/", 1)[0] == RESERVED:
        raise UnsafeHref(f"href points into {RESERVED}", href=href)
    if path.startswith("repodata") and (path == "repodata" or f"{path}/".startswith(_INDEX_FOLDERS)):
        raise UnsafeHref("href would overwrite repomd.xml", href=href)
    if kind in (Kind.PACKAGE, Kind.DELTA) and path.startswith("repodata/"):
        raise UnsafeHref("href would overwrite the repository's metadata", href=href)
    return href


def _check_unusual(href: str) -> None:
    if _CONTROL.search(href):
        raise UnsafeHref("href has a control character", href=href)
    if href.startswith("/") or _SCHEME.match(href):
        raise UnsafeHref("href is absolute", href=href)
    parts = href.split("/")
    if ".." in parts:
        raise UnsafeHref("href leaves the repository", href=href)
    if parts[-1] in ("", "."):
        raise UnsafeHref("href names a folder", href=href)
    if len(parts) > MAX_DEPTH:
        raise UnsafeHref(f"href has more than {MAX_DEPTH} folders", href=href[:120] + "…")
    if len(href.encode()) > MAX_HREF or any(len(part.encode()) > MAX_SEGMENT for part in parts):
        cause = f"href has more than {MAX_HREF} bytes, or a name of more than {MAX_SEGMENT}"
        raise UnsafeHref(cause, href=href[:120] + "…")


def check_tree(paths: Mapping[str, object]) -> None:
    """Refuse paths of which one would have to be a file and a folder at once.

    Raises:
        RepodataError: `a` and `a/b` are both files.
    """
    folders = {path.rpartition("/")[0] for path in paths}
    while folders:
        for folder in folders:
            if folder in paths:
                raise RepodataError("is promised both as a file and as a folder", href=folder)
        folders = {folder.rpartition("/")[0] for folder in folders} - {""}


def quote_href(href: str) -> str:
    """Percent-encode each segment once, everything but unreserved characters (RFC 3986, 2.3).

    `+` too: Amazon's S3 takes a bare one for a space.
    """
    return quote(href, safe="/")
