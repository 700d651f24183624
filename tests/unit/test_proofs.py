"""When each file was hashed last: written whole, read as far as it is good."""

import os
import stat
from pathlib import Path

import pytest

from mirrorpy.errors import LocalError
from mirrorpy.store.proofs import read_proofs, write_proofs

from .documents import sha256

ONE, TWO = str(sha256("one")), str(sha256("two"))
GOOD = f"{ONE} 1700000000\n"


@pytest.fixture
def path(tmp_path) -> str:
    return f"{tmp_path}/hashed"


@pytest.mark.parametrize(
    "proofs",
    [{}, {ONE: 0}, {ONE: 1_700_000_000, TWO: 999_999_999_999}, {f"md5:{'0' * 32}": 1, f"sha512:{'f' * 128}": 2}],
)
def test_what_is_written_is_read(path, proofs):
    write_proofs(path, proofs)
    assert read_proofs(path) == proofs


def test_what_is_written_replaces_what_was_there(path):
    write_proofs(path, {ONE: 1, TWO: 2})
    write_proofs(path, {TWO: 3})
    assert read_proofs(path) == {TWO: 3}
    assert os.listdir(os.path.dirname(path)) == ["hashed"]


def test_a_link_of_that_name_is_not_followed(path, tmp_path):
    """Nothing outside is written to, whoever put it there."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    os.symlink(victim, path)
    write_proofs(path, {ONE: 1})
    assert victim.read_text() == "precious"
    assert read_proofs(path) == {ONE: 1}


def test_everybody_may_read_it(path):
    write_proofs(path, {ONE: 1})
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b" \n",
        b"sha256\n",
        f"{TWO}\n".encode(),
        f"{TWO} \n".encode(),
        f"{TWO} x\n".encode(),
        f"{TWO} -1\n".encode(),
        f"{TWO} 1.5\n".encode(),
        f"{TWO}  1\n".encode(),
        f" {TWO} 1\n".encode(),
        f"{TWO} 1 1\n".encode(),
        f"{TWO} {'9' * 13}\n".encode(),
        f"{TWO} {'9' * 5000}\n".encode(),
        f"{TWO} \xb2\n".encode(),
        f"{TWO.upper()} 1\n".encode(),
        f"sha256:{'xyz' * 20} 1\n".encode(),
        b"sha256: 1\n",
        b"\0" * 4096 + b"\n",
        b"\xff\xfe\x80\n",
        f"../{TWO} 1\n".encode(),
    ],
    ids=lambda line: repr(line[-20:]),
)
def test_a_damaged_line_costs_that_line(path, line):
    Path(path).write_bytes(GOOD.encode() + line + f"{ONE[:-1]}0 5\n".encode())
    assert read_proofs(path) == {ONE: 1_700_000_000, f"{ONE[:-1]}0": 5}


def test_the_last_line_counts_only_when_it_is_whole(path):
    """A time that was cut is earlier than the true one, but a cut checksum would be none."""
    for length in range(len(GOOD)):
        Path(path).write_text(GOOD[:length])
        assert read_proofs(path) == {}
    Path(path).write_text(GOOD)
    assert read_proofs(path) == {ONE: 1_700_000_000}


def test_of_two_lines_the_later_counts(path):
    Path(path).write_text(f"{ONE} 1\n{ONE} 2\n")
    assert read_proofs(path) == {ONE: 2}


@pytest.mark.parametrize("make", [lambda path: None, os.mkdir, lambda path: os.symlink(path, path)])
def test_what_cannot_be_read_is_nothing(path, make):
    make(path)
    assert read_proofs(path) == {}


@pytest.mark.parametrize("make", [os.mkdir, lambda path: os.mkdir(f"{path}.new")])
def test_what_cannot_be_written_is_this_machines_fault(path, make):
    make(path)
    with pytest.raises(LocalError):
        write_proofs(path, {ONE: 1})


def test_where_there_is_no_folder(path):
    with pytest.raises(LocalError):
        write_proofs(f"{path}/none/hashed", {ONE: 1})
