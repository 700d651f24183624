"""A machine that lacks something: a small disk, and mirrorpy as a process with fewer rights and means."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.programs import TOP, real_program

from .world import Run, World

PAGE = 4096
SECONDS = 60
SMALL = {"size": "6m", "nr_inodes": "400"}
LARGE = {"size": "40m", "nr_inodes": "4000"}
WITHOUT_ROOTS_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
"""A root for whom modes count."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A filesystem in memory, mounted for one test; root lies on it, beside what others have there."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def remount(self, **options: str) -> None:
        """Change its size, or make it read-only: `ro=""`."""
        told = ",".join(f"{name}={value}" if value else name for name, value in options.items())
        subprocess.run([real_program("mount"), "-o", f"remount,{told}", str(self.folder)], check=True)

    def grow(self) -> None:
        """Make room."""
        self.remount(**LARGE)

    def fill(self) -> None:
        """Let somebody else's file take all the room that there is."""
        with (self.folder / "somebody-elses-file").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(PAGE))

    def fill_inodes(self) -> None:
        """Let somebody else's files take all inodes that there are; there is room for more bytes."""
        folder = self.folder / "somebody-elses-files"
        with contextlib.suppress(OSError):
            folder.mkdir()
            for number in range(int(LARGE["nr_inodes"])):
                (folder / str(number)).touch()
        room = os.statvfs(self.folder)
        assert room.f_favail == 0
        assert room.f_bavail * room.f_frsize > 2 * 1024**2


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    """Mount a small disk; the test is skipped where that cannot be done."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small filesystem needs to be root")
    mount, umount = real_program("mount"), real_program("umount")
    folder.mkdir(exist_ok=True)
    options = ",".join(f"{name}={value}" for name, value in SMALL.items())
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"{options},mode=0755", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no small filesystem can be mounted here: {done.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run([umount, "--lazy", str(folder)], check=True)


def as_child(world: World, *before: str, umask: int = -1) -> Callable[..., Run]:
    """What runs mirrorpy in place of `world.run`: another process, behind a program that takes something from it."""

    def run(command: str, *args: str) -> Run:
        done = subprocess.run(
            [*before, sys.executable, "-m", "mirrorpy", command, "--config", str(world.file), *args],
            env={**os.environ, "PYTHONPATH": str(TOP)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            umask=umask,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    return run


@contextlib.contextmanager
def without_rights(world: World, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """Run mirrorpy as a user who may not write in a folder."""
    program, *options = WITHOUT_ROOTS_RIGHTS
    before = [real_program(program), *options] if os.geteuid() == 0 else []
    folder.chmod(0o555)
    with monkeypatch.context() as lesser:
        lesser.setattr(world, "run", as_child(world, *before))
        yield
    folder.chmod(0o755)


def with_files(limit: int) -> tuple[str, ...]:
    """A command that lets another one have so many open files."""
    return ("sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh")
