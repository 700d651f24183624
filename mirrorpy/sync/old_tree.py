"""Which tree an adoption takes over, and whether it may."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING

from mirrorpy.errors import ConfigError, LocalError
from mirrorpy.store.adoption import Adoption, identity, is_folder, read_adoption, restore, write_adoption
from mirrorpy.store.durable import PRIVATE_MODE, make_folders, translated
from mirrorpy.store.generation import published_generation
from mirrorpy.store.layout import STATE, names_generation, stamp_of
from mirrorpy.store.state import known_repositories, read_state

if TYPE_CHECKING:
    from mirrorpy.config.model import Repository
    from mirrorpy.store.layout import Layout, Place, RepoLayout
    from mirrorpy.sync.report import OldTree


def begin_adoption(
    asked: OldTree | None, repo: Repository, layout: Layout, place: Place, own: RepoLayout
) -> Adoption | None:
    """Return what is taken over in this run, an earlier run's unfinished adoption first; None for nothing.

    It is written down before anything else is done, so that whoever is killed, the next run goes on.

    Raises:
        ConfigError: The tree that is asked for may not be taken over.
        LocalError: This machine refuses, or another adoption is under way.
    """
    pending = adoption = read_adoption(own)
    if pending is not None:
        restore(pending)
        if asked is not None:
            adoption = _continued(pending, asked, repo)
    elif asked is not None:
        adoption = _chosen(asked, repo, layout, place, own)
    if adoption is not None:
        with translated("cannot begin the adoption"):
            if adoption.aside is not None:
                make_folders(os.path.dirname(adoption.aside), below=layout.state, mode=PRIVATE_MODE)
            if adoption != pending:
                write_adoption(own, adoption)
    return adoption


def _continued(pending: Adoption, asked: OldTree, repo: Repository) -> Adoption:
    known = {os.path.realpath(path) for path in (pending.tree, pending.left)}
    if asked.path is not None and os.path.realpath(asked.path) not in known:
        raise LocalError(
            f"the adoption of {pending.tree} is not finished yet", hint=f"`mirrorpy sync {repo.id}` finishes it"
        )
    remove = pending.remove or asked.remove
    # Who names the folder and asks for its removal means the one that is there now.
    meant = asked.remove and asked.path is not None and is_folder(pending.now)
    return pending.leaving(remove=remove, folder=identity(pending.now) if meant else pending.folder)


def _chosen(asked: OldTree, repo: Repository, layout: Layout, place: Place, own: RepoLayout) -> Adoption | None:
    path = asked.path or place.link
    if not os.path.lexists(path):
        hint = None if asked.path else f"`mirrorpy sync {repo.id}` needs nothing to begin with"
        raise ConfigError(f"{path}: there is nothing to take over", hint=hint)
    real = os.path.realpath(path)
    if real == os.path.realpath(place.link):
        if is_folder(place.link):
            return _in_place(asked, repo, layout, place)
        published_generation(place, own)
        return None
    published_generation(place, own)
    _refuse_ours(path, real, layout, [place.link, *_places(asked, repo, layout)])
    _refuse_unreadable(path, os.R_OK | os.X_OK)
    return Adoption(tree=real, remove=asked.remove, folder=identity(real))


def _in_place(asked: OldTree, repo: Repository, layout: Layout, place: Place) -> Adoption:
    tree = place.link
    _refuse_ours(tree, os.path.realpath(tree), layout, _places(asked, repo, layout))
    _refuse_unreadable(tree, os.R_OK | os.W_OK | os.X_OK)
    with translated("cannot probe"), contextlib.suppress(FileNotFoundError):
        try:
            # The kernel looks for mounts before it looks for the names, which nothing has.
            os.rename(f"{tree}/{STATE}.none", f"{layout.state}/{STATE}.none")
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            hint = "move its files into a plain folder on root's filesystem, or adopt it from another place"
            raise LocalError(f"{tree} is a mount of its own, which no link can replace", hint=hint) from error
    seconds = int(time.time())
    while os.path.lexists(aside := f"{layout.set_aside}/{repo.id}.{stamp_of(seconds)}"):
        seconds += 1
    return Adoption(tree=tree, aside=aside, remove=asked.remove, folder=identity(tree))


def _places(asked: OldTree, repo: Repository, layout: Layout) -> list[str]:
    """Return where other repositories are published, or have been, this configuration's and former ones'."""
    states = [read_state(layout.repo(repo_id).state) for repo_id in known_repositories(layout.repos)]
    known = {path for state in states for path in (state.path, *state.former_paths) if path}
    return [f"{layout.root}/{path}" for path in sorted({*asked.others, *known} - {repo.path})]


def _refuse_ours(path: str, real: str, layout: Layout, places: list[str]) -> None:
    """Refuse a tree that mirrorpy publishes or keeps, wholly or in part."""
    root = os.path.realpath(layout.root)
    if not os.path.isdir(real):
        raise ConfigError(f"{path} is no folder")
    if _within(root, real):
        raise ConfigError(f"{path} holds root, {layout.root}", hint="name the folder of one repository")
    if not _within(real, root):
        return
    names = os.path.relpath(real, root).split("/")
    if names[0] == STATE:
        raise ConfigError(f"{path} lies in mirrorpy's own state")
    if any(names_generation(name) for name in names):
        raise ConfigError(f"{path} is published by mirrorpy already")
    for place in places:
        other = f"{os.path.realpath(os.path.dirname(place))}/{os.path.basename(place)}"
        if _within(real, other) or _within(other, real):
            raise ConfigError(f"{path} is, holds or lies in {place}, where a repository is published")


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _refuse_unreadable(path: str, mode: int) -> None:
    if not os.access(path, mode):
        raise LocalError(f"{path}: this user may not take it over", hint="run as the user who owns it")
