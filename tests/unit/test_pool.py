"""The pool: a name only for what was proved; weak checksums name nothing; one link too many starts a second inode."""

import errno
import hashlib
import os
import stat

import pytest

from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile
from mirrorpy.store.layout import Layout
from mirrorpy.store.pool import UNFINISHED, Pool, hash_file, iter_unused

from .documents import sha256

DATA = b"content of a package"
STRONG = sha256(DATA)
WEAK = Checksum("md5", hashlib.md5(DATA, usedforsecurity=False).hexdigest())


def promised(checksum: Checksum = STRONG, size: int | None = len(DATA)) -> RemoteFile:
    return RemoteFile("a.rpm", checksum, size, Kind.PACKAGE)


@pytest.fixture
def layout(tmp_path) -> Layout:
    layout = Layout.of(tmp_path)
    os.mkdir(layout.state)
    os.mkdir(layout.pool)
    return layout


@pytest.fixture
def pool(layout) -> Pool:
    return Pool(layout)


@pytest.fixture
def file(tmp_path) -> str:
    """A file of the repository's own tree."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return str(path)


def test_an_empty_pool_has_nothing(pool):
    assert promised() not in pool
    assert pool.size(promised()) is None
    assert "a string" not in pool


def test_install_gives_the_name(pool, layout, file):
    pool.install(file, STRONG)
    assert os.path.samefile(file, pool.path(STRONG))  # a second link keeps a sweep away until publication
    assert os.listdir(os.path.dirname(pool.path(STRONG))) == [STRONG.value]
    assert pool.path(STRONG) == f"{layout.pool}/sha256/{STRONG.value[:2]}/{STRONG.value}"
    assert promised() in pool
    assert promised(size=None) in pool
    assert pool.size(promised(size=None)) == len(DATA)
    assert pool.weak == {}


def test_another_size_is_another_file(pool, file):
    pool.install(file, STRONG)
    assert promised(size=len(DATA) + 1) not in pool


def test_install_replaces_what_had_the_name(pool, tmp_path, file):
    """A damaged object, say; the names that it has elsewhere stay with it."""
    pool.install(file, STRONG)
    os.link(pool.path(STRONG), tmp_path / "published")
    mended = tmp_path / "mended"
    mended.write_bytes(DATA)
    pool.install(str(mended), STRONG)
    assert os.path.samefile(mended, pool.path(STRONG))
    assert not os.path.samefile(mended, tmp_path / "published")


def test_a_weak_checksum_is_known_only_where_it_was_proved(pool, layout, file):
    pool.install(file, STRONG)
    pool.promise(WEAK, STRONG)
    assert promised(WEAK) in pool
    assert pool.weak == {WEAK: STRONG}
    assert promised(STRONG) in Pool(layout)
    assert promised(WEAK) not in Pool(layout)
    assert promised(WEAK) in Pool(layout, {WEAK: STRONG})
    assert Pool(layout).key(WEAK) is None


@pytest.mark.parametrize("checksum", [STRONG, WEAK], ids=str)
def test_take_links_what_is_proved(pool, file, checksum):
    assert pool.take(file, checksum)
    assert promised(checksum) in pool
    assert os.path.samefile(file, pool.path(STRONG))
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o444
    assert pool.take(file, checksum)


def test_take_can_just_tell(pool, file):
    assert pool.take(file, STRONG, keep=False)
    assert promised() not in pool


def test_take_refuses_everything_else(pool, tmp_path, file):
    assert not pool.take(file, sha256(b"other"))
    assert not pool.take(f"{tmp_path}/absent", STRONG)
    assert not pool.take(str(tmp_path), STRONG)
    (tmp_path / "link").symlink_to(file)
    assert not pool.take(f"{tmp_path}/link", STRONG)
    os.mkfifo(tmp_path / "fifo")
    assert not pool.take(f"{tmp_path}/fifo", STRONG)
    assert promised() not in pool


def test_link(pool, tmp_path, file):
    pool.install(file, STRONG)
    pool.link(STRONG, f"{tmp_path}/name")
    assert os.path.samefile(pool.path(STRONG), tmp_path / "name")
    with pytest.raises(FileExistsError):
        pool.link(STRONG, f"{tmp_path}/name")
    with pytest.raises(FileNotFoundError):
        pool.link(sha256(b"absent"), f"{tmp_path}/other")


def test_past_the_filesystems_links_a_second_copy_goes_on(pool, tmp_path, file, monkeypatch):
    os.chmod(file, 0o444)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    pool.install(file, STRONG)
    pool.link(STRONG, f"{tmp_path}/one")
    real, refusals = os.link, []

    def full_once(source: str, target: str, **options: bool) -> None:
        if not refusals:
            refusals.append(target)
            raise OSError(errno.EMLINK, "Too many links", source)
        real(source, target, **options)

    monkeypatch.setattr(os, "link", full_once)
    pool.link(STRONG, f"{tmp_path}/two")
    one, two = os.stat(tmp_path / "one"), os.stat(tmp_path / "two")
    assert refusals
    assert one.st_ino != two.st_ino
    assert os.path.samefile(pool.path(STRONG), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == DATA
    assert (stat.S_IMODE(two.st_mode), two.st_mtime) == (0o444, 1_000_000_000)
    assert os.listdir(os.path.dirname(pool.path(STRONG))) == [STRONG.value]


def test_another_refusal_of_links_is_told(pool, tmp_path, file, monkeypatch):
    pool.install(file, STRONG)

    def refuse(*_args: str, **_options: bool) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="no links here"):
        pool.link(STRONG, f"{tmp_path}/two")


def test_rot_is_trusted_by_size_and_found_by_checksum(layout, file):
    Pool(layout).install(file, STRONG)
    path = Pool(layout).path(STRONG)
    with open(path, "r+b") as damaged:
        damaged.write(b"CONTENT")
    assert promised() in Pool(layout)
    assert promised() not in Pool(layout, trust=False)
    with open(path, "wb") as mended:
        mended.write(DATA)
    assert promised() in Pool(layout, trust=False)


def test_what_is_no_regular_file_is_not_in_the_pool(pool, tmp_path, file):
    pool.install(file, STRONG)
    path = pool.path(STRONG)
    os.rename(path, f"{tmp_path}/moved")
    os.symlink(f"{tmp_path}/moved", path)
    assert promised(size=None) not in pool


def test_folders_of_the_pool_are_private(pool, layout, file):
    before = os.umask(0)
    try:
        pool.install(file, STRONG)
    finally:
        os.umask(before)
    for folder in (f"{layout.pool}/sha256", os.path.dirname(pool.path(STRONG))):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_unused(pool, layout, tmp_path, file):
    pool.install(file, STRONG)
    other = tmp_path / "other"
    other.write_bytes(b"used")
    pool.install(str(other), sha256(b"used"))
    os.unlink(file)
    leftover = f"{pool.path(STRONG)}{UNFINISHED}1-1"
    with open(leftover, "wb") as new:
        new.write(b"xyz")
    os.link(leftover, f"{tmp_path}/held")
    assert sorted(iter_unused(layout)) == [(pool.path(STRONG), len(DATA)), (leftover, 3)]


def test_hash_file(tmp_path, file):
    assert hash_file(file, "sha256", "md5") == [STRONG.value, WEAK.value]
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "absent"):
        with pytest.raises(OSError):  # noqa: PT011
            hash_file(str(path), "sha256")
