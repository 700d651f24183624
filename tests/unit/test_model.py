"""Checksums and the values around them."""

import hashlib

import pytest

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.model import DIGEST_BYTES, STRONG, Checksum, Kind, new_hash

GOOD = [
    ("sha256", "A" * 64, "sha256:" + "a" * 64),
    ("SHA256", "a" * 64, "sha256:" + "a" * 64),
    ("sha-256", "a" * 64, "sha256:" + "a" * 64),
    ("sha", "b" * 40, "sha1:" + "b" * 40),
    ("sha1", "b" * 40, "sha1:" + "b" * 40),
    ("md5", "0" * 32, "md5:" + "0" * 32),
    ("sha224", "0" * 56, "sha224:" + "0" * 56),
    ("sha384", "0" * 96, "sha384:" + "0" * 96),
    ("sha512", "0" * 128, "sha512:" + "0" * 128),
]


@pytest.mark.parametrize(("algorithm", "value", "expected"), GOOD)
def test_parse(algorithm, value, expected):
    checksum = Checksum.parse(algorithm, value)
    assert str(checksum) == expected
    assert Checksum.parse(*str(checksum).split(":")) == checksum


@pytest.mark.parametrize(
    ("algorithm", "value", "said"),
    [
        (None, "a" * 64, "unknown checksum type None"),
        ("", "a" * 64, "unknown checksum type"),
        ("crc32", "a" * 8, "'crc32'"),
        ("sha3-256", "a" * 64, "unknown"),
        ("sha256\0", "a" * 64, "unknown"),
        ("sha256", None, "0 bytes instead of 32"),
        ("sha256", "", "0 bytes instead of 32"),
        ("sha256", "a" * 63, "not hexadecimal"),
        ("sha256", "a" * 40, "20 bytes instead of 32"),
        ("sha1", "a" * 64, "32 bytes instead of 20"),
        ("sha256", "g" * 64, "not hexadecimal"),
        ("sha256", "../" * 20 + "aaaa", "not hexadecimal"),
        ("sha256", "\u0661" * 64, "not hexadecimal"),
        ("sha256", "aa " * 21 + "a", "not hexadecimal"),
        ("sha256", " " + "a" * 64 + "\n", "not hexadecimal"),  # librepo compares the white space too
        ("sha256", "0x" + "a" * 62, "not hexadecimal"),
    ],
)
def test_refused(algorithm, value, said):
    with pytest.raises(RepodataError, match=said):
        Checksum.parse(algorithm, value)


@pytest.mark.parametrize("algorithm", DIGEST_BYTES)
def test_lengths_and_strength(algorithm):
    digest = new_hash(algorithm)
    digest.update(b"x")
    assert digest.digest_size == DIGEST_BYTES[algorithm]
    assert digest.hexdigest() == hashlib.new(algorithm, b"x").hexdigest()
    checksum = Checksum.parse(algorithm, digest.hexdigest())
    assert checksum.strong is (algorithm not in ("md5", "sha1"))
    assert checksum.strong is (algorithm in STRONG)


def test_kinds_have_letters_of_their_own():
    letters = [kind.value for kind in Kind]
    assert len(set(letters)) == len(letters)
    assert all(len(letter) == 1 for letter in letters)
