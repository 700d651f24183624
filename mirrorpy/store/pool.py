"""The pool: every file once, read-only, under a checksum that it was proved to have.

Weak checksums name nothing here. A file promised by md5 or sha1 is kept under its SHA-256, and which that is (`weak`)
is remembered for the one repository whose metadata promised it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import threading
from typing import TYPE_CHECKING

from mirrorpy.rpmmd.digest import hash_from
from mirrorpy.rpmmd.model import Checksum, RemoteFile
from mirrorpy.store.durable import FILE_MODE, PRIVATE_MODE, make_folders, open_regular, sync_folder, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mirrorpy.store.layout import Layout

KEY_ALGORITHM = "sha256"
UNFINISHED = ".new-"
_OBJECT = re.compile(r"/\w+/([0-9a-f]{2})/\1[0-9a-f]+(\.new-[0-9-]+)?")


def hash_file(path: str, *algorithms: str) -> list[str]:
    """Return a regular file's digests in hex.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    with open(open_regular(path), "rb", buffering=0) as file:
        return hash_from(file.fileno(), 0, *algorithms)


def file_size(path: str) -> int | None:
    """Return a regular file's bytes; None where there is none."""
    try:
        info = os.lstat(path)
    except OSError:
        return None
    return info.st_size if stat.S_ISREG(info.st_mode) else None


