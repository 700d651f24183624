"""The media types of the files that repositories have."""

from __future__ import annotations

import mimetypes

BYTES = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
MEDIA_TYPES = {
    "application/x-rpm": ("rpm", "drpm"),
    "application/xml": ("xml",),
    "application/gzip": ("gz",),
    "application/x-bzip2": ("bz2",),
    "application/x-xz": ("xz",),
    "application/zstd": ("zst",),
    "application/vnd.sqlite3": ("sqlite",),
    "application/yaml": ("yaml",),
    "application/pgp-signature": ("asc",),
    "application/pgp-keys": ("key",),
    "application/x-iso9660-image": ("iso",),
    "text/plain": ("txt", "repo"),
    "text/html": ("html",),
}
"""Type → suffixes. A compressed file is what it is: with a Content-Encoding, clients would unpack what they hash."""
_BY_SUFFIX = {suffix: kind for kind, suffixes in MEDIA_TYPES.items() for suffix in suffixes}
_PACKED = {"gzip": "gz", "bzip2": "bz2", "xz": "xz"}
_OTHERS = mimetypes.MimeTypes(filenames=())


def media_type(name: str) -> str:
    """Return a file's media type, by its suffix."""
    stem, _, suffix = name.rpartition(".")
    if not stem:
        return BYTES
    kind, packed = _OTHERS.guess_type(f"file.{suffix}")
    kind = _BY_SUFFIX.get(suffix.lower()) or (_BY_SUFFIX.get(_PACKED.get(packed, "")) if packed else kind)
    return TEXT if kind == "text/plain" else kind or BYTES
