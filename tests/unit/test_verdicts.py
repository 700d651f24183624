"""Which files were found well signed: believed under the same keys only, and only as far as the file is whole."""

import os
import stat
from pathlib import Path

import pytest

from mirrorpy.store.verdicts import read_verdicts, write_verdicts

from .documents import sha256

ONE, TWO = str(sha256("one")), str(sha256("two"))
TRUST = "0123456789abcdef"


@pytest.fixture
def path(tmp_path) -> str:
    return f"{tmp_path}/signed"


@pytest.mark.parametrize("good", [[], [ONE], [ONE, TWO]])
def test_what_is_written_is_read(path, good):
    write_verdicts(path, TRUST, good)
    assert read_verdicts(path, TRUST) == set(good)


@pytest.mark.parametrize("trust", ["", "0123456789abcdee", f"{TRUST}+sha1", TRUST[:-1], ONE])
def test_under_another_trust_nothing_is(path, trust):
    write_verdicts(path, TRUST, [ONE])
    assert read_verdicts(path, trust) == set()


def test_sha1_that_was_allowed_is_not_believed_without(path):
    write_verdicts(path, f"{TRUST}+sha1", [ONE])
    assert read_verdicts(path, TRUST) == set()


def test_what_is_written_replaces_what_was_there(path):
    write_verdicts(path, TRUST, [ONE, TWO])
    write_verdicts(path, "other", [TWO])
    assert read_verdicts(path, TRUST) == set()
    assert read_verdicts(path, "other") == {TWO}
    assert os.listdir(os.path.dirname(path)) == ["signed"]


def test_a_file_that_was_cut_is_not_believed(path):
    """Wherever it was cut: not one name comes of it that was not written."""
    write_verdicts(path, TRUST, [ONE, TWO])
    whole = Path(path).read_bytes()
    for length in range(len(whole)):
        Path(path).write_bytes(whole[:length])
        assert read_verdicts(path, TRUST) <= {ONE, TWO}


@pytest.mark.parametrize("junk", [b"", b"\n", b"\0" * 4096, b"\xff\xfe\n", f"{ONE}\n{ONE}\n".encode()])
def test_a_file_of_something_else_is_not_believed(path, junk):
    Path(path).write_bytes(junk)
    assert read_verdicts(path, TRUST) == set()


def test_bytes_that_are_no_names_are_names_of_nothing(path):
    Path(path).write_bytes(f"{TRUST}\n{ONE}\n".encode() + b"\xff\xfe\n")
    assert ONE in read_verdicts(path, TRUST)
    assert TWO not in read_verdicts(path, TRUST)


def test_an_empty_trust_is_none(path):
    """Nobody has it, but an empty file must not be one of it."""
    Path(path).write_bytes(b"")
    assert read_verdicts(path, "") == set()


def test_a_link_of_that_name_is_not_followed(path, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    os.symlink(victim, path)
    write_verdicts(path, TRUST, [ONE])
    assert victim.read_text() == "precious"
    assert read_verdicts(path, TRUST) == {ONE}


def test_everybody_may_read_it_and_its_owner_alone_write(path):
    before = os.umask(0)
    try:
        write_verdicts(path, TRUST, [ONE])
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644


@pytest.mark.parametrize("make", [lambda path: None, os.mkdir, lambda path: os.symlink(path, path)])
def test_what_cannot_be_read_is_nothing(path, make):
    make(path)
    assert read_verdicts(path, TRUST) == set()


@pytest.mark.parametrize("make", [os.mkdir, lambda path: os.mkdir(f"{path}.new")])
def test_what_cannot_be_written_is_said(path, make):
    """`translated` around it makes it this machine's fault."""
    make(path)
    with pytest.raises(OSError, match=r"signed"):
        write_verdicts(path, TRUST, [ONE])
