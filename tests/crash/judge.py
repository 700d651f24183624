"""What is there after an interruption, and after the run that follows it: what is wrong with it, if anything."""

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from .known import Known, differences, digest, generations, pool, published, tree_of
from .scenes import ADOPT_ALL, FORGET, NOW, OLD, SYNC
from .world import PATHS, Site

DONE = {FORGET: ("nothing is known",), ADOPT_ALL: ("there is nothing to take over",)}
"""What is said, by command, where the run that was killed was through."""
UNFINISHED = ".new-"
"""In names of the pool that a sweep removes."""


def state_of(site: Site, known: Known, *, hidden: bool = True) -> tuple[str, list[str]]:
    """Say whether the old or the new state is published, and what is wrong; new is where every repository is new.

    hidden asks besides that generations which no link leads to hold nothing but whole files.
    """
    faults, state = [], "new"
    for name in known.scene.repos:
        link, found = site.root / PATHS[name], published(site, name)
        plain = found == known.old[name] and not (known.site.root / PATHS[name]).is_symlink()
        if found is not None and not plain and link.parent / _target(link) not in generations(site, name):
            faults.append(f"{PATHS[name]} is no link to a generation")
        if found is None and known.scene.gap and known.old[name] is not None:
            state = "old" if state == "new" else state
        elif found != known.new[name]:
            state = "old" if state == "new" else state
            if found != known.old[name]:
                state = "neither"
                faults.append(f"{PATHS[name]} is neither old nor new: {differences(found, known.new[name])}")
    return state, [*faults, *_half_done(site, known, hidden=hidden), *_misnamed(site, known)]


def _target(link: Path) -> str:
    return os.readlink(link) if link.is_symlink() else ""


def _half_done(site: Site, known: Known, *, hidden: bool) -> Iterator[str]:
    """Name what is visible below root that is not part of the layout, or not what any whole generation has."""
    links = {site.root / PATHS[name] for name in known.scene.repos}
    parents = {parent for link in links for parent in link.parents}
    whole = {folder: name for name in known.scene.repos for folder in generations(site, name)}
    below = [site.root] if site.root.exists() else []
    while below:
        for path in below.pop().iterdir():
            if path in whole:
                entries = {(name, *entry) for name, entry in tree_of(path).items()} if hidden else set()
                yield from (f"{path.name} holds {entry}" for entry in entries - known.ever[whole[path]])
            elif path in parents and path.is_dir():
                below.append(path)
            elif path not in links and path.name not in (".mirrorpy", OLD):
                yield f"{path.relative_to(site.root)} is visible"


def _misnamed(site: Site, known: Known) -> Iterator[str]:
    """Name what is in the pool and not what it is called."""
    for path, info in pool(site):
        right = stat.S_ISREG(info.st_mode) and digest(path) == path.name
        if not right and path.name not in known.rotten and UNFINISHED not in path.name:
            yield f"the pool has something else as {path.name}"


def heal(site: Site, known: Known, *, settle: bool = True) -> tuple[list[str], list[str]]:
    """Run what comes next and, to see that all is settled, a sync; return what is wrong then, and what was lost."""
    lost = []
    for command in known.scene.heal:
        ended = site.run(*command, hours=NOW)
        if ended.status and not any(told in ended.errors for told in DONE.get(command, ())):
            return [f"{' '.join(command)} ended with {ended.status}: {ended.errors.strip()}"], []
        if command == SYNC:
            fetched = sum(repo["downloaded"]["files"] for repo in json.loads(ended.output)["repos"])
            lost += [f"{fetched} files were downloaded, {known.fresh} are new"] if fetched > known.fresh else []
    for name in known.scene.repos:
        found, wanted = published(site, name), known.new[name]
        missing = {path for path in wanted or () if path not in (found or ())}
        lost += [f"{PATHS[name]} lacks {path}" for path in sorted(missing)]
    lost += _lost(site, known)
    state, faults = state_of(site, known)
    faults += ["the old state is published still"] if state == "old" else []
    faults += [*_unsettled(site)] if settle else []
    return [*faults, *_leftovers(site, known)], lost


def _unsettled(site: Site) -> Iterator[str]:
    """Say what one more sync does, which has nothing to do."""
    before = _everything(site)
    ended = site.run(*SYNC, hours=NOW)
    outcomes = {repo["outcome"] for repo in json.loads(ended.output)["repos"]}
    if ended.status or outcomes != {"unchanged"}:
        yield f"a sync with nothing to do ended with {ended.status}, {outcomes}: {ended.errors}"
    changed = {name for name, _ in _everything(site).items() ^ before.items()}
    if changed:
        yield f"a sync with nothing to do changed {sorted(changed)}"


def _everything(site: Site) -> dict[str, tuple[int, ...]]:
    """Return all that is below root and must not change: any run writes its state.json, and probes in its folder."""
    found: dict[str, tuple[int, ...]] = {}
    for path in site.root.rglob("*"):
        info, name = path.lstat(), str(path.relative_to(site.root))
        if path.name != "state.json":
            ours = name.startswith(".mirrorpy") and stat.S_ISDIR(info.st_mode)
            found[name] = (info.st_ino, info.st_mode, info.st_nlink, 0 if ours else info.st_mtime_ns)
    return found


def _leftovers(site: Site, known: Known) -> Iterator[str]:
    """Name what no run will ever look at again."""
    if any(UNFINISHED in path.name for path, _ in pool(site)):
        site.run("prune", "--quiet", hours=NOW)
    for path, info in pool(site):
        if info.st_nlink == 1 or digest(path) != path.name:
            yield f"the pool keeps {path.name}"
    needed = {"lock"}
    for name in known.scene.repos:
        found = [folder.name for folder in generations(site, name)]
        if len(found) != (known.new[name] is not None):
            yield f"there are the generations {found}"
        kept = {"lock", "state.json", "weak", "hashed", "beside"} if known.new[name] is not None else {"lock"}
        needed |= {f"repos/{name}/{file}" for file in kept}
        needed |= {f"repos/{name}/{stamp[1]}.files" for one in found if (stamp := re.search(r"\.(\w+Z)$", one))}
    state = site.root / ".mirrorpy"
    files = {str(path.relative_to(state)) for path in state.rglob("*") if not path.is_dir()}
    left = [name for name in sorted(files - needed) if not name.startswith(("pool/", "set-aside/"))]
    yield from (f"{name} is left over" for name in left)
    yield from _reached(site)
    yield from (f"{path} is left over" for path in state.glob("repos/*/*/"))


def _old_trees(site: Site) -> list[Path]:
    """Return the files that another program put there, set aside or not."""
    tops = [site.root / OLD, site.root / ".mirrorpy" / "set-aside"]
    tops += [site.root / path for path in PATHS.values() if not (site.root / path).is_symlink()]
    return [path for top in tops for path in top.rglob("*") if path.is_file()]


def _lost(site: Site, known: Known) -> list[str]:
    """Name what an old tree had, and what is nowhere any more, though nobody asked for that."""
    if "--remove-old" in known.scene.command:
        return [f"{path} was not removed" for path in _old_trees(site)]
    had = {digest(path): path for path in _old_trees(known.site)}
    have = {digest(path) for path in (*_old_trees(site), *(path for path, _ in pool(site)))}
    return [f"{had[one].name} is lost" for one in sorted(had.keys() - have)]


def _reached(site: Site) -> Iterator[str]:
    """Name what reaches a file of the pool and is none of mirrorpy's names."""
    inodes = {info.st_ino for _, info in pool(site)}
    yield from (f"{path} is a file of the pool" for path in _old_trees(site) if path.lstat().st_ino in inodes)
