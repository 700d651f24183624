"""extra_files.json."""

import json

import pytest

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.extra_files import MAX_FILES, parse_extra_files
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile

SHA256, MD5 = "a" * 64, "b" * 32


def document(*files: object) -> bytes:
    return json.dumps({"header": {"version": "1.0"}, "data": files}).encode()


def test_the_best_checksum_counts() -> None:
    entry = {"file": "./EULA", "size": 5, "checksums": {"md5": MD5, "sha256": SHA256}}
    files, warnings = parse_extra_files(document(entry))
    assert files == [RemoteFile("EULA", Checksum("sha256", SHA256), 5, Kind.TREE)]
    assert warnings == []


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {},
        {"file": "a", "checksums": {}},
        {"file": "a", "checksums": {"sha256": "zz"}},
        {"file": "a", "checksums": {"crc": "00"}},
        {"file": 1, "checksums": {"sha256": SHA256}},
        {"file": "../a", "checksums": {"sha256": SHA256}},
        {"file": "/a", "checksums": {"sha256": SHA256}},
        {"file": ".mirrorpy/a", "checksums": {"sha256": SHA256}},
        {"file": "repodata/primary.xml", "checksums": {"sha256": SHA256}},
    ],
)
def test_what_cannot_be_used_is_a_warning(entry: object) -> None:
    files, warnings = parse_extra_files(document(entry, {"file": "GPL", "checksums": {"sha256": SHA256}}))
    assert [file.href for file in files] == ["GPL"]
    assert len(warnings) == 1


@pytest.mark.parametrize("size", [-1, "5", None, 2**60, True])
def test_a_size_that_is_none(size: object) -> None:
    (file,), _ = parse_extra_files(document({"file": "GPL", "size": size, "checksums": {"sha256": SHA256}}))
    assert file.size is None


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", b"[]", b"{}", b'{"data": {}}', b"\xff\xfe", b"[" * 100_000, document(*[{}] * (MAX_FILES + 1))],
)
def test_what_is_no_such_document(data: bytes) -> None:
    with pytest.raises(RepodataError):
        parse_extra_files(data)
