"""Media types: a compressed file is what it is, and nothing depends on the machine."""

import pytest

from mirrorpy.rpmmd.media import BYTES, MEDIA_TYPES, TEXT, media_type

TYPES = [
    ("bash-5.1-1.el9.x86_64.rpm", "application/x-rpm"),
    ("bash.drpm", "application/x-rpm"),
    ("repomd.xml", "application/xml"),
    ("repomd.xml.asc", "application/pgp-signature"),
    ("repomd.xml.key", "application/pgp-keys"),
    ("primary.xml.gz", "application/gzip"),
    ("primary.xml.bz2", "application/x-bzip2"),
    ("primary.xml.xz", "application/x-xz"),
    ("primary.xml.zst", "application/zstd"),
    ("primary.sqlite", "application/vnd.sqlite3"),
    ("primary.sqlite.bz2", "application/x-bzip2"),
    ("modules.yaml", "application/yaml"),
    ("modules.yaml.gz", "application/gzip"),
    ("boot.iso", "application/x-iso9660-image"),
    ("index.html", "text/html"),
    ("README.txt", TEXT),
    ("mirrorpy.repo", TEXT),
    ("logo.png", "image/png"),
    ("x.json", "application/json"),
    ("BASH.RPM", "application/x-rpm"),
    ("REPOMD.XML", "application/xml"),
    ("a/b.c/x.rpm", "application/x-rpm"),
    ("a b?#%.rpm", "application/x-rpm"),
    ("a:b.rpm", "application/x-rpm"),
    # Unknown
    ("", BYTES),
    ("vmlinuz", BYTES),
    ("rpm", BYTES),
    (".rpm", BYTES),
    (".treeinfo", BYTES),
    ("a.", BYTES),
    ("a.rpm.", BYTES),
    ("a.rpm.mirrorpy", BYTES),
    ("a.0", BYTES),
    ("a.é", BYTES),
    ("a.b/c", BYTES),
    ("a.x:y", BYTES),
    ("a.\0", BYTES),
]


@pytest.mark.parametrize(("name", "expected"), TYPES)
def test_media_type(name, expected):
    assert media_type(name) == expected


@pytest.mark.parametrize("name", ["a.tgz", "a.txz", "a.tbz2", "a.svgz", "a.taz", "a.Z", "a.br"])
def test_a_packed_file_is_not_called_what_is_in_it(name):
    """There is no Content-Encoding that would say that it is packed."""
    assert media_type(name) not in ("application/x-tar", "image/svg+xml", TEXT)


def test_each_suffix_once():
    suffixes = [suffix for kind in MEDIA_TYPES.values() for suffix in kind]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix.isalnum() and suffix == suffix.lower() for suffix in suffixes)
