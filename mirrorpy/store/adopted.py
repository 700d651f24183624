"""Files of an old tree: which there are, by listing alone, and taking one that is what upstream promises.

Nothing here follows a symbolic link or opens what is no regular file.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorpy.errors import ChecksumMismatch, LocalError
from mirrorpy.rpmmd.digest import hash_from
from mirrorpy.rpmmd.model import Checksum
from mirrorpy.store.durable import FILE_MODE, open_regular, translated
from mirrorpy.store.incoming import Partial
from mirrorpy.store.pool import KEY_ALGORITHM
from mirrorpy.store.probe import RESERVE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mirrorpy.rpmmd.model import RemoteFile

_BLOCK = 1024 * 1024
_FOR_OTHERS = 0o022
"""Leave to write of the file's group, and of everybody."""


@dataclass(slots=True)
class Listing:
    """What is below a folder."""

    by_size: dict[int, list[str]] = field(default_factory=dict)
    """Paths below the folder of regular files, by bytes."""
    files: int = 0
    bytes: int = 0
    links: list[str] = field(default_factory=list)
    """Symbolic links."""
    others: list[str] = field(default_factory=list)
    """What is no file, no folder and no link."""
    unreadable: list[str] = field(default_factory=list)
    """Folders that cannot be listed, and why."""


def list_tree(top: str, skip: Callable[[str], bool]) -> Listing:
    """List what is below a folder; skip names folders that are passed over."""
    found, below = Listing(), [""]
    while below:
        folder = below.pop()
        try:
            with os.scandir(f"{top}/{folder}") as entries:
                for entry in entries:
                    _sort(entry, f"{folder}{entry.name}", found, below, skip)
        except OSError as error:
            found.unreadable.append(f"{folder or top}: {error.strerror}")
    return found


def _sort(entry: os.DirEntry[str], path: str, found: Listing, below: list[str], skip: Callable[[str], bool]) -> None:
    if entry.is_symlink():
        found.links.append(path)
    elif entry.is_dir(follow_symlinks=False):
        if not skip(entry.name):
            below.append(f"{path}/")
    elif entry.is_file(follow_symlinks=False):
        with contextlib.suppress(FileNotFoundError):
            size = entry.stat(follow_symlinks=False).st_size
            found.by_size.setdefault(size, []).append(path)
            found.files += 1
            found.bytes += size
    else:
        found.others.append(path)


@dataclass(frozen=True, slots=True)
class Taken:
    """A file of the old tree that is what upstream promises, and has a name in incoming."""

    file: RemoteFile
    path: str
    """In incoming."""
    key: Checksum
    """Its name in the pool, to be."""
    size: int
    linked: bool
    """Whether it is the old tree's own file, and not a copy."""


def take_file(path: str, wanted: Collection[RemoteFile], incoming: str) -> Taken | None:
    """Hash a file of the old tree and, if it is one of those wanted, give it a name in incoming.

    Raises:
        OSError: It cannot be read, or changes meanwhile.
        LocalError: This machine does not take a copy of it.
    """
    with open(open_regular(path), "rb", buffering=0) as source:
        descriptor = source.fileno()
        before = os.fstat(descriptor)
        algorithms = sorted({file.checksum.algorithm for file in wanted} | {KEY_ALGORITHM})
        if all(file.checksum.strong for file in wanted):
            algorithms = sorted({file.checksum.algorithm for file in wanted})
        digests = dict(zip(algorithms, hash_from(descriptor, 0, *algorithms), strict=True))
        _unchanged(path, before, os.fstat(descriptor))
        for file in wanted:
            promised = file.checksum
            if digests[promised.algorithm] == promised.value and file.size in (None, before.st_size):
                break
        else:
            return None
        key = promised if promised.strong else Checksum(KEY_ALGORITHM, digests[KEY_ALGORITHM])
        # The name that a download would have.
        target = f"{incoming}/{promised.algorithm}-{promised.value}"
        with translated("cannot replace what was downloaded"), contextlib.suppress(FileNotFoundError):
            os.unlink(target)
        linked = _link(path, descriptor, target)
        if not linked:
            _copy(path, descriptor, file, incoming)
    return Taken(file, target, key, before.st_size, linked)


def _unchanged(path: str, before: os.stat_result, after: os.stat_result) -> None:
    same = before.st_size == after.st_size and before.st_mtime_ns == after.st_mtime_ns
    if not same or before.st_ctime_ns != after.st_ctime_ns:
        raise OSError(errno.EBUSY, "changes while it is read", path)


def _link(path: str, descriptor: int, target: str) -> bool:
    """Give the old file itself a second name; False where a copy is safer, or there can be no link.

    Safe is a file that only this user could write, that has no other name, and that can leave its folder afterwards.
    """
    info = os.fstat(descriptor)
    alone = info.st_nlink == 1 and info.st_uid == os.geteuid() and not info.st_mode & _FOR_OTHERS
    if not alone or not os.access(os.path.dirname(path), os.W_OK | os.X_OK):
        return False
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError:
        return False
    with translated("cannot take an old file"):
        now = os.lstat(target)
        if os.path.samestat(info, now) and now.st_size == info.st_size and now.st_mtime_ns == info.st_mtime_ns:
            os.chmod(target, FILE_MODE)
            return True
        os.unlink(target)
    return False


def _copy(path: str, descriptor: int, file: RemoteFile, incoming: str) -> None:
    """Copy an old file as if it were downloaded.

    Raises:
        OSError: It changed since it was hashed.
        LocalError: There is no room.
    """
    info, room = os.fstat(descriptor), os.statvfs(incoming)
    modified = info.st_mtime
    if info.st_size + RESERVE > room.f_bavail * room.f_frsize:
        raise LocalError(f"{path}: there is no room for a copy", hint="make room and run again")
    os.lseek(descriptor, 0, os.SEEK_SET)
    partial = Partial(incoming, file)
    try:
        while block := os.read(descriptor, _BLOCK):
            partial.write(block)
        partial.finish(modified)
    except ChecksumMismatch:
        raise OSError(errno.EBUSY, "changes while it is read", path) from None
    finally:
        partial.close()