class Pool:
    """The pool as one repository sees it."""

    def __init__(self, layout: Layout, weak: dict[Checksum, Checksum] | None = None, *, trust: bool = True) -> None:
        self._layout = layout
        self._trust = trust
        self._proved: dict[Checksum, bool] = {}
        self.trust_unsized: Callable[[], bool] = lambda: True
        """Says whether files of which no size is promised may be taken for whole; not where anything is damaged."""
        self._spare: dict[Checksum, str] = {}
        """Second names, in incoming, of what came in this run."""
        self.weak = weak if weak is not None else {}
        """Keys of files that this repository's metadata promised by a weak checksum."""

    def key(self, checksum: Checksum) -> Checksum | None:
        """Return the name in the pool of a promised file; None where a weak one is not known."""
        return checksum if checksum.strong else self.weak.get(checksum)

    def __contains__(self, file: object) -> bool:
        """Whether the pool has this file: with its size, or where nothing is trusted, with its checksum."""
        return isinstance(file, RemoteFile) and self.size(file) is not None

    def size(self, file: RemoteFile) -> int | None:
        """Return the bytes of the pool's copy; None where there is no good one."""
        key = self.key(file.checksum)
        if key is None:
            return None
        size = file_size(self.path(key))
        if size is None or file.size not in (None, size):
            return None
        trusted = self._trust and (file.size is not None or self.trust_unsized())
        return size if trusted or self._proves(key) else None

    def holds(self, key: Checksum, size: int) -> bool:
        """Tell whether an object is there with its size and, where nothing is trusted, its checksum."""
        return file_size(self.path(key)) == size and (self._trust or self._proves(key))

    def vouches(self, path: str, key: Checksum) -> bool:
        """Tell whether a file may stand in for an object that the pool lacks; hashed, where nothing is trusted."""
        return self._trust or self.take(path, key, keep=False)

    def _proves(self, key: Checksum) -> bool:
        if key not in self._proved:
            with contextlib.suppress(OSError):
                self._proved[key] = hash_file(self.path(key), key.algorithm) == [key.value]
        return self._proved.get(key, False)

    def path(self, key: Checksum) -> str:
        """Return where a file lies, or would."""
        return self._layout.pool_object(key)

    def link(self, key: Checksum, target: str) -> None:
        """Give a pool object another name.

        Raises:
            OSError: There is no such object, or target exists.
        """
        source = self.path(key)
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            self._copy(source)
            os.link(source, target, follow_symlinks=False)

    @staticmethod
    def _copy(source: str) -> None:
        """Start a second inode for an object that has all the links its filesystem can count (65,000 on ext4)."""
        import shutil  # noqa: PLC0415  # with all that it compresses with

        copy = _unfinished(source)
        shutil.copy2(source, copy)
        with open(copy, "rb") as file:
            os.fsync(file.fileno())
        os.rename(copy, source)

    def admit(self, path: str, key: Checksum) -> None:
        """Take a download into the pool.

        Its name in `incoming` stays until `place` uses it up: the second link keeps a sweep away from it.
        """
        self.install(path, key)
        self._spare[key] = path

    def install(self, path: str, key: Checksum) -> None:
        """Give a verified, durable file its name in the pool, in place of whatever has it."""
        target = self.path(key)
        try:
            self._name(path, target)
        except FileExistsError:
            if not os.path.samefile(path, target):
                unfinished = _unfinished(target)
                os.link(path, unfinished, follow_symlinks=False)
                os.rename(unfinished, target)
        self._proved[key] = True

    def _name(self, path: str, target: str) -> None:
        try:
            os.link(path, target, follow_symlinks=False)
        except FileNotFoundError:
            # It lasts no sooner than the names in it, and those are made durable all together.
            folder = os.path.dirname(target)
            make_folders(folder, below=self._layout.state, mode=PRIVATE_MODE, durable=False)
            os.link(path, target, follow_symlinks=False)

    def came(self, key: Checksum) -> bool:
        """Whether an object came in this run, so that `place` has a name to spare for it."""
        return key in self._spare

    def place(self, key: Checksum, target: str) -> None:
        """Give a pool object the name that it has in a generation under construction.

        What came in this run has a second name already, which nobody needs any more, and renaming is cheaper than
        linking here and unlinking there.

        Raises:
            OSError: There is no such object.
        """
        spare = self._spare.pop(key, None)
        if spare is None:
            self.link(key, target)
        else:
            os.rename(spare, target)

    def discard_damaged(self, key: Checksum) -> None:
        """Drop an object that is not what its name says.

        Raises:
            LocalError: This machine refuses.
        """
        path = self.path(key)
        with translated("cannot take a damaged file out of the pool"):
            if os.path.lexists(path) and not self._proves(key):
                os.unlink(path)

    def take(self, path: str, promised: Checksum, *, keep: bool = True) -> bool:
        """Link a file of this repository's own tree into the pool, if it is what was promised; or just say so."""
        algorithms = (promised.algorithm,) if promised.strong else (promised.algorithm, KEY_ALGORITHM)
        try:
            digests = hash_file(path, *algorithms)
        except OSError:
            return False
        if digests[0] != promised.value:
            return False
        key = Checksum(algorithms[-1], digests[-1])
        if not keep:
            return True
        self.install(path, key)
        os.chmod(self.path(key), FILE_MODE)
        self.promise(promised, key)
        return True

    def promise(self, promised: Checksum, key: Checksum) -> None:
        """Remember the name in the pool of what a weak checksum promises."""
        if promised != key:
            self.weak[promised] = key


def _unfinished(target: str) -> str:
    """Return a free name beside a pool object that nobody else uses; a sweep removes what a crash leaves of it."""
    name = f"{target}{UNFINISHED}{os.getpid()}-{threading.get_ident()}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)
    return name


def sweep_marker(layout: Layout) -> str:
    """Return the file that says that the pool may hold files which nothing needs."""
    return f"{layout.state}/sweep-owed"


def owe_sweep(layout: Layout) -> None:
    """Write down, durably, that a sweep is needed: whoever is killed before it, another run does it."""
    os.close(os.open(sweep_marker(layout), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644))
    sync_folder(layout.state)


def iter_unused(layout: Layout) -> Iterator[tuple[str, int]]:
    """Yield path and bytes of each pool object that nothing else links to, and of leftovers beside them."""
    for folder, _, names in os.walk(layout.pool):
        for name in names:
            path = f"{folder}/{name}"
            if not _OBJECT.fullmatch(path[len(layout.pool) :]):
                continue
            info = os.lstat(path)
            if info.st_nlink == 1 or not stat.S_ISREG(info.st_mode) or UNFINISHED in name:
                yield path, info.st_size
