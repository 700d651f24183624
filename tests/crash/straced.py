"""python -m tests.crash.straced HOW SHARE FOLDER: interrupt a changing sync at its system calls, and judge it.

The program itself, under strace, which counts calls by name and thread, and kills (`kill`) at the Nth, or lets it fail
(`fail`). SHARE is how many of these points are tried; 0 is all. It prints a line of JSON for each. With `count` it only
prints, for each kind of operation, how many the kernel saw and how many are points of `tests.crash`.
"""

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.integration.programs import TOP

from .enumeration import Found, judge, misreported, set_scene, try_each
from .known import Known
from .points import Ended
from .world import Site

SCENE, SEED, SECONDS = "changing sync", 11, 120
CHANGES = (
    *("chmod", "fchmod", "fchmodat", "fdatasync", "fsync", "ftruncate", "link", "linkat", "mkdir", "mkdirat"),
    *("pwrite64", "rename", "renameat", "renameat2", "rmdir", "symlink", "symlinkat", "syncfs", "unlink", "unlinkat"),
    *("utimensat", "write"),
)
FALLIBLE = ("fsync", "link", "linkat", "mkdir", "rename", "syncfs", "symlink", "write")
HOW = {"kill": (CHANGES, ("signal=KILL",)), "fail": (FALLIBLE, ("error=EIO", "error=ENOSPC"))}
SAID = 3
"""So many writes of a thread that fails may be its messages, and what happens to those is nobody's files' business."""
KINDS = {
    "os.chmod": r"f?chmod(at)?\(",
    "os.link": r"link(at)?\(",
    "os.mkdir": r"mkdir(at)?\(",
    "os.remove": r"unlink(at)?\((?!.*AT_REMOVEDIR)",
    "os.rename": r"rename(at2?)?\(",
    "os.rmdir": r"rmdir\(|unlinkat\(.*AT_REMOVEDIR",
    "os.symlink": r"symlink(at)?\(",
    "os.truncate": r"f?truncate\(",
    "os.utime": r"utimensat\(",
    "fsync": r"f(data)?sync\(",
    "syncfs": r"syncfs\(",
    "write": r"p?write(v|64|v2)?\((?![12],)|copy_file_range\(|sendfile\(",
    "open": r"(open|openat|creat)\(.*O_(WRONLY|RDWR|CREAT|TRUNC)",
}
"""What the kernel sees of each."""
_CALL = re.compile(r"(\d+) +(\w+)\(")
Point = tuple[str, int, str]
"""A system call, its number, and what is done to it."""


def traced(site: Site, known: Known, *options: str) -> Ended:
    """Run the command under strace."""
    log = site.folder / "strace"
    program = [sys.executable, "-m", "mirrorpy", "--config", str(site.config), *known.scene.command]
    done = subprocess.run(
        ["strace", "--follow-forks", "-qq", "-o", str(log), *options, *program],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    return Ended(done.returncode, done.stdout, done.stderr, log.read_text().splitlines())


def points_of(how: str, known: Known, site: Site) -> list[Point]:
    """Return every point at which a run can be interrupted: of each call as many as one thread makes."""
    calls, actions = HOW[how]
    ended = traced(site, known, f"--trace={','.join(calls)}")
    assert ended.status == 0, ended.errors
    counts = Counter(match.groups() for line in ended.operations if (match := _CALL.match(line)))
    most = {call: max(count for (_, name), count in counts.items() if name == call) for _, call in counts}
    return [
        (call, number, action)
        for call in sorted(most)
        for number in range(1 + SAID * (how == "fail" and call == "write"), most[call] + 1)
        for action in actions
    ]


def compare(known: Known, site: Site) -> dict[str, tuple[int, int]]:
    """Count the operations of each kind: those that the kernel saw, and those at which runs are interrupted."""
    ended = traced(site, known, "--trace=file,desc")
    assert ended.status == 0, ended.errors
    seen = {
        kind: sum(bool(re.match(rf"\d+ +({call})", line)) for line in ended.operations) for kind, call in KINDS.items()
    }
    return {kind: (count, known.operations.count(kind)) for kind, count in seen.items()}


def main(how: str, share: int, folder: Path) -> None:
    """Interrupt."""
    known = set_scene(SCENE, folder)
    if how == "count":
        print(json.dumps(compare(known, known.site.copy(folder / "counted"))))
        return
    points = points_of(how, known, known.site.copy(folder / "counted"))
    numbered = list(enumerate(points, 1))
    if share:
        numbered = sorted(random.Random(SEED).sample(numbered, share))

    def trial(numbered: tuple[int, Point], site: Site) -> Found:
        point, (call, number, action) = numbered
        inject = f"--inject={call}:{action}:when={number}"
        ended = traced(site, known, f"--trace={call}", inject)
        faults = []
        if how == "fail":
            faults = misreported(ended, site, known)
        elif not ended.killed:
            faults = [f"was not killed: {ended.status}, {ended.errors}"]
        name = f"{call} {number}, {action}"
        return {"point": point, "operation": name, "exit": ended.status, **judge(site, known, faults, settle=False)}

    try_each(numbered, trial, known, folder)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
