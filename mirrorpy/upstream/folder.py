"""A file:// folder, listed as a web server lists one."""

from __future__ import annotations

import errno
import os
from urllib.parse import unquote_to_bytes, urlsplit

from mirrorpy.errors import FetchError, NotFound, RepodataError, redact
from mirrorpy.rpmmd.listing import MAX_LISTED, Listed, listed_name

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, None)
"""The last is of a path that cannot be one, such as with a zero byte."""


def list_folder(url: str) -> list[Listed]:
    """Return regular files and folders by name, hidden ones too.

    Links are followed, but for those to a folder that they lie in: there is no end to what is below them.

    Raises:
        NotFound: There is no such folder.
        FetchError: It cannot be read.
        RepodataError: It has more entries than any folder of a mirror.
    """
    parts, shown = urlsplit(url), redact(url)
    if parts.hostname not in (None, "localhost"):
        raise FetchError("file:// names a host", url=shown)
    path = os.fsdecode(unquote_to_bytes(parts.path))
    found: list[Listed] = []
    try:
        here = os.path.join(os.path.realpath(path), "")
        with os.scandir(path) as entries:
            for count, entry in enumerate(entries):
                if count == MAX_LISTED:
                    raise RepodataError(f"lists more than {MAX_LISTED} entries", url=shown)
                folder = _is_folder(entry, here)
                if folder is not None and listed_name(entry.name):
                    found.append(Listed(entry.name, folder))
    except (OSError, ValueError) as error:
        kind = NotFound if getattr(error, "errno", None) in _NOT_THERE else FetchError
        reason = getattr(error, "strerror", None) or "it is no path"
        raise kind(f"cannot be listed: {reason}", url=shown) from error
    return sorted(found, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str], here: str) -> bool | None:
    """Tell folders from files; None for what is neither, or has no end."""
    try:
        if not entry.is_dir():
            return False if entry.is_file() else None
        loops = entry.is_symlink() and here.startswith(os.path.join(os.path.realpath(entry.path), ""))
    except OSError:
        return None
    return None if loops else True
