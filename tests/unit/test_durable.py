"""Writes: modes whatever the umask, replacement in one step, and OSError told as what a user can mend."""

import errno
import os
import stat
from pathlib import Path

import pytest

from mirrorpy.errors import LocalError
from mirrorpy.store import durable
from mirrorpy.store.durable import make_folders, sync_filesystem, sync_folder, translated, write_file


def mode(path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request):
    """Every umask an administrator may have."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("wanted", [0o644, 0o444, 0o600])
def test_files_have_their_mode_whatever_the_umask(tmp_path, umask, wanted):
    path = f"{tmp_path}/f"
    write_file(path, b"one", mode=wanted)
    assert mode(path) == wanted
    write_file(path, b"two", mode=wanted)
    assert mode(path) == wanted
    assert Path(path).read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("wanted", [0o755, 0o700])
def test_folders_have_their_mode_whatever_the_umask(tmp_path, umask, wanted):
    make_folders(f"{tmp_path}/a/b/c", below=str(tmp_path), mode=wanted)
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [wanted] * 3


def test_folders_that_are_there_stay_as_they_are(tmp_path):
    (tmp_path / "a").mkdir(mode=0o750)
    (tmp_path / "a").chmod(0o750)
    make_folders(f"{tmp_path}/a/b", below=str(tmp_path))
    make_folders(f"{tmp_path}/a/b", below=str(tmp_path))
    assert (mode(tmp_path / "a"), mode(tmp_path / "a/b")) == (0o750, 0o755)


def test_a_file_in_a_folders_place(tmp_path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(OSError):  # noqa: PT011
        make_folders(f"{tmp_path}/a/b", below=str(tmp_path))
    assert (tmp_path / "a").read_text() == "mine"


@pytest.mark.parametrize("broken", ["fsync", "rename", "fchmod"])
def test_a_write_that_fails_leaves_the_old_content(tmp_path, monkeypatch, broken):
    path = f"{tmp_path}/f"
    write_file(path, b"old")

    def fail(*_args: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="broken"):
        write_file(path, b"new")
    monkeypatch.undo()
    assert Path(path).read_bytes() == b"old"
    write_file(path, b"newer")
    assert Path(path).read_bytes() == b"newer"
    assert os.listdir(tmp_path) == ["f"]


def test_the_content_is_on_disk_before_it_has_the_name(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "rename"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, real=real, name=name: (calls.append(name), real(*args))[1])
    write_file(f"{tmp_path}/f", b"x")
    assert calls == ["fsync", "rename", "fsync"]


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path):
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "f").symlink_to(target)
    write_file(f"{tmp_path}/f", b"new")
    assert not (tmp_path / "f").is_symlink()
    assert target.read_text() == "mine"
    (tmp_path / "f.new").symlink_to(target)
    with pytest.raises(OSError):  # noqa: PT011
        write_file(f"{tmp_path}/f", b"newer")
    assert target.read_text() == "mine"


def test_syncing(tmp_path, monkeypatch):
    sync_folder(str(tmp_path))
    sync_filesystem(str(tmp_path))
    with pytest.raises(OSError):  # noqa: PT011
        sync_folder(f"{tmp_path}/absent")
    with pytest.raises(OSError):  # noqa: PT011
        sync_filesystem(f"{tmp_path}/absent")
    synced = []
    monkeypatch.setattr(durable, "_syncfs", lambda: None)
    monkeypatch.setattr(os, "sync", lambda: synced.append(1))
    sync_filesystem(str(tmp_path))
    assert synced == [1]


def test_a_failed_sync_is_no_success(tmp_path, monkeypatch):
    monkeypatch.setattr(durable, "_syncfs", lambda: lambda _descriptor: -1)
    with pytest.raises(OSError):  # noqa: PT011
        sync_filesystem(str(tmp_path))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "user who owns"),
        (errno.EPERM, "user who owns"),
        (errno.EMFILE, "max_parallel_downloads"),
        (errno.EIO, "Input/output"),
    ],
)
def test_what_a_user_can_mend(number, said):
    with pytest.raises(LocalError) as raised, translated("cannot write"):
        raise OSError(number, os.strerror(number), "/pub/x\n")
    assert raised.value.exit_status == 6
    assert raised.value.message.startswith("/pub/x\\n: cannot write: ")
    assert said in raised.value.message


def test_other_exceptions_pass():
    with pytest.raises(ValueError, match="mine"), translated("x"):
        raise ValueError("mine")
