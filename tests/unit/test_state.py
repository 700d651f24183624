"""What is remembered between runs can be lost or damaged, and is then forgotten, no more."""

import hashlib
import os
from pathlib import Path

import pytest

from mirrorpy.rpmmd.model import Checksum
from mirrorpy.store.layout import Layout
from mirrorpy.store.state import RepoState, known_repositories, read_state, write_state
from mirrorpy.store.weak import read_weak, write_weak

from .documents import sha256

FULL = RepoState(
    path="a/b",
    former_paths=["old"],
    fingerprint="f",
    upstream="https://h/",
    etag='"x"',
    revision="ü",
    timestamp=5,
    packages=7,
    bytes=2**40,
    last_run=1.5,
    warnings=["w"],
    error="e",
)


@pytest.fixture
def path(tmp_path) -> str:
    return f"{tmp_path}/state.json"


def test_round_trip(path):
    write_state(path, FULL)
    assert read_state(path) == FULL
    write_state(path, RepoState())
    assert read_state(path) == RepoState()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\0" * 500,
        b'{"packages": "many"}',
        b'{"path": null}',
        b'{"path": "\xff"}',
        b'{"path": "\\ud800"}',
        b'{"x": ' + b"[" * 100_000,
        b"not json",
        b'\xef\xbb\xbf{"path": "a"}',
    ],
    ids=lambda data: ascii(data)[:30],
)
def test_damaged_is_empty(path, data):
    with open(path, "wb") as file:
        file.write(data)
    assert read_state(path) == RepoState()


def test_every_truncation_is_empty(path):
    write_state(path, FULL)
    data = Path(path).read_bytes().rstrip()
    for keep in range(len(data)):
        with open(path, "wb") as file:
            file.write(data[:keep])
        assert read_state(path) == RepoState()


def test_absent_unreadable_and_newer(path):
    assert read_state(path) == RepoState()
    os.mkdir(path)
    assert read_state(path) == RepoState()
    os.rmdir(path)
    with open(path, "wb") as file:
        file.write(b'{"path": "a", "from_a_later_version": [1]}')
    assert read_state(path) == RepoState(path="a")


def test_known_repositories(tmp_path):
    layout = Layout.of(tmp_path)
    assert known_repositories(layout.repos) == []
    for name in ("b", "a", "empty"):
        os.makedirs(layout.repo(name).folder)
    for name in ("b", "a"):
        write_state(layout.repo(name).state, RepoState())
    assert known_repositories(layout.repos) == ["a", "b"]


def test_weak(tmp_path):
    path = f"{tmp_path}/weak"
    weak = {
        Checksum("md5", hashlib.md5(bytes([n]), usedforsecurity=False).hexdigest()): sha256(bytes([n]))
        for n in range(9)
    }
    write_weak(path, weak)
    assert read_weak(path) == weak
    write_weak(path, {})
    assert not os.path.exists(path)
    assert read_weak(path) == {}
    write_weak(path, {})


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\0", b"\xff\xfe", b"md5:zz sha256:yy\n", b"one two three\n", b"md5:" + b"0" * 32]
)
def test_damaged_weak_is_forgotten(tmp_path, data):
    path = f"{tmp_path}/weak"
    with open(path, "wb") as file:
        file.write(data)
    assert read_weak(path) == {}
