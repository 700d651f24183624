"""prestodelta.xml and deltainfo.xml: the delta RPMs."""

import io

import pytest

from mirrorpy.errors import RepodataError, UnsafeHref
from mirrorpy.rpmmd.delta import RECORD_TYPES, iter_deltas
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile

from .documents import A64, delta, prestodelta


def parse(data: bytes, name: str = "prestodelta") -> list[RemoteFile]:
    return list(iter_deltas(io.BytesIO(data), name))


@pytest.mark.parametrize("root", RECORD_TYPES)
def test_a_delta(root):
    assert parse(prestodelta(delta(), delta("drpms/b.drpm", ("sha", "b" * 40), None), root=root)) == [
        RemoteFile("drpms/a-1_2.drpm", Checksum("sha256", A64), 99, Kind.DELTA),
        RemoteFile("drpms/b.drpm", Checksum("sha1", "b" * 40), None, Kind.DELTA),
    ]


def test_suse_writes_it_with_a_namespace():
    data = prestodelta(delta(), root="deltainfo").replace(b"<deltainfo>", b'<deltainfo xmlns="http://novell.com/x">')
    assert [file.href for file in parse(data)] == ["drpms/a-1_2.drpm"]


def test_none_is_no_error():
    assert parse(prestodelta()) == []


REFUSED = [
    (b"", "prestodelta"),
    (prestodelta(delta(checksum=None)), "no checksum"),
    (prestodelta(delta(checksum=("sha256", "x"))), "hexadecimal"),
    (prestodelta(delta(size="-4")), "size"),
    (prestodelta(delta())[:-4], "line 1"),
    (b"<html><p>Not here</p></html>", "root element"),
    (b"<!DOCTYPE x><prestodelta/>", "DOCTYPE"),
    (b"<!DOCTYPE x>" + prestodelta(delta()).partition(b"?>")[2], "DOCTYPE"),
]


@pytest.mark.parametrize(("data", "said"), REFUSED, ids=[f"{said}-{n}" for n, (_, said) in enumerate(REFUSED)])
def test_refused(data, said):
    with pytest.raises(RepodataError, match=said):
        parse(data)


@pytest.mark.parametrize("filename", [None, "", "../a.drpm", "/a.drpm", "repodata/a.drpm", "a/", "http://h/a.drpm"])
def test_unsafe(filename):
    with pytest.raises(UnsafeHref):
        parse(prestodelta(delta(filename)))
