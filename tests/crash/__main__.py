"""python -m tests.crash HOW SCENE FOLDER: interrupt a scene's command at every operation, and judge what comes of it.

HOW is `kill`, `fail`, or `threads`, which kills at some points of runs with several threads. It prints a line of JSON
for each point. A process of its own, because it forks thousands of times.
"""

import errno
import os
import random
import sys
from pathlib import Path

from . import points
from .enumeration import Found, judge, misreported, set_scene, try_each
from .known import Known
from .scenes import INTERRUPTED
from .world import Site

SEED, SOME = 7, 40
SEVERAL = {"max_parallel_downloads": 4, "max_parallel_repos": 2}
FAILURES = (errno.EIO, errno.ENOSPC)


def main(how: str, name: str, folder: Path) -> None:
    """Set the scene, and interrupt."""
    known = set_scene(name, folder, **(SEVERAL if how == "threads" else {}))
    numbers = list(range(1, len(known.operations) + 1))
    if how == "threads":
        numbers = sorted(random.Random(SEED).sample(numbers, SOME))

    def trial(number: int, site: Site) -> Found:
        steady = how == "kill" and not known.scene.beside
        found = fail(number, site, known) if how == "fail" else kill(number, site, known, steady=steady)
        return {"point": number, "operation": known.operations[number - 1], **found}

    try_each(numbers, trial, known, folder)


def kill(number: int, site: Site, known: Known, *, steady: bool) -> Found:
    """Kill the command just before one operation; a steady one does the same things each time."""
    ended = site.run(*known.scene.command, reached=points.kill_at(number), hours=INTERRUPTED)
    faults = []
    site.wait_for_locks()
    if steady and (not ended.killed or ended.operations != known.operations[:number]):
        faults.append(f"was not killed there: {ended.status}, {ended.operations[-1]}, {ended.errors}")
    return judge(site, known, faults)


def fail(number: int, site: Site, known: Known) -> Found:
    """Let one operation fail."""
    code = FAILURES[number % len(FAILURES)]
    ended = site.run(*known.scene.command, reached=points.fail_at(number, code), hours=INTERRUPTED)
    faults = [f"{os.strerror(code)}: {fault}" for fault in misreported(ended, site, known)]
    return {"exit": ended.status, **judge(site, known, faults, settle=False)}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
