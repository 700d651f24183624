"""This machine: what is in the way, who holds the lock, and what disks refuse."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mirrorpy.store.lock import lock_repository
from mirrorpy.sync.report import Options
from tests.simulator import REPOMD, Repo

from .mirror import Mirror, configured, packages

BASH = "Packages/bash-1-1.noarch.rpm"


def _folder(root: Path) -> None:
    (root / "repo/Packages").mkdir(parents=True)
    (root / "repo/Packages/mine.rpm").write_bytes(b"mine")


def _foreign_link(root: Path) -> None:
    root.mkdir()
    (root / "elsewhere").mkdir()
    (root / "repo").symlink_to("elsewhere")


def _dangling_foreign_link(root: Path) -> None:
    root.mkdir()
    (root / "repo").symlink_to("/nowhere/at/all")


def _file(root: Path) -> None:
    root.mkdir()
    (root / "repo").write_bytes(b"mine")


def _fifo(root: Path) -> None:
    root.mkdir()
    os.mkfifo(root / "repo")


@pytest.mark.parametrize("obstacle", [_folder, _foreign_link, _dangling_foreign_link, _file, _fifo])
def test_what_is_not_ours_is_in_the_way(mirror: Mirror, repo: Repo, obstacle: Callable[[Path], None]) -> None:
    obstacle(mirror.root)

    message = mirror.fails(6, repo)

    assert str(mirror.root / "repo") in message
    assert ("adopt" in message) == (obstacle is _folder)
    assert packages(repo.asked()) == []


def test_a_file_where_a_folder_has_to_be(mirror: Mirror, repo: Repo) -> None:
    mirror.root.mkdir()
    (mirror.root / "a").write_bytes(b"mine")

    mirror.fails(6, repo, path="a/b/repo")

    assert (mirror.root / "a").read_bytes() == b"mine"


def test_a_parent_that_leads_out_of_root(mirror: Mirror, repo: Repo, tmp_path: Path) -> None:
    mirror.root.mkdir()
    (tmp_path / "outside").mkdir()
    (mirror.root / "a").symlink_to("../outside")

    mirror.fails(6, repo, path="a/repo")

    assert list((tmp_path / "outside").iterdir()) == []


def test_a_root_whose_parent_is_not_there_is_made_with_it(mirror: Mirror, repo: Repo) -> None:
    nested = Mirror(mirror.root / "deep" / "down", mirror.simulator)

    nested.updates(repo)

    assert nested.tree() == repo.tree()
    assert (mirror.root / "deep").stat().st_mode & 0o777 == 0o755


def test_a_root_below_what_is_no_folder(mirror: Mirror, repo: Repo) -> None:
    mirror.root.write_bytes(b"a file")
    nested = Mirror(mirror.root / "deep", mirror.simulator)

    assert str(mirror.root) in nested.fails(6, repo)


def test_a_lock_that_is_held(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    repo.add("fish")
    repo.publish()
    repo.asked()

    with lock_repository(mirror.layout.repo("repo").lock):
        assert "another run" in mirror.fails(7, repo)
        assert repo.asked() == []

    mirror.updates(repo)
    assert mirror.tree().items() >= repo.tree().items()


def test_a_lock_concerns_one_repository(mirror: Mirror, repo: Repo) -> None:
    second = repo.simulator.mirror(repo, "https://second.test/")
    mirror.updates(repo)
    repo.publish()
    mirror.updates(repo)

    with lock_repository(mirror.layout.repo("repo").lock):
        mirror.updates(second, id="second")
        idle = mirror.prune(configured(repo, keep=2), forget=())
        report = mirror.prune(configured(repo, keep=1), forget=())

    assert (idle.exit, idle.left) == (0, [])
    assert report.exit == 0
    assert len(report.left) == 1
    assert "repo" in report.left[0]


def test_a_failed_run_lets_go_of_its_lock(mirror: Mirror, repo: Repo) -> None:
    repo.drop(BASH)
    mirror.fails(3, repo)

    with lock_repository(mirror.layout.repo("repo").lock):
        pass


def _refusing(monkeypatch: pytest.MonkeyPatch, name: str, code: int, when: Callable[..., bool]) -> None:
    """Let a function of os raise OSError for some of its calls."""
    real = getattr(os, name)

    def call(*args: object, **keywords: object) -> object:
        if when(*args):
            raise OSError(code, os.strerror(code), *(arg for arg in args[:1] if isinstance(arg, str)))
        return real(*args, **keywords)

    monkeypatch.setattr(f"os.{name}", call)


REFUSALS: dict[str, tuple[str, int, Callable[..., bool]]] = {
    "disk full in a download": ("write", errno.ENOSPC, lambda _fd, data: len(data) == 1000),
    "quota in a download": ("write", errno.EDQUOT, lambda _fd, data: len(data) == 1000),
    "error of the disk": ("write", errno.EIO, lambda _fd, data: len(data) == 1000),
    "no room for a name in the pool": ("link", errno.ENOSPC, lambda _one, two: "/pool/" in two),
    "no links": ("link", errno.EPERM, lambda *_: True),
    "no new names": ("rename", errno.EPERM, lambda one, _two: "/incoming/" in one),
    "no symbolic links": ("symlink", errno.EPERM, lambda *_: True),
    "no folder": ("mkdir", errno.ENOSPC, lambda path, *_: "Packages" in path),
    "read-only where it is published": ("rename", errno.EROFS, lambda _one, two: "/.repo." in two),
    "no switch": ("rename", errno.EACCES, lambda _one, two: two.endswith("/repo")),
    "too many open files": ("open", errno.EMFILE, lambda path, *_: isinstance(path, str) and "/incoming/" in path),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("first", [True, False])
def test_a_disk_that_refuses(
    mirror: Mirror, repo: Repo, name: str, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not first:
        mirror.updates(repo)
        repo.add("fish", href="Packages/f/fish.rpm")
        repo.publish()
    before = mirror.tree()
    link = os.readlink(mirror.root / "repo") if before else None

    with monkeypatch.context() as patch:
        _refusing(patch, *REFUSALS[name])
        report = mirror.sync(repo)

    assert report.error is not None
    assert report.error.exit == 6, report.error.message
    assert report.error.message.isprintable()
    assert mirror.tree() == before
    assert (os.readlink(mirror.root / "repo") if before else None) == link

    mirror.updates(repo)
    assert mirror.tree().items() >= repo.tree().items()


def test_a_generation_that_was_never_published_is_none_of_those_kept(
    mirror: Mirror, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.updates(repo)
    (first,) = mirror.generations()
    repo.add("fish")
    repo.publish()
    with monkeypatch.context() as patch:
        _refusing(patch, *REFUSALS["no switch"])
        assert mirror.sync(repo).error is not None

    mirror.updates(repo, keep=2)

    assert mirror.generations() == [first, os.readlink(mirror.root / "repo")]


@pytest.mark.parametrize("call", [1, 2])
def test_a_disk_that_cannot_make_durable(
    mirror: Mirror, repo: Repo, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.updates(repo)
    repo.add("fish")
    repo.publish()
    before, calls = mirror.tree(), []

    def syncfs(_descriptor: int) -> int:
        calls.append(1)
        return -1 if len(calls) >= call else 0

    with monkeypatch.context() as patch:
        patch.setattr("mirrorpy.store.durable._syncfs", lambda: syncfs)
        patch.setattr("ctypes.get_errno", lambda: errno.EIO)
        report = mirror.sync(repo)

    assert report.error is not None
    assert report.error.exit == 6
    assert mirror.tree() == before
    mirror.updates(repo)
    assert mirror.tree().items() >= repo.tree().items()


def test_what_does_not_fit_is_not_begun(mirror: Mirror, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.updates(repo)
    repo.add("huge", size=10**9)
    repo.publish()
    repo.asked()
    real = os.statvfs

    def full(path: str) -> os.statvfs_result:
        fields = list(real(path))
        fields[4] = 10**8 // fields[1]  # f_bavail
        return os.statvfs_result(fields)

    monkeypatch.setattr("os.statvfs", full)

    assert "free" in mirror.fails(6, repo)

    assert packages(repo.asked()) == []


def test_a_full_disk_does_not_cost_what_came(mirror: Mirror, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run, with room, downloads what did not fit and nothing else."""
    written = 0
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        nonlocal written
        written += len(data)
        if written > 5000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    for number in range(9):
        repo.add(f"p{number}")
    repo.publish()
    with monkeypatch.context() as patch:
        patch.setattr("os.write", write)
        assert "room" in mirror.fails(6, repo)
    came = len(packages(repo.asked()))
    assert came >= 3

    mirror.updates(repo)

    assert len(packages(repo.asked())) < 11
    assert mirror.tree() == repo.tree()


