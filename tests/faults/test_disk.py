"""Faults 111 to 113: no room, no rights, no files; and a umask that would hide what is published."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.upstream import build_rpm

from .catalogue import fault
from .machine import Disk, as_child, mounted, with_files, without_rights
from .world import Run, World

BIG = [f"Packages/big{number}.rpm" for number in range(3)]
"""Packages of `base`, fetched in this order."""
FEWEST_FILES, ENOUGH_FILES = 5, 30


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small one."""
    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def world(disk: Disk, fresh: World) -> World:
    """A world on this disk, whose first state is mirrored; both upstreams have published a second one."""
    fresh.root = disk.root
    fresh.configure(top={"max_parallel_downloads": 1})
    fresh.start()
    return fresh


@pytest.fixture
def roomy(fresh: World) -> World:
    """The same on this machine's own disk."""
    fresh.start()
    return fresh


def add_big(world: World, size: int) -> None:
    """Let `base` publish packages that are so large."""
    for number, href in enumerate(BIG):
        world.base.packages[href] = build_rpm(f"big{number}", size=size)
        world.base.put(href, world.base.packages[href])
    world.base.compose(world.base.packages)


def standing(world: World) -> list[dict[str, Any]]:
    """Everything that is served."""
    return [world.served(repo_id) for repo_id in ("base", "other")]


def stays(world: World, *says: str, args: tuple[str, ...] = ()) -> None:
    """Sync, which has to fail for every repository, as they share a disk: one line each, and nothing is touched."""
    before, pool = standing(world), world.pool()
    run = world.sync(*args)
    all_failed(run, *says)
    assert standing(world) == before, "what is served changed"
    assert pool <= world.pool(), "something was pruned"
    world.nothing_temporary()
    world.heal = world.server.clear


def all_failed(run: Run, *says: str) -> None:
    """Every repository failed with 6, in one line that holds these words."""
    assert run.exit == 6, run.stderr
    assert "Traceback" not in run.stderr
    for repo_id, report in run.repos.items():
        assert report["error"]["exit"] == 6
        (line,) = run.lines(repo_id)
        assert line.isprintable()
        for words in says:
            assert words in line, line


def succeeds_with_room(world: World, disk: Disk, *kept: str) -> None:
    """Make room, and sync: what came before the disk was full is not fetched again."""
    world.server.clear()
    world.server.taken()
    disk.grow()
    world.accepted()
    assert not set(kept) & set(world.server.taken())


@fault(
    111, "the disk has no room for what is to be downloaded", "6 before any package is asked for; the sizes are named"
)
def test_fault_111_no_room(world: World, disk: Disk) -> None:
    add_big(world, 2_000_000)
    world.refused(6, str(disk.root), "bytes and has", "free", "make room")
    assert not set(world.server.taken()) & {f"base/{href}" for href in BIG}
    succeeds_with_room(world, disk)


@fault(111, "the disk is full", "6; nothing but repomd.xml is asked for")
def test_fault_111_full(world: World, disk: Disk) -> None:
    disk.fill()
    stays(world, str(disk.root), "make room")
    assert not [path for path in world.server.taken() if path.endswith((".gz", ".rpm"))]
    succeeds_with_room(world, disk)


@fault(111, "something else fills the disk while packages are downloaded", "6; what has come is kept for the next run")
def test_fault_111_full_in_the_middle(world: World, disk: Disk) -> None:
    add_big(world, 500_000)
    world.server.when(f"base/{BIG[1]}", disk.fill)
    stays(world, "Packages/big", "No space left on device", "make room", args=("base",))
    succeeds_with_room(world, disk, f"base/{BIG[0]}")


@fault(111, "the disk has room and no free inode", "6; inodes are named; nothing is asked for")
def test_fault_111_no_inode(world: World, disk: Disk) -> None:
    disk.fill_inodes()
    stays(world, str(disk.root), " inode")
    assert world.server.taken() == []
    succeeds_with_room(world, disk)


@fault(111, "inodes run out while packages are downloaded", "6; what has come is kept for the next run")
def test_fault_111_no_inode_in_the_middle(world: World, disk: Disk) -> None:
    add_big(world, 5_000)
    world.server.when(f"base/{BIG[0]}", disk.fill_inodes)
    stays(world, str(disk.root), " inode", args=("base",))
    succeeds_with_room(world, disk, f"base/{BIG[0]}")


