"""The journal of an adoption, and what it makes safe: the old tree's way aside, its way back, and what leaves it.

`adopting` says which tree is taken over, until all is done. `adopted` has a line for each file of it that is the pool's
too: the name in the pool, a space, and the path below the tree, percent-encoded, for it may be in any encoding.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

import msgspec

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.model import Checksum
from mirrorpy.store.durable import (
    UNFINISHED,
    open_regular,
    sync_filesystem,
    sync_folder,
    translated,
    write_file,
)
from mirrorpy.store.exchange import exchange
from mirrorpy.store.layout import STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from mirrorpy.store.layout import Place, RepoLayout
    from mirrorpy.store.pool import Pool

_LINE = re.compile(r"(\w+):([0-9a-f]+) (\S+)\n", re.ASCII)
logger = logging.getLogger(__name__)


class Adoption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An old tree that is being taken over; its paths are absolute."""

    tree: str
    aside: str | None = None
    """Where it goes when the published link takes its place; None where it lies elsewhere, and stays."""
    remove: bool = False
    """Whether what is left of it is removed."""
    folder: str = ""
    """Which folder it is, as `identity` has it: another may lie under that name one day, on another disk."""

    @property
    def left(self) -> str:
        """Where the old tree is once the new one is published."""
        return self.aside or self.tree

    def leaving(self, *, remove: bool, folder: str | None = None) -> Adoption:
        """Return it with another answer to whether what is left is removed, and of which folder."""
        return msgspec.structs.replace(self, remove=remove, folder=self.folder if folder is None else folder)

    @property
    def same(self) -> bool:
        """Whether what lies there is still the folder that was to be taken over."""
        return not is_folder(self.now) or self.folder in ("", identity(self.now))

    @property
    def now(self) -> str:
        """Where the old tree is."""
        return self.tree if is_folder(self.tree) else self.left


def read_adoption(own: RepoLayout) -> Adoption | None:
    """Return the adoption that is under way; None where there is none."""
    try:
        with open(open_regular(own.adopting), "rb") as file:
            found = msgspec.json.decode(file.read(), type=Adoption)
    except (OSError, ValueError):
        return None
    root = _root(own)
    return _with_paths(found, lambda path: os.path.join(root, _decoded(path)))


def write_adoption(own: RepoLayout, adoption: Adoption) -> None:
    """Write down, durably, what is about to be taken over."""
    # What lies below root is found again where root is mounted elsewhere.
    below = f"{_root(own)}/"
    told = _with_paths(adoption, lambda path: _encoded(path.removeprefix(below)))
    write_file(own.adopting, msgspec.json.encode(told) + b"\n")


def _root(own: RepoLayout) -> str:
    return own.folder.rpartition(f"/{STATE}/")[0]


def _with_paths(adoption: Adoption, change: Callable[[str], str]) -> Adoption:
    aside = None if adoption.aside is None else change(adoption.aside)
    return Adoption(tree=change(adoption.tree), aside=aside, remove=adoption.remove, folder=adoption.folder)


def note_adopted(own: RepoLayout, taken: Iterable[tuple[Checksum, str]]) -> None:
    """Write down, durably, which files of the old tree are about to be the pool's too.

    A line that a crash cut short is of a file that is not the pool's; the next one does not continue it.
    """
    lines = "".join(f"{key} {_encoded(path)}\n" for key, path in taken)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(own.adopted, flags, 0o644), "wb") as file:
        file.write(b"\n" + lines.encode())
        file.flush()
        os.fsync(file.fileno())
    sync_folder(own.folder)


def _iter_shared(adoption: Adoption, own: RepoLayout, pool: Pool) -> Iterator[tuple[Checksum, str, str]]:
    """Yield what was adopted and still is one file: its key, and its names in the old tree and in the pool."""
    for key, path in _iter_noted(own):
        old, new = f"{adoption.now}/{path}", pool.path(key)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if os.path.samestat(os.lstat(old), os.lstat(new)):
                yield key, old, new


def _iter_noted(own: RepoLayout) -> Iterator[tuple[Checksum, str]]:
    with (
        contextlib.suppress(FileNotFoundError),
        open(open_regular(own.adopted), encoding="ascii", errors="replace") as file,
    ):
        for line in file:
            if match := _LINE.fullmatch(line):
                with contextlib.suppress(RepodataError):
                    yield Checksum.parse(match[1], match[2]), _decoded(match[3])


