"""Manifests: what was written is read; what is cut short or damaged is told, never taken for less."""

import os
from pathlib import Path

import pytest

from mirrorpy.plan import Entry
from mirrorpy.rpmmd.model import Checksum, Kind
from mirrorpy.store.manifest import HEADER, is_whole, read_manifest, tree_entries, write_manifest

A, B = Checksum("sha256", "a" * 64), Checksum("sha1", "b" * 40)
ENTRIES = [
    Entry("Packages/a-1.rpm", 4711, Kind.PACKAGE, A, A),
    Entry("weak.rpm", 0, Kind.PACKAGE, B, A, 1_700_000_000),
    Entry("repodata/repomd.xml", 3, Kind.INDEX, None, None),
    Entry("drpms/ü b+c%20.drpm", 2**53, Kind.DELTA, A, None),
    Entry("repodata/x.xml", 1, Kind.RECORD, None, A, 1),
    Entry("-", 1, Kind.PACKAGE, A, A),
    Entry("end", 1, Kind.PACKAGE, A, A),
]


@pytest.fixture
def path(tmp_path) -> str:
    return f"{tmp_path}/m"


@pytest.mark.parametrize("entries", [[], ENTRIES, ENTRIES * 100], ids=len)
def test_round_trip(path, entries):
    write_manifest(path, iter(entries))
    assert is_whole(path)
    assert list(read_manifest(path)) == entries


def test_cut_short_anywhere(path):
    write_manifest(path, ENTRIES)
    data = Path(path).read_bytes()
    for keep in range(len(data)):
        Path(path).write_bytes(data[:keep])
        assert not is_whole(path)
        try:
            assert list(read_manifest(path)) == ENTRIES  # the last line alone is cut
        except ValueError:
            assert keep < len(data)


def test_any_other_byte_is_noticed(path):
    write_manifest(path, ENTRIES)
    data = Path(path).read_bytes()
    for place in range(len(data)):
        Path(path).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert not is_whole(path)
    Path(path).write_bytes(data + b"x")
    assert not is_whole(path)


def test_absent(path):
    assert not is_whole(path)
    with pytest.raises(OSError):  # noqa: PT011
        list(read_manifest(path))


@pytest.mark.parametrize("data", [b"", b"\0" * 500, b"mirrorpy-files 2\n", b"\xff\xfe", HEADER.encode()])
def test_another_format(path, data):
    Path(path).write_bytes(data)
    assert not is_whole(path)
    with pytest.raises(ValueError, match=r"."):
        list(read_manifest(path))


def test_the_folder_tells_what_a_lost_manifest_does_not(tmp_path):
    pool, tree = tmp_path / "pool", tmp_path / "tree"
    pool.mkdir()
    for name in ("Packages/a.rpm", "drpms/b.drpm", "repodata/x.xml", "root.rpm"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
        os.link(tree / name, pool / name.replace("/", "-"))
    (tree / "repodata/repomd.xml").write_text("index")
    (tree / "somebodys").write_text("else")
    (tree / "link").symlink_to("root.rpm")
    os.mkfifo(tree / "fifo")
    got = {entry.path: (entry.kind, entry.size) for entry in tree_entries(str(tree))}
    assert got == {
        "Packages/a.rpm": (Kind.PACKAGE, 14),
        "drpms/b.drpm": (Kind.DELTA, 12),
        "repodata/x.xml": (Kind.RECORD, 14),
        "root.rpm": (Kind.PACKAGE, 8),
        "repodata/repomd.xml": (Kind.INDEX, 5),
    }
