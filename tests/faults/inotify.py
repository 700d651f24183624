"""Whether anybody opens a file: told by the kernel (inotify(7)), so that no reader goes unseen."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

IN_OPEN = 0x20
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def never_opened(path: Path) -> Iterator[None]:
    """Prove that nobody opens a file meanwhile; that it would have been seen is tried at the end."""
    descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0 or _libc.inotify_add_watch(descriptor, os.fsencode(path), IN_OPEN) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    try:
        yield
        assert not _has_come(descriptor), f"{path} was opened"
        path.read_bytes()
        assert _has_come(descriptor)
    finally:
        os.close(descriptor)


def _has_come(descriptor: int) -> bool:
    try:
        return bool(os.read(descriptor, 65536))
    except BlockingIOError:
        return False
