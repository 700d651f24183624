"""Whether root is a place where mirrorpy can work, asked before anything is downloaded."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from mirrorpy.errors import LocalError
from mirrorpy.store.durable import PRIVATE_MODE, is_there, make_folders, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorpy.store.layout import Layout, Place, RepoLayout

_NOBODY = "probe.none"
"""A name that nothing has."""
RESERVE = 1024**2
"""Bytes left free beside what is downloaded: metadata, manifests, folders."""


def prepare_root(layout: Layout) -> None:
    """Make root and its state folder.

    Raises:
        LocalError: This user may not, or something that is no folder is in the way.
    """
    with translated("cannot make root"):
        make_folders(layout.root, below="/")
        make_folders(layout.state, below=layout.root, mode=PRIVATE_MODE)


def prepare_repository(layout: Layout, own: RepoLayout) -> None:
    """Make the folders of one repository's state."""
    with translated("cannot prepare the repository's state"):
        for folder in (own.folder, own.incoming, layout.pool):
            make_folders(folder, below=layout.state, mode=PRIVATE_MODE)


def probe_place(layout: Layout, place: Place, own: RepoLayout) -> None:
    """Prove that generations can be published at a place: one filesystem, hard links, symbolic links.

    Raises:
        LocalError: They cannot; it says why.
    """
    folder = layout.root
    for name in os.path.relpath(place.folder, layout.root).split("/"):
        if not is_there(f"{folder}/{name}"):
            break
        folder = folder if name == "." else f"{folder}/{name}"
        if os.path.islink(folder) and folder != layout.root:
            raise LocalError(
                f"{folder} is a symbolic link, and generations lie beside the published name",
                hint="make it a real folder; if a repository was published there, `mirrorpy prune --forget` it first",
            )
        if not os.path.isdir(folder):
            raise LocalError(f"{folder} is no folder", hint="move it away")
    _probe_mounts(layout, own, folder)
    _probe_links(layout, own)


def _probe_mounts(layout: Layout, own: RepoLayout, folder: str) -> None:
    """Ask the kernel, which refuses to rename across mounts before it looks for the name; so nothing is written."""
    for one, other in ((own.incoming, layout.pool), (layout.pool, own.folder), (own.folder, folder)):
        with translated("cannot probe"), contextlib.suppress(FileNotFoundError):
            try:
                os.rename(f"{one}/{_NOBODY}", f"{other}/{_NOBODY}")
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                raise LocalError(
                    f"{other} is on another filesystem, or another mount, than {one}, and hard links cannot cross",
                    hint="one root is one filesystem: use one configuration for each disk",
                ) from error


def _probe_links(layout: Layout, own: RepoLayout) -> None:
    """Make one link of each kind in the repository's state."""
    probe, hard, soft = names = [f"{own.folder}/probe{suffix}" for suffix in ("", ".hard", ".soft")]
    _forget(names)
    try:
        with translated("cannot write here"):
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        with _refusing(layout.root, "hard links"):
            os.link(probe, hard)
        with _refusing(layout.root, "symbolic links"):
            os.symlink("probe", soft)
    finally:
        _forget(names)


@contextlib.contextmanager
def _refusing(root: str, what: str) -> Iterator[None]:
    with translated(f"cannot try {what}"):
        try:
            yield
        except PermissionError as error:
            cause = f"{root}: its filesystem refuses {what}: {error.strerror}"
            raise LocalError(cause, hint="use one that has them, as ext4, xfs and btrfs have") from error


def _forget(names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(name)


def check_space(layout: Layout, needed: int) -> None:
    """Refuse a download that does not fit.

    Raises:
        LocalError: Fewer bytes are free than needed, or no inode.
    """
    with translated("cannot ask for free space"):
        info = os.statvfs(layout.state)
    free = info.f_bavail * info.f_frsize
    if needed and needed + RESERVE > free:
        raise LocalError(
            f"{layout.root}: needs {needed + RESERVE:,} bytes and has {free:,} free",
            hint="make room and run again",
        )
    if info.f_files and not info.f_favail:
        raise LocalError(f"{layout.root}: has no free inode", hint="make room and run again")
