"""Downloads under way: hashed while they grow, resumed on proof only, never longer than promised."""

import hashlib
import os
import stat

import pytest

from mirrorpy.errors import ChecksumMismatch, LocalError
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile
from mirrorpy.store import incoming
from mirrorpy.store.incoming import Partial

from .documents import sha256

DATA = b"0123456789" * 100
SHA1 = Checksum("sha1", hashlib.sha1(DATA, usedforsecurity=False).hexdigest())


def promised(checksum: Checksum | None = None, size: int | None = len(DATA)) -> RemoteFile:
    return RemoteFile("a.rpm", checksum or sha256(DATA), size, Kind.PACKAGE)


@pytest.fixture
def opened(tmp_path):
    """Open partials that are closed with the test."""
    partials = []

    def open_partial(file: RemoteFile | None = None) -> Partial:
        partials.append(Partial(str(tmp_path), file or promised()))
        return partials[-1]

    yield open_partial
    for partial in partials:
        partial.close()


def content(partial: Partial) -> bytes:
    with open(partial.path, "rb") as file:
        return file.read()


@pytest.mark.parametrize("checksum", [sha256(DATA), SHA1], ids=["strong", "weak"])
@pytest.mark.parametrize("size", [len(DATA), None])
def test_a_download(opened, checksum, size):
    partial = opened(promised(checksum, size))
    assert (partial.offset, partial.complete) == (0, False)
    for start in range(0, len(DATA), 300):
        partial.write(DATA[start : start + 300])
    assert partial.complete is (size is not None)
    partial.finish(1_000_000_000.0)
    assert (partial.size, partial.key) == (len(DATA), sha256(DATA))
    info = os.stat(partial.path)
    assert (stat.S_IMODE(info.st_mode), info.st_mtime) == (0o444, 1_000_000_000)
    assert content(partial) == DATA


def test_the_mode_whatever_the_umask(opened):
    before = os.umask(0o077)
    try:
        partial = opened()
        assert stat.S_IMODE(os.stat(partial.path).st_mode) == 0o600
        partial.write(DATA)
        partial.finish()
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(partial.path).st_mode) == 0o444


def test_resuming(opened):
    first = opened()
    first.write(DATA[:400])
    first.close()
    second = opened()
    assert (second.offset, second.resumed, second.complete) == (400, 400, False)
    second.write(DATA[400:])
    second.finish()
    assert content(second) == DATA


def test_a_wrong_leftover_is_found_and_dropped(opened):
    first = opened()
    first.write(b"x" * 400)
    first.close()
    second = opened()
    second.write(DATA[400:])
    with pytest.raises(ChecksumMismatch, match="has the checksum"):
        second.finish()
    assert (second.offset, second.resumed) == (0, 0)
    assert content(second) == b""
    second.write(DATA)
    second.finish()


def test_a_leftover_that_is_too_long_is_dropped(opened):
    first = opened()
    with open(first.path, "wb") as file:
        file.write(DATA + b"more")
    second = opened()
    assert (second.offset, second.resumed) == (0, 0)
    second.write(DATA)
    second.finish()


def test_a_leftover_that_is_whole_needs_no_request(opened):
    first = opened()
    first.write(DATA)
    first.finish()
    second = opened()
    assert second.complete
    second.finish()
    assert second.key == sha256(DATA)


def test_a_leftover_whose_bytes_changed_under_the_same_length(opened):
    first = opened()
    first.write(DATA)
    first.close()
    with open(first.path, "r+b") as file:
        file.write(b"X")
    second = opened()
    assert second.offset == len(DATA) - 1
    second.write(DATA[-1:])
    with pytest.raises(ChecksumMismatch):
        second.finish()


def test_too_long_is_stopped_at_once_and_nothing_is_kept(opened):
    partial = opened()
    partial.write(DATA)
    with pytest.raises(ChecksumMismatch, match=f"longer than the promised {len(DATA)}"):
        partial.write(b"x")
    assert partial.offset == 0
    assert content(partial) == b""


def test_an_unknown_size_is_bounded_all_the_same(opened, monkeypatch):
    monkeypatch.setattr(incoming, "UNKNOWN_SIZE_CAP", 10)
    partial = opened(promised(size=None))
    with pytest.raises(ChecksumMismatch, match="longer"):
        partial.write(b"x" * 11)


def test_too_short(opened):
    partial = opened()
    partial.write(DATA[:-1])
    assert not partial.complete
    with pytest.raises(ChecksumMismatch, match=f"has {len(DATA) - 1} bytes instead of the promised {len(DATA)}"):
        partial.finish()
    assert partial.offset == 0


def test_another_content(opened):
    partial = opened()
    partial.write(b"x" * len(DATA))
    with pytest.raises(ChecksumMismatch) as raised:
        partial.finish()
    assert str(sha256(DATA)) in raised.value.message
    assert sha256(b"x" * len(DATA)).value in raised.value.message
    assert raised.value.exit_status == 4


def test_restart(opened):
    partial = opened()
    partial.write(b"wrong")
    partial.restart()
    partial.write(DATA)
    partial.finish()
    assert content(partial) == DATA


def test_an_empty_file(opened):
    partial = opened(promised(sha256(b""), 0))
    assert partial.complete
    partial.finish()
    assert content(partial) == b""


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_what_is_no_file_in_its_place(tmp_path, opened, kind):
    first = opened()
    first.close()
    os.unlink(first.path)
    target = tmp_path / "target"
    target.write_text("mine")
    {"link": lambda: os.symlink(target, first.path), "folder": lambda: os.mkdir(first.path)}.get(
        kind, lambda: os.mkfifo(first.path)
    )()
    with pytest.raises(LocalError) as raised:
        opened()
    assert raised.value.exit_status == 6
    assert target.read_text() == "mine"


def test_no_folder(tmp_path):
    with pytest.raises(LocalError):
        Partial(f"{tmp_path}/absent", promised())


def test_closing_twice(opened):
    partial = opened()
    partial.close()
    partial.close()