@pytest.mark.parametrize("umask", [0o077, 0o000, 0o777])
def test_published_files_are_for_everybody_whatever_the_umask(mirror: Mirror, repo: Repo, umask: int) -> None:
    mirror.root.parent.mkdir(exist_ok=True)
    before = os.umask(umask)
    try:
        mirror.updates(repo, path="a/b/repo")
    finally:
        os.umask(before)

    assert mirror.tree("a/b/repo") == repo.tree()
    for folder in ("", "a", "a/b"):
        assert (mirror.root / folder).stat().st_mode & 0o777 == 0o755
    assert Path(mirror.layout.state).stat().st_mode & 0o777 == 0o700


def test_objects_with_all_the_links_they_can_have(mirror: Mirror, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.updates(repo)
    repo.add("bash", href="copy/bash.rpm")
    repo.publish()
    inode = (mirror.root / "repo" / BASH).stat().st_ino
    _refusing(monkeypatch, "link", errno.EMLINK, lambda one, _two: "/pool/" in one and os.stat(one).st_ino == inode)

    mirror.updates(repo)

    assert mirror.tree().items() >= repo.tree().items()
    assert (mirror.root / "repo" / BASH).stat().st_ino != inode


def test_a_mirror_can_be_moved(mirror: Mirror, repo: Repo, tmp_path: Path) -> None:
    mirror.updates(repo, path="a/repo")
    shutil.move(mirror.root, tmp_path / "moved")
    moved = Mirror(tmp_path / "moved", mirror.simulator)
    repo.asked()

    moved.stays(repo, path="a/repo")

    assert moved.tree("a/repo") == repo.tree()
    assert repo.asked() == [REPOMD]


@pytest.mark.parametrize("published", [False, True])
def test_a_dry_run_writes_nothing(mirror: Mirror, repo: Repo, published: bool) -> None:
    mirror.root.mkdir()
    if published:
        mirror.updates(repo)
    repo.add("fish")
    repo.publish()
    everything = {path: path.lstat() for path in [mirror.root, *mirror.root.rglob("*")]}

    report = mirror.sync(repo, options=Options(dry_run=True))

    assert report.error is None
    assert report.outcome == "planned"
    assert report.downloaded.files == (3 if published else 5)
    assert report.packages == 3
    after = {path: path.lstat() for path in [mirror.root, *mirror.root.rglob("*")]}
    assert after.keys() == everything.keys()
    assert all(
        (after[path].st_ino, after[path].st_mtime_ns, after[path].st_ctime_ns)
        == (info.st_ino, info.st_mtime_ns, info.st_ctime_ns)
        for path, info in everything.items()
    )


def test_a_dry_run_without_a_root(mirror: Mirror, repo: Repo) -> None:
    report = mirror.sync(repo, options=Options(dry_run=True))

    assert (report.outcome, report.error) == ("planned", None)
    assert not mirror.root.exists()
    assert packages(repo.asked()) == []


def test_a_dry_run_says_what_a_run_does(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, keep=1)
    repo.remove(BASH)
    repo.add("fish")
    repo.publish()

    planned = mirror.sync(repo, options=Options(dry_run=True), keep=1)
    done = mirror.updates(repo, keep=1)

    for key in ("packages", "downloaded", "retired", "reused", "bytes", "pruned", "revision", "repomd_sha256"):
        assert getattr(planned, key) == getattr(done, key), key


def test_a_dry_run_does_not_ask_for_the_lock(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)

    with lock_repository(mirror.layout.repo("repo").lock):
        report = mirror.sync(repo, options=Options(dry_run=True))

    assert report.error is None
