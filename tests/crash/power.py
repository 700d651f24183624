"""python -m tests.crash.power DATA WHEN SCENE FOLDER: cut the power at every operation of a scene on an ext4.

Before each operation the disk is copied as it is, the copy is mounted, which replays its journal, and judged. WHEN is
`asked`, and nothing is on the disk but what mirrorpy flushed, or `any`, and the journal is written before each copy, as
ext4 may do at any time: names are on the disk then, and data only where it was flushed. It prints a line of JSON a cut.
"""

import json
import os
import socket
import sys
from pathlib import Path

from .disk import Disk, make, mounted
from .enumeration import forked, judge, set_scene
from .known import Known
from .scenes import INTERRUPTED
from .world import Site


class Cutter:
    """Copies the disk while a run waits, and judges the copies beside it."""

    def __init__(self, disk: Disk, site: Site, known: Known, data: str, folder: Path, *, unasked: bool) -> None:
        self._disk, self._site, self._known, self._data, self._folder = disk, site, known, data, folder
        self._tick = os.open(site.folder / "tick", os.O_WRONLY | os.O_CREAT) if unasked else -1
        self._seen: tuple[str, ...] = ()
        self._busy: list[int] = []
        self._ours, self._theirs = socket.socketpair()
        self.cuts: list[int] = []

    def reached(self, number: int, operation: str) -> None:
        """Wait, in the run, until the disk was copied."""
        self._theirs.send(f"{number}\n".encode())
        self._theirs.recv(1)

    def attend(self) -> None:
        """Copy the disk before each operation of the run, and after the last."""
        self._theirs.close()
        number = 0
        with self._ours, self._ours.makefile() as lines:
            for line in lines:
                number = int(line)
                self.cut(number)
                self._ours.send(b"!")
        self.cut(number + 1)
        if self._tick >= 0:
            os.close(self._tick)
        while self._busy:
            self._await_one()

    def cut(self, number: int) -> None:
        """Judge what a power cut leaves now, unless the disk is as it was at the last one."""
        if self._tick >= 0:
            os.pwrite(self._tick, str(number).encode(), 0)
            os.fsync(self._tick)
        if self._disk.written() == self._seen:
            return
        self._seen = self._disk.written()
        self.cuts.append(number)
        image = self._folder / f"cut-{number}"
        self._disk.copy(image)
        while len(self._busy) >= (os.cpu_count() or 1):
            self._await_one()
        self._busy.append(forked(lambda: self._judge(number, image)))

    def _await_one(self) -> None:
        assert os.waitpid(self._busy.pop(0), 0)[1] == 0

    def _judge(self, number: int, image: Path) -> None:
        folder = image.with_suffix(".mounted")
        with mounted(image, folder, self._data):
            site = self._site.at(folder / self._site.folder.name)
            # A generation that is not published yet may lack what is not flushed yet.
            found = judge(site, self._known, [], hidden=False)
        image.unlink()
        operation = (*self._known.operations, "the end")[number - 1]
        image.with_suffix(".json").write_text(json.dumps({"point": number, "operation": operation, **found}))


def main(data: str, when: str, scene: str, folder: Path) -> None:
    """Run the scene's command on a disk whose power is cut all the time."""
    known = set_scene(scene, folder)
    site = known.site
    image = folder / "image"
    make(image)
    with mounted(image, folder / "disk", data):
        site.copy(folder / "disk" / "site")
    with mounted(image, folder / "disk", data) as disk:
        there = site.at(folder / "disk" / "site")
        cutter = Cutter(disk, there, known, data, folder, unasked=when == "any")
        ended = there.run(
            *known.scene.command, "--quiet", hours=INTERRUPTED, reached=cutter.reached, attend=cutter.attend, flush=True
        )
    assert (ended.status, ended.errors) == (0, ""), ended.errors
    # Filesystems list a folder that is removed in different orders.
    assert sorted(ended.operations) == sorted(known.operations)
    for number in cutter.cuts:
        print((folder / f"cut-{number}.json").read_text())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
