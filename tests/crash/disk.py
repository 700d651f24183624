"""An ext4 in a file, mounted over a loop device, of which a copy is what a power cut would leave."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SIZE = 48 * 1024**2
MADE = ["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
COMMIT = 300
"""Seconds after which the journal is written unasked; ext4's 5 would make the runs differ."""


def call(*command: str | Path) -> str:
    """Run a program, which has to go well."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path})
    if done.returncode:
        raise OSError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout.strip()


class Disk:
    """A loop device that is mounted."""

    def __init__(self, image: Path, device: str) -> None:
        self._image = image
        self._counters = Path("/sys/block", Path(device).name, "stat")

    def written(self) -> tuple[str, ...]:
        """Return how much was written, and whether anything is being written."""
        counters = self._counters.read_text().split()
        return (counters[4], counters[6], counters[8])

    def copy(self, target: Path) -> None:
        """Copy what has reached the disk, as it was at one instant; the filesystem is not asked to write anything.

        What the loop device has written is read from the same page cache that it was written to.
        """
        while True:
            before = self.written()
            call("cp", "--sparse=always", self._image, target)
            if self.written() == before and before[-1] == "0":
                return


@contextmanager
def mounted(image: Path, folder: Path, data: str) -> Iterator[Disk]:
    """Mount an image, which replays its journal; data is ext4's mode."""
    folder.mkdir(exist_ok=True)
    device = call("losetup", "--find", "--show", image)
    try:
        call("mount", "-t", "ext4", "-o", f"data={data},commit={COMMIT}", device, folder)
        try:
            yield Disk(image, device)
        finally:
            call("umount", folder)
    finally:
        call("losetup", "--detach", device)


def make(image: Path) -> None:
    """Make an image with an empty filesystem."""
    with image.open("wb") as file:
        file.truncate(SIZE)
    call(*MADE, image)


def why_not() -> str | None:
    """Say why there are no loop devices here for us; None if there are."""
    if os.geteuid() != 0:
        return "loop devices need root"
    with tempfile.TemporaryDirectory() as folder, suppress(OSError):
        image = Path(folder, "image")
        make(image)
        try:
            with mounted(image, Path(folder, "mounted"), "ordered"):
                return None
        except OSError as error:
            return f"no loop device can be mounted here: {error}"
    return None