def _encoded(path: str) -> str:
    return quote(os.fsencode(path))


def _decoded(text: str) -> str:
    return os.fsdecode(unquote_to_bytes(text))


def restore(adoption: Adoption) -> None:
    """Give the old tree its place again, where a run was killed before anything else had it."""
    if adoption.aside is None:
        return
    with translated("cannot give the old tree its place again"):
        if os.path.islink(adoption.aside):
            os.unlink(adoption.aside)
        elif is_folder(adoption.aside) and not os.path.lexists(adoption.tree):
            os.rename(adoption.aside, adoption.tree)
            sync_folder(os.path.dirname(adoption.tree))
            sync_folder(os.path.dirname(adoption.aside))


def replace_tree(adoption: Adoption, name: str, own: RepoLayout) -> None:
    """Put a link to this name where the old tree is, which goes aside.

    That is one step, or where names cannot be exchanged two, between which nothing is there; `restore` is for that.
    """
    aside, tree = adoption.left, adoption.tree
    os.symlink(name, aside)
    if not exchange(aside, tree):
        logger.warning("%s: names cannot be exchanged here: for an instant there was nothing", tree)
        os.rename(aside, own.link)
        os.rename(tree, aside)
        try:
            os.rename(own.link, tree)
        except OSError:
            os.rename(aside, tree)
            raise
    sync_folder(os.path.dirname(aside))


def leave_tree(adoption: Adoption, own: RepoLayout, pool: Pool, published: Container[Checksum]) -> None:
    """Take out of the old tree each adopted file that is still the pool's, and folders that this empties.

    What was adopted and is not published, because upstream dropped it meanwhile, is the old tree's alone again. The old
    tree's own folder stays, unless it was set aside.
    """
    top, folders = adoption.now, set()
    for key, old, new in _iter_shared(adoption, own, pool):
        if key not in published:
            _give_back(old, new)
            continue
        # Somebody may be working on the old tree still.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(old)
        folders.add(os.path.dirname(old))
    for emptied in sorted(folders, key=len, reverse=True):
        folder = emptied
        with contextlib.suppress(OSError):
            while folder != top:
                os.rmdir(folder)
                folder = os.path.dirname(folder)
            if top == adoption.aside:
                os.rmdir(top)


def _give_back(old: str, new: str) -> None:
    """Make a file the old tree's alone: the pool's name goes, or where others have it too, the tree gets a copy."""
    with contextlib.suppress(FileNotFoundError):
        if os.lstat(new).st_nlink == 2:
            os.unlink(new)
            return
        copy = f"{old}{UNFINISHED}"
        shutil.copy2(old, copy, follow_symlinks=False)
        os.rename(copy, old)


def call_off(adoption: Adoption, own: RepoLayout, pool: Pool) -> None:
    """Forget an adoption before its tree was replaced, which keeps all its files."""
    for _, old, new in _iter_shared(adoption, own, pool):
        _give_back(old, new)
    _forget(own)


def end_adoption(adoption: Adoption, own: RepoLayout) -> None:
    """Remove what is left of the old tree, if that was asked, and forget that there was one."""
    top = adoption.now
    if adoption.remove and is_folder(top):
        try:
            shutil.rmtree(top)
        except OSError:
            # A mount, and what lies in a folder of somebody else's, is emptied only.
            if os.listdir(top):
                raise
    _forget(own)


def _forget(own: RepoLayout) -> None:
    sync_filesystem(own.folder)
    for path in (own.adopted, own.adopting):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    sync_folder(own.folder)


def identity(folder: str) -> str:
    """Return which folder lies under a name; the filesystem's own number lasts, a device's may be another tomorrow."""
    return f"{os.statvfs(folder).f_fsid:x}:{os.lstat(folder).st_ino}"


def in_the_way(place: Place, own: RepoLayout) -> Adoption | None:
    """Return the adoption that is about to put the published link where a folder is; None where there is none."""
    found = read_adoption(own)
    return found if found and found.aside and found.tree == place.link and is_folder(found.tree) else None


def is_folder(path: str) -> bool:
    """Tell whether a folder is there, itself and not a link to one."""
    return os.path.isdir(path) and not os.path.islink(path)
