"""Whether root is a place where mirrorpy can work, asked before anything is downloaded."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from mirrorpy.errors import LocalError
from mirrorpy.store.durable import PRIVATE_MODE, is_there, make_folders, translated

if TYPE_CHECKING:
    from mirrorpy.store.layout import Layout, Place, RepoLayout

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
    with translated("cannot probe"):
        if os.stat(folder).st_dev != os.stat(layout.state).st_dev:
            raise LocalError(
                f"{folder} is on another filesystem than {layout.state}, and hard links cannot cross",
                hint="one root is one filesystem: use one configuration for each disk",
            )
    probe, hard, soft = (f"{own.folder}/probe{suffix}" for suffix in ("", ".hard", ".soft"))
    try:
        with translated("root's filesystem refuses hard links, symbolic links or writing"):
            with open(probe, "wb"):
                os.link(probe, hard)
            os.symlink("probe", soft)
    finally:
        for name in (probe, hard, soft):
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
