"""Writes that survive a power cut, and OSError told as what a user can mend."""

from __future__ import annotations

import errno
import functools
import os
import stat
from typing import TYPE_CHECKING

from mirrorpy.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable

FILE_MODE = 0o444
FOLDER_MODE = 0o755
PRIVATE_MODE = 0o700
UNFINISHED = ".new"
"""What the name of a file ends with until `write_file` has made it durable."""
_HINTS = {
    errno.ENOSPC: "make room, of bytes or inodes (df, df -i), and run again; what was downloaded is kept",
    errno.EDQUOT: "raise the quota and run again; what was downloaded is kept",
    errno.EROFS: "the filesystem is read-only",
    errno.EACCES: "run as the user who owns root",
    errno.EPERM: "run as the user who owns root",
    errno.EMFILE: "raise the limit of open files, or lower max_parallel_downloads",
}


class translated:  # noqa: N801  # written like contextlib's own, and as a class: a small file passes five
    """Raise OSError as LocalError, with the file and what to do."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Translate."""
        if not isinstance(error, OSError):
            return
        # Of two names the second is the new one, which could not be made.
        file = error.filename2 or error.filename
        name = os.fsdecode(file) if isinstance(file, (str, bytes)) else None
        where = f"{name}: " if name else ""
        cause = error.strerror or str(error)
        raise LocalError(f"{where}{self._doing}: {cause}", hint=_HINTS.get(error.errno or 0)) from error


@functools.cache
def _syncfs() -> Callable[[int], int] | None:
    """Return libc's syncfs(2), which flushes one filesystem; None where there is none."""
    import ctypes  # noqa: PLC0415  # not every process of ours needs it

    try:
        function = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
    function.argtypes, function.restype = [ctypes.c_int], ctypes.c_int
    return function


def sync_filesystem(folder: str) -> None:
    """Make everything written below folder durable, names included.

    One call instead of an fsync for each of thousands of files. sync(2) stands in where there is no syncfs: on Linux
    it waits too, but does not report errors.

    Raises:
        OSError: The filesystem could not write (Linux reports it since 5.8).
    """
    function = _syncfs()
    if function is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if function(descriptor) != 0:
            import ctypes  # noqa: PLC0415

            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), folder)
    finally:
        os.close(descriptor)


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, folder) from None
    finally:
        os.close(descriptor)


def is_there(path: str) -> bool:
    """Tell whether a name exists; unlike os.path.exists, not being allowed to look is no `no`.

    Raises:
        LocalError: It cannot be told.
    """
    try:
        with translated("cannot look"):
            os.lstat(path)
    except LocalError as error:
        if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
            return False
        raise
    return True


def make_folders(folder: str, *, below: str, mode: int = FOLDER_MODE, durable: bool = True) -> None:
    """Make a folder and its parents below another, with this mode whatever the umask."""
    if os.path.isdir(folder):
        return
    if folder != below:
        make_folders(os.path.dirname(folder), below=below, mode=mode, durable=durable)
    make_folder(folder, mode, durable=durable)


def make_folder(folder: str, mode: int, *, durable: bool = True) -> None:
    """Make one folder with this mode whatever the umask; somebody else may have made it just now."""
    try:
        os.mkdir(folder, mode)
    except FileExistsError:
        if not os.path.isdir(folder):
            raise
        return
    os.chmod(folder, mode)
    if durable:
        sync_folder(os.path.dirname(folder))


def write_file(path: str, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a file in one step: it has the old content or the new one, also after a power cut."""
    temporary = f"{path}{UNFINISHED}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    os.rename(temporary, path)
    sync_folder(os.path.dirname(path))


def open_regular(path: str) -> int:
    """Open a regular file for reading, and nothing else: a FIFO would be waited for.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no regular file", path)
    return descriptor