@fault(111, "the user's quota is used up, at once or in the middle of a download", "6; the quota is named")
@pytest.mark.parametrize("left", [0, 1_000])
def test_fault_111_quota(roomy: World, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    incoming, really = roomy.root / ".mirrorpy/incoming/base", os.write
    written = 0

    def write(descriptor: int, data: bytes) -> int:
        nonlocal written
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(incoming):
            written += len(data)
            if written > left:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return really(descriptor, data)

    add_big(roomy, 2_000)
    with monkeypatch.context() as full:
        full.setattr(os, "write", write)
        roomy.refused(6, str(incoming), "quota")
    roomy.accepted()


@fault(112, "the filesystem is read-only", "6; nothing is asked for")
def test_fault_112_read_only(world: World, disk: Disk) -> None:
    disk.remount(ro="")
    stays(world, str(disk.root), "read-only")
    assert world.server.taken() == []
    disk.remount(rw="")


@fault(112, "a folder of one repository's state may not be written (EACCES)", "6; the others are done")
@pytest.mark.parametrize("folder", ["repos/base", "incoming/base"])
def test_fault_112_no_rights(roomy: World, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    add_big(roomy, 2_000)
    path = roomy.root / ".mirrorpy" / folder
    with without_rights(roomy, monkeypatch, path):
        roomy.refused(6, str(path), "Permission denied", "run as the user who owns root")


@fault(112, "root or the pool may not be written (EACCES)", "6 for each repository; the folder is named")
@pytest.mark.parametrize("folder", ["", ".mirrorpy/pool/sha256"])
def test_fault_112_no_rights_for_all(roomy: World, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    with without_rights(roomy, monkeypatch, roomy.root / folder):
        stays(roomy, str(roomy.root / folder), "Permission denied", "run as the user who owns root")


@fault(112, "a process may open few files (EMFILE)", "6; the limit and max_parallel_downloads are named")
def test_fault_112_few_files(roomy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    roomy.configure(top={"max_parallel_downloads": 1, "max_parallel_repos": 1})
    before, failed = standing(roomy), 0
    for limit in range(FEWEST_FILES, ENOUGH_FILES):
        with monkeypatch.context() as limited:
            limited.setattr(roomy, "run", as_child(roomy, *with_files(limit)))
            run = roomy.sync("base")
        if run.exit == 0:
            break
        all_failed(run, "Too many open files", "max_parallel_downloads")
        assert standing(roomy) == before
        failed += 1
    assert failed > 0
    roomy.is_mirrored("base")


@fault(112, "no more connection can be opened (EMFILE)", "6; the limit and max_parallel_downloads are named")
def test_fault_112_no_file_for_a_connection(roomy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    really = socket.create_connection

    def create_connection(address: tuple[str, int], *args: Any, **options: Any) -> socket.socket:
        if address[0] == "localhost":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return really(address, *args, **options)

    roomy.configure(baseurl=f"{roomy.server.url.replace('127.0.0.1', 'localhost')}base/")
    monkeypatch.setattr(socket, "create_connection", create_connection)
    roomy.refused(6, "Too many open files", "max_parallel_downloads")
    roomy.heal = roomy.configure


@fault(113, "umask 077", "0; folders are 0755 and files 0444 all the same, and mirrorpy's own state is private")
def test_fault_113_umask(fresh: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "run", as_child(fresh, umask=0o077))
    fresh.start()
    fresh.accepted()
    folders, files = {fresh.root}, set()
    for repo_id in ("base", "other"):
        for folder, _, names in os.walk(fresh.root / repo_id):
            folders.add(Path(folder))
            files |= {Path(folder, name) for name in names}
    assert len(files) > 10
    assert {path for path in folders if stat.S_IMODE(path.stat().st_mode) != 0o755} == set()
    assert {path for path in files if stat.S_IMODE(path.lstat().st_mode) != 0o444} == set()
    assert stat.S_IMODE((fresh.root / ".mirrorpy").stat().st_mode) == 0o700
