"""How long a cache may keep a file of a repository, by its name alone.

A name that holds the content's checksum never means another content. Metadata without one changes under its name, and a
cache that gave an old one beside a new repomd.xml would break clients; so it has to ask each time.
"""

from __future__ import annotations

import re

FOREVER = "public, max-age=31536000, immutable"
ASK = "no-cache"
CHECKSUM_NAME = "[0-9a-f]{32,128}[^/]*$"
"""The end of a path whose name carries a checksum, as a regular expression of Python, nginx (PCRE) and Apache."""
METADATA = "(^|/)repodata/"
_CHECKSUM_NAME = re.compile(f"/[^/]*{CHECKSUM_NAME}")
_METADATA = re.compile(METADATA)


def cache_control(path: str) -> str | None:
    """Return the Cache-Control of a published file; None where HTTP's own rules do.

    A package keeps its name for life (formats: one NEVRA, one file), but vendors respin them, so nothing is promised.
    """
    if _CHECKSUM_NAME.search(f"/{path}"):
        return FOREVER
    return ASK if _METADATA.search(path) else None
