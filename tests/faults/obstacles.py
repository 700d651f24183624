"""What is in the way where mirrorpy publishes: how it gets there, and what a sync has to do then."""

import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.listing import files_below, snapshot
from tests.integration.programs import real_program
from tests.integration.test_independent import small_disk

from .world import STATE, World

HANGS = 2.0
"""Seconds; no sync here takes so long unless it waits for the other end of a FIFO."""


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_device(path: Path) -> None:
    """/dev/null, once more."""
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))


def stopped(world: World, *says: str, all_of: bool = False) -> str:
    """Sync, which has to end at once with 6 for `base`, or for all if nothing can work, and to ask and write nothing.

    What is at the path of `base` stays as it is. The test has to say how this heals.
    """
    before = described(world.root / "base")
    world.server.taken()
    run = world.sync()
    assert run.exit == 6, run.stderr
    assert run.repos["base"]["error"]["exit"] == 6
    message = world.one_line(run, *says)
    assert [path for path in world.server.taken() if all_of or path.startswith("base/")] == []
    assert described(world.root / "base") == before
    assert files_below(world.root / STATE / "incoming") == set()
    if all_of:
        assert run.repos["other"]["error"]["exit"] == 6
        assert not os.path.lexists(world.root / "other")
    else:
        assert run.repos["other"]["error"] is None
        world.is_mirrored("other")
    return message


def described(path: Path) -> object:
    """All that can be told of what is at a path."""
    try:
        info = path.lstat()
    except FileNotFoundError:
        return None
    return info.st_mode, info.st_ino, info.st_mtime_ns, snapshot(path)


@contextmanager
def not_hanging(fifo: Path) -> Iterator[None]:
    """Fail if anybody waits for the other end of a FIFO, and let them go."""
    ended, waited = threading.Event(), []

    def let_go() -> None:
        while not ended.wait(HANGS):
            waited.append(fifo)
            os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))

    watch = threading.Thread(target=let_go)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()
    assert waited == [], f"waited for the other end of {fifo}"


@contextmanager
def elsewhere(how: str, place: Path, folder: Path) -> Iterator[None]:
    """Let a place be another filesystem, a link to one, or a further mount of this one, as containers' volumes are."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if how == "link":
        with small_disk(folder):
            place.symlink_to(folder)
            yield
        place.unlink()
    elif how == "mount":
        with small_disk(place):
            yield
    else:
        folder.mkdir()
        place.mkdir(exist_ok=True)
        with bound(folder, place):
            yield


@contextmanager
def bound(folder: Path, place: Path, *options: str) -> Iterator[None]:
    """Mount a folder at another place; the test is skipped where that is not permitted."""
    mounted = subprocess.run(
        [real_program("mount"), "--bind", *options, str(folder), str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no folder can be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run([real_program("umount"), "--lazy", str(place)], check=True)
