"""A process that links files into a stage while it is not known yet what else will be in it.

It is run by its path, with nothing but a few of Python's own modules, so that it is there at once. It links, and judges
nothing: what it could not link is linked by the one who knows why it must be there. Names are bytes, so that nobody's
locale changes them.
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

    Link = tuple[bytes, bytes, int]
    """A pool object, the path that it is to have below the stage, and its bytes."""

FOLDER_MODE = 0o755
"""As store/durable.py has it, which is not imported here."""


class Linker:
    """Links below the folder that it runs in, in folders that it made itself."""

    def __init__(self) -> None:
        self._made = {b"": True}
        self.sound = True
        """Whether nothing is there of which it does not tell."""

    def link(self, link: Link) -> int:
        """Return a new link's inode; 0 where none could be made, or the object has another size."""
        pool_object, path, size = link
        if not self._makes(path.rpartition(b"/")[0]):
            return 0
        try:
            os.link(pool_object, path, follow_symlinks=False)
        except OSError:
            return 0
        try:
            info = os.lstat(path)
            if info.st_size == size:
                return info.st_ino
            os.unlink(path)
        except OSError:
            self.sound = False
        return 0

    def _makes(self, folder: bytes) -> bool:
        if folder not in self._made:
            self._made[folder] = self._makes(folder.rpartition(b"/")[0]) and self._make(folder)
        return self._made[folder]

    def _make(self, folder: bytes) -> bool:
        try:
            os.mkdir(folder, FOLDER_MODE)
        except OSError:
            return False
        try:
            os.chmod(folder, FOLDER_MODE)
        except OSError:
            self.sound = False
        return True

    @property
    def folders(self) -> list[bytes]:
        """The folders that it made."""
        return [folder for folder, made in self._made.items() if made]


def serve(source: BinaryIO, out: BinaryIO) -> None:
    """Make the links that source tells of, in batches, and answer the empty one; silent where that never comes."""
    linker, inodes = Linker(), list[int]()
    with contextlib.suppress(EOFError, ValueError, TypeError, OSError):
        while batch := marshal.load(source):  # noqa: S302  # who started us wrote it
            inodes += map(linker.link, batch)
        if linker.sound:
            marshal.dump((inodes, linker.folders), out)
            out.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)
