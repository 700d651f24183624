"""A process that links the files of a published tree into a stage while it is not known yet what else will be in it.

It is run by its path, with nothing but a few of Python's own modules, so that it is there at once. It links, and judges
nothing: what it could not link is linked by the one who knows why it must be there. Names are bytes, so that nobody's
locale changes them.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys

TYPE_CHECKING = False  # to import `typing` takes longer than the rest
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import BinaryIO

FOLDER_MODE = 0o755
"""As store/durable.py has it, which is not imported here."""


class Linker:
    """Links a tree's regular files below the folder that it runs in, in folders that it made itself."""

    def __init__(self, tree: bytes, skipped: Collection[bytes]) -> None:
        self._tree, self._skipped = tree, skipped
        self.linked: list[tuple[bytes, int]] = []
        """Path and inode of each."""
        self.folders: list[bytes] = []
        """The folders that it made."""
        self.sound = True
        """Whether nothing is there of which it does not tell."""

    def link(self, folder: bytes = b"") -> None:
        """Link what is in a folder of the tree, and in those below; what cannot be linked is left out."""
        prefix = folder and folder + b"/"
        try:
            with os.scandir(os.path.join(self._tree, folder)) as entries:
                found = [(prefix + entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:
            return
        for path, is_folder in found:
            if path in self._skipped:
                continue
            if not is_folder:
                self._link_file(path)
            elif self._make(path):
                self.link(path)

    def _link_file(self, path: bytes) -> None:
        try:
            os.link(os.path.join(self._tree, path), path, follow_symlinks=False)
        except OSError:
            return
        try:
            self.linked.append((path, os.lstat(path).st_ino))
        except OSError:
            self.sound = False

    def _make(self, folder: bytes) -> bool:
        try:
            os.mkdir(folder, FOLDER_MODE)
        except OSError:
            return False
        self.folders.append(folder)
        try:
            os.chmod(folder, FOLDER_MODE)
        except OSError:
            self.sound = False
        return True


def serve(tree: bytes, skipped: Collection[bytes], source: BinaryIO, out: BinaryIO) -> None:
    """Link a tree, and tell who asks then what was linked, and which folders were made; silent where nobody asks."""
    linker = Linker(tree, skipped)
    linker.link()
    if source.read(1) and linker.sound:
        marshal.dump((linker.linked, linker.folders), out)
        out.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    published, *own = map(os.fsencode, sys.argv[1:])
    serve(published, own, sys.stdin.buffer, sys.stdout.buffer)
