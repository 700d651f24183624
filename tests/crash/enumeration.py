"""Setting a scene in a process that has one thread and has imported everything, and working through points in forks."""

import gc
import importlib
import json
import os
import pkgutil
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from .clock import settle
from .judge import heal, state_of
from .known import Known, published
from .points import Ended
from .scenes import SCENES
from .world import Site

SPARED = ("mirrorpy.serve", "mirrorpy.cli.serve", "mirrorpy.cli.progress", "mirrorpy.__main__")
"""What no scene needs, and what would be large."""
NEEDED = ("_strptime", "encodings.ascii", "encodings.utf_8_sig")
"""What Python itself imports when it is used first."""
P = TypeVar("P")
Found = dict[str, Any]


def set_scene(name: str, folder: Path, **settings: Any) -> Known:
    """Make what is there before, below an empty folder, and learn what can come of it."""
    sys.dont_write_bytecode = True
    site = Site(folder / "before", folder / "upstream", settle())
    _import_everything()
    gc.freeze()
    gc.disable()
    site.folder.mkdir()
    SCENES[name].before(site)
    site.configure(*(repo["id"] for repo in site.settings["repos"]), **settings)
    return Known.learn(SCENES[name], site, folder / "whole")


def _import_everything() -> None:
    """Spare each run its imports."""
    top = importlib.import_module("mirrorpy")
    found = [module.name for module in pkgutil.walk_packages(top.__path__, "mirrorpy.")]
    for name in (*NEEDED, *(name for name in found if not name.startswith(SPARED))):
        importlib.import_module(name)


def forked(work: Callable[[], None]) -> int:
    """Work in a fork; return its pid, to be waited for."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def try_each(points: Sequence[P], trial: Callable[[P, Site], Found], known: Known, folder: Path) -> None:
    """Try every point on a copy of what was there before, on all processors; print what is found, a line each."""
    width = os.cpu_count() or 1
    shares = [folder / f"share-{first}" for first in range(width)]
    work = [partial(_try, points[first::width], trial, known, share) for first, share in enumerate(shares)]
    for pid in [forked(share) for share in work]:
        assert os.waitpid(pid, 0)[1] == 0
    for share in shares:
        sys.stdout.write(share.with_suffix(".json").read_text())


def _try(points: Sequence[P], trial: Callable[[P, Site], Found], known: Known, folder: Path) -> None:
    with folder.with_suffix(".json").open("w") as out:
        for point in points:
            out.write(json.dumps(trial(point, known.site.copy(folder))) + "\n")
            shutil.rmtree(folder)


def judge(site: Site, known: Known, faults: Sequence[str], *, settle: bool = True, hidden: bool = True) -> Found:
    """Say what is published, let the next run come, and say what is wrong before and after that."""
    state, wrong = state_of(site, known, hidden=hidden)
    later, lost = heal(site, known, settle=settle)
    return {"state": state, "broken": [*faults, *wrong, *(f"next: {fault}" for fault in later)], "lost": lost}


def misreported(ended: Ended, site: Site, known: Known) -> list[str]:
    """Say what is wrong with how a run of `sync --json` ended in which something failed once.

    It is told in one line for each repository, with exit 6, or mirrorpy does without; what went well is published.
    More than one fails where strace counts the calls of each thread apart.
    """
    told = [line for line in ended.errors.splitlines() if not line.startswith("mirrorpy: warning: ")]
    repos = json.loads(ended.output or '{"repos": []}')["repos"]
    done = {repo["id"] for repo in repos if repo["error"] is None}
    faults = []
    if (ended.status, len(told)) not in ((0, 0), (6, max(1, len(repos) - len(done)))):
        faults.append(f"ended with {ended.status}: {ended.errors}")
    if not ended.status and done != {*known.scene.repos}:
        faults.append(f"only {sorted(done)} went well, of which nothing was said")
    return faults + [f"{name} is not new" for name in sorted(done) if published(site, name) != known.new[name]]
