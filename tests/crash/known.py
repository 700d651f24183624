"""What is below a root, and the states of it that may be met, learned from a run that nobody interrupts."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.listing import REPOMD, faults, files_below, listing_of

from .scenes import INTERRUPTED, Scene
from .world import PATHS, RETIRED, Site

Tree = dict[str, tuple[object, ...]]
"""By path: mode and, of a file, time and digest. repomd.xml has the time of its publication, which is left out."""


def digest(path: Path) -> str:
    """Its SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree_of(folder: Path) -> Tree:
    """Read all that is below a folder."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        info, name = path.lstat(), str(path.relative_to(folder))
        found[name] = (oct(info.st_mode),)
        if not stat.S_ISDIR(info.st_mode):
            found[name] += (0 if name == REPOMD else int(info.st_mtime), digest(path))
    return found


def differences(found: Tree | None, wanted: Tree | None) -> str:
    """Say what makes one tree another."""
    if found is None or wanted is None:
        return "it is not there" if found is None else "it is there"
    paths = sorted(path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path))
    return ", ".join(f"{path} is {found.get(path)} and not {wanted.get(path)}" for path in paths)


def published(site: Site, name: str) -> Tree | None:
    """Read what clients see of a repository; None where nothing is published."""
    link = site.root / PATHS[name]
    return tree_of(link) if os.path.lexists(link) else None


def generations(site: Site, name: str) -> list[Path]:
    """Return the hidden folders beside the published name that are called as generations are."""
    path = site.root / PATHS[name]
    called = re.compile(rf"\.{re.escape(path.name)}\.\d{{8}}T\d{{6}}Z")
    return sorted(entry for entry in path.parent.glob(".*") if called.fullmatch(entry.name))


def pool(site: Site) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files of the pool."""
    for path in (site.root / ".mirrorpy" / "pool").rglob("*"):
        if not path.is_dir():
            yield path, path.lstat()


@dataclass
class Known:
    """The states of one scene."""

    scene: Scene
    site: Site
    """What was there before; it stays as it is."""
    old: dict[str, Tree | None]
    new: dict[str, Tree | None] = field(default_factory=dict)
    ever: dict[str, set[tuple[object, ...]]] = field(default_factory=dict)
    """Of each repository, every entry of every generation that was whole."""
    rotten: set[str] = field(default_factory=set)
    """What was wrong in the pool before."""
    fresh: int = 0
    """Files that have to be downloaded."""
    operations: list[str] = field(default_factory=list)

    @classmethod
    def learn(cls, scene: Scene, site: Site, folder: Path) -> "Known":
        """Run the scene's command to its end, on a copy in this folder."""
        known = cls(scene, site, {name: published(site, name) for name in scene.repos})
        known._meet(site)
        known.rotten = {path.name for path, _ in pool(site) if digest(path) != path.name}
        trial = site.copy(folder)
        ended = trial.run(*scene.command, hours=INTERRUPTED)
        assert ended.status == 0, ended.errors
        known.operations = ended.operations
        known.new = {name: published(trial, name) for name in scene.repos}
        known._meet(trial)
        known.fresh = len(known.rotten)
        if "--json" in scene.command:
            known.fresh = sum(repo["downloaded"]["files"] for repo in json.loads(ended.output)["repos"])
        known._prove(trial)
        return known

    def _meet(self, site: Site) -> None:
        for name in self.scene.repos:
            seen = self.ever.setdefault(name, set())
            for folder in generations(site, name):
                seen.update((path, *entry) for path, entry in tree_of(folder).items())

    def _prove(self, site: Site) -> None:
        """See, by other means, that the new state is upstream's, with what was promised before, and another one."""
        assert self.old != self.new
        for name in self.scene.repos:
            if self.new[name] is not None:
                link = site.root / PATHS[name]
                assert (link / REPOMD).read_bytes() == (site.upstream / name / REPOMD).read_bytes()
                assert faults(link) == []
                surplus = files_below(link) - listing_of(link).hrefs - {REPOMD}
                assert surplus <= (self.old[name] or {}).keys()
                assert RETIRED not in surplus or self.old[name] == self.new[name]
