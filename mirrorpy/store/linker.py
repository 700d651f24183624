"""A process that links files into a stage while it is not known yet what else will be in it.

It runs with nothing but a few of Python's own modules, so that it is there at once. It links, and judges nothing: what
it could not link is linked by the one who knows why it must be there.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import sys

TYPE_CHECKING = False  # to import `typing` takes longer than the rest
if TYPE_CHECKING:
    from typing import BinaryIO

    Link = tuple[str, str, int]
    """A pool object, the path that it is to have below the stage, and its bytes."""

FOLDER_MODE = 0o755


class Linker:
    """Links below the folder that it runs in, in folders that it made itself."""

    def __init__(self) -> None:
        self._made = {"": True}

    def link(self, link: Link) -> int:
        """Return a new link's inode; 0 where none could be made, or the object has another size."""
        pool_object, path, size = link
        if self._makes(path.rpartition("/")[0]):
            with contextlib.suppress(OSError):
                os.link(pool_object, path, follow_symlinks=False)
                info = os.lstat(path)
                if info.st_size == size:
                    return info.st_ino
                os.unlink(path)
        return 0

    def _makes(self, folder: str) -> bool:
        known = self._made.get(folder)
        if known is None:
            known = False
            if self._makes(folder.rpartition("/")[0]):
                with contextlib.suppress(OSError):
                    os.mkdir(folder, FOLDER_MODE)
                    os.chmod(folder, FOLDER_MODE)
                    known = True
            self._made[folder] = known
        return known

    @property
    def folders(self) -> list[str]:
        """The folders that it made."""
        return [folder for folder, made in self._made.items() if made]


def serve(source: BinaryIO, out: BinaryIO) -> None:
    """Make the links that source tells of, in batches, and answer the empty one; silent where that never comes."""
    linker, inodes = Linker(), list[int]()
    with contextlib.suppress(EOFError, ValueError, TypeError, OSError):
        while batch := marshal.load(source):  # noqa: S302  # who started us wrote it
            inodes += map(linker.link, batch)
        marshal.dump((inodes, linker.folders), out)
        out.flush()


def main() -> None:
    """Serve whoever started this, in the folder where it was started: short names are looked up sooner."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)
