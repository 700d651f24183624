"""The scenes: what is there, which command is interrupted, and which ones then have to set everything right."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from .points import kill_at_first
from .world import BASE, CENTOS, EXTRA, PATHS, SHARED, Site

LONG_AGO, LATER, INTERRUPTED, NOW = -100.0, -99.0, -1.0, 0.0
"""Hours from now: the first sync, the second, the run that is interrupted, and all after it. A retired package's grace,
and a retired record's, end between the second and the third."""
Command = tuple[str, ...]
SYNC: Command = ("sync", "--json")
REPAIR: Command = ("verify", "--repair", "--quiet", "--jobs", "1")
FORGET: Command = ("prune", "--forget", EXTRA)
OLD = "old"
"""Below root: a tree that another program made."""
ADOPT: Command = ("adopt", BASE, "--json")
ADOPT_OLD: Command = ("adopt", CENTOS, f"{{root}}/{OLD}", "--json")
ADOPT_ALL: Command = (*ADOPT_OLD, "--remove-old")


def nothing(site: Site) -> None:
    """An upstream, and not even a root."""
    site.dawn(3)
    site.configure(CENTOS, EXTRA, keep=1)


def retired(site: Site, keep: int = 1) -> None:
    """Two syncs, of which the second retired something in each repository."""
    site.configure(BASE, CENTOS, keep=keep)
    for day, hours in ((1, LONG_AGO), (2, LATER)):
        site.dawn(day)
        site.sync(hours=hours)
    site.configure(BASE, CENTOS, keep=1)


def changed(site: Site) -> None:
    """Upstream changed, added, moved and removed files, and wrote its metadata anew."""
    retired(site)
    site.dawn(3)


def changed_and_begun_early(site: Site) -> None:
    """The same, and a process links what stays, which for so few files it would not."""
    from mirrorpy.store import early

    early.WORTH = 0
    changed(site)


def too_many(site: Site) -> None:
    """One generation more than is to be kept, and something whose grace is over."""
    retired(site, keep=2)


def rotten(site: Site) -> None:
    """A bit of a file that both repositories have is flipped; in the pool that is the same file."""
    retired(site)
    path = site.root / PATHS[BASE] / SHARED
    info, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def left(site: Site) -> None:
    """A repository with two generations left the configuration, one that shares a file with those that stay."""
    site.dawn(1)
    site.configure(BASE, CENTOS, EXTRA, keep=2)
    site.sync(hours=LONG_AGO)
    site.dawn(2)
    site.sync(EXTRA, hours=LATER)
    site.dawn(1)
    site.configure(BASE, CENTOS, keep=1)


def _mirrored(site: Site, name: str, folder: str) -> None:
    """Copy an upstream as rsync does, on the second day; by the third it changed, and here something is damaged."""
    site.dawn(2)
    top = site.root / folder
    shutil.copytree(site.upstream / name, top)
    paths = sorted(path for path in top.rglob("*.rpm"))
    paths[0].write_bytes(paths[0].read_bytes()[:-1] + b"!")
    for path in top.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o444)
    paths[1].chmod(0o464)
    os.link(paths[2], top / "again")
    paths[3 % len(paths)].rename(top / "renamed")
    (top / "RPM-GPG-KEY").write_text("a key")
    site.dawn(3)


def in_place(site: Site) -> None:
    """A copy of a repository lies where it is to be published."""
    _mirrored(site, BASE, PATHS[BASE])
    site.configure(BASE, keep=1)


def in_place_in_two_steps(site: Site) -> None:
    """The same where names cannot be exchanged."""
    from mirrorpy.store import exchange

    exchange._renameat2 = lambda: None  # type: ignore[assignment]
    in_place(site)


def elsewhere(site: Site) -> None:
    """A copy of a repository with weak checksums lies elsewhere."""
    _mirrored(site, CENTOS, OLD)
    site.configure(CENTOS, keep=1)


def begun(site: Site) -> None:
    """An adoption in place was killed before the pool had a file."""
    in_place(site)
    assert site.run(*ADOPT, hours=LATER, reached=kill_at_first("syncfs")).killed


@dataclass(frozen=True)
class Scene:
    """One of them."""

    before: Callable[[Site], None]
    command: Command
    heal: tuple[Command, ...] = (SYNC,)
    """What is run afterwards."""
    repos: tuple[str, ...] = (BASE, CENTOS)
    """Whose published paths are looked at."""
    gap: bool = False
    """Whether there may be nothing at a published path, until the next run."""
    beside: bool = False
    """Whether a process does part of it, so that no two runs do the same things."""


SCENES = {
    "first sync": Scene(nothing, SYNC, repos=(CENTOS, EXTRA)),
    "changing sync": Scene(changed, SYNC),
    "changing sync, begun early": Scene(changed_and_begun_early, SYNC, beside=True),
    "sync past grace, keep 2 to 1": Scene(too_many, SYNC),
    "prune": Scene(too_many, ("prune",)),
    "prune --forget": Scene(left, FORGET, heal=(SYNC, FORGET), repos=(*PATHS,)),
    "adopt in place": Scene(in_place, ADOPT, heal=(ADOPT, SYNC), repos=(BASE,)),
    "adopt in place, in two steps": Scene(in_place_in_two_steps, ADOPT, heal=(ADOPT, SYNC), repos=(BASE,), gap=True),
    "adopt elsewhere": Scene(elsewhere, ADOPT_OLD, heal=(ADOPT_OLD, SYNC), repos=(CENTOS,)),
    "adopt elsewhere --remove-old": Scene(elsewhere, ADOPT_ALL, heal=(ADOPT_ALL, SYNC), repos=(CENTOS,)),
    "sync that finishes an adoption": Scene(begun, SYNC, repos=(BASE,)),
    "verify --repair": Scene(rotten, REPAIR, heal=(SYNC, REPAIR)),
}
"""By what they show; another one is another line."""
