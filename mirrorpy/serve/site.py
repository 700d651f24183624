"""What a request's path means below root: an open file, an open folder, or nothing.

A path is walked once, by the kernel, and what it led to is checked afterwards. So whatever is answered is one file of
one generation, even where the published link is switched, or the generation dropped, a moment later.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote_to_bytes

from mirrorpy.store.layout import STATE

if TYPE_CHECKING:
    from types import TracebackType

ATTEMPTS = 5
"""A walk may step over a link whose generation is dropped at that instant; the next one sees the new link."""
_ORIGIN = re.compile(rb"^https?://[^/]*", re.IGNORECASE)
"""What stands before the path where a client takes us for a proxy (RFC 9112, 3.2.2)."""
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class Refused(Exception):
    """Nothing is served at this path; status is HTTP's."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True, slots=True)
class Found:
    """An open file or folder; to be closed."""

    path: str
    """Below root, as it was asked for; `` is root itself."""
    descriptor: int
    info: os.stat_result

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.info.st_mode)

    @property
    def file(self) -> str:
        """A name under which this very file can be opened, even if it has no other any more."""
        return f"/proc/self/fd/{self.descriptor}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a folder's listing."""

    name: str
    is_folder: bool
    size: int
    mtime: float


class Site:
    """A root, as the outside may see it."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)

    def find(self, raw_path: bytes) -> Found:
        """Open what a request's path, still percent-encoded, leads to.

        Raises:
            Refused: The path climbs, is absent, is mirrorpy's own state, leaves root, or is no file and no folder.
        """
        path = _decode(raw_path)
        for attempt in range(ATTEMPTS):
            try:
                return self._open(path.rstrip("/"), folder=path.endswith("/") or not path)
            except OSError as error:
                if error.errno == errno.ENOENT and attempt < ATTEMPTS - 1:
                    continue
                raise _refusal(error) from error
        raise AssertionError

    def _open(self, path: str, *, folder: bool) -> Found:
        place = os.open(f"{self._root}/{path}", os.O_PATH | os.O_CLOEXEC)
        try:
            info = os.fstat(place)
            wanted = stat.S_ISDIR(info.st_mode) or (stat.S_ISREG(info.st_mode) and not folder)
            real = os.readlink(f"/proc/self/fd/{place}")
            if not wanted or not self._is_public(real):
                raise Refused(404, "not found")
            if not self._is_open(real, info):
                raise Refused(403, "not readable by everybody")
            return Found(path, os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC), info)
        finally:
            os.close(place)

    def _is_public(self, real: str) -> bool:
        below = f"{real}/".removeprefix(f"{self._root}/")
        return below != f"{real}/" and STATE not in below.split("/")

    def _is_open(self, real: str, info: os.stat_result) -> bool:
        """Tell whether everybody may read it, as everything that is published may be; the server may be its owner."""
        needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(info.st_mode) else 0)
        if info.st_mode & needed != needed:
            return real == self._root
        folder = os.path.dirname(real)
        while len(folder) > len(self._root):
            if not os.stat(folder).st_mode & stat.S_IXOTH:
                return False
            folder = os.path.dirname(folder)
        return True

    def list_folder(self, found: Found) -> list[Entry]:
        """Return a folder's entries, folders first; hidden names and links that lead out are left out.

        Raises:
            Refused: It cannot be read.
        """
        try:
            with os.scandir(found.descriptor) as entries:
                listed = [self._entry(found, entry) for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            raise _refusal(error) from error
        return sorted((entry for entry in listed if entry), key=lambda entry: (not entry.is_folder, entry.name))

    def _entry(self, found: Found, entry: os.DirEntry[str]) -> Entry | None:
        try:
            info = entry.stat()
            if entry.is_symlink() and not self._is_public(os.path.realpath(f"{found.file}/{entry.name}")):
                return None
        except OSError:
            return None
        if not stat.S_ISDIR(info.st_mode) and not stat.S_ISREG(info.st_mode):
            return None
        return Entry(entry.name, stat.S_ISDIR(info.st_mode), info.st_size, info.st_mtime)


def _decode(raw_path: bytes) -> str:
    """Return a path's segments without empty ones and `.`, with a slash at the end where there was one.

    Percent-encoding is undone once, as the standard says; what is still encoded then is a name like any other.
    """
    decoded = unquote_to_bytes(_ORIGIN.sub(b"", raw_path))
    if b"\0" in decoded:
        raise Refused(400, "a path has no NUL")
    segments = os.fsdecode(decoded).split("/")
    if ".." in segments:
        raise Refused(400, "a path does not climb")
    if STATE in segments:
        raise Refused(404, "not found")
    names = [segment for segment in segments if segment not in ("", ".")]
    return "/".join(names) + ("/" if names and segments[-1] in ("", ".") else "")


def _refusal(error: OSError) -> Refused:
    if error.errno in _ABSENT:
        return Refused(404, "not found")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Refused(403, "not readable")
    return Refused(503, error.strerror or "cannot be read")
