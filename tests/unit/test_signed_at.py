"""When a signature was made: real ones by gpg tell it, and whatever else is given tells nothing and does no harm."""

import time
from base64 import b64encode
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorpy.signatures import signed_at
from tests.integration.signing import LONG_AGO, Key, Keys, armoured, made_keys

pytestmark = pytest.mark.timeout(30)
steady = settings(deadline=None, derandomize=True, database=None)

MADE_LONG_AGO = 1_577_836_800
"""What LONG_AGO is."""
KINDS = ["rsa", "ed25519", "dsa", "with_subkey"]
BEGIN, END = b"-----BEGIN PGP SIGNATURE-----\n", b"-----END PGP SIGNATURE-----\n"
PROMPTLY = 2.0
"""Seconds for anything that a mirror may hand out as repomd.xml.asc."""
LARGE = 1024**2
"""Bytes, far fewer than are read."""


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with made_keys() as made:
        yield made


@pytest.fixture(scope="module")
def signatures(keys: Keys) -> dict[str, bytes]:
    """One of each kind, binary and armoured."""
    aged = keys.aged
    return {
        "binary": aged.sign(b"data"),
        "armoured": aged.sign(b"data", "SHA256", "--armor"),
        "version 3": keys.rsa.sign_v3(b"data"),
    }


def packet(body: bytes) -> bytes:
    """A signature packet of the new format with a length of five bytes."""
    return b"\xc2\xff" + len(body).to_bytes(4, "big") + body


def version_4(*subpackets: bytes) -> bytes:
    """The beginning of a signature with these hashed subpackets, each with its length."""
    hashed = b"".join(subpackets)
    return packet(b"\x04\x00\x01\x08" + len(hashed).to_bytes(2, "big") + hashed + b"\0\0")


def created(seconds: int) -> bytes:
    return b"\x02" + seconds.to_bytes(4, "big")


# Real ones


@pytest.mark.parametrize("armour", [[], ["--armor"]], ids=["binary", "armoured"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_time_is_now(keys: Keys, kind: str, armour: list[str]) -> None:
    key: Key = getattr(keys, kind)
    before = int(time.time())
    made = signed_at(key.sign(b"data", "SHA256", *armour))
    assert made is not None
    assert before <= made <= time.time()


@pytest.mark.parametrize("kind", ["rsa", "dsa"])
def test_the_time_of_version_3(keys: Keys, kind: str) -> None:
    key: Key = getattr(keys, kind)
    before = int(time.time())
    made = signed_at(key.sign_v3(b"data"))
    assert made is not None
    assert before <= made <= time.time()


@pytest.mark.parametrize("form", ["binary", "armoured"])
def test_the_time_is_the_signatures_and_not_the_files(signatures: dict[str, bytes], form: str) -> None:
    assert LONG_AGO.startswith("20200101T000000")
    assert signed_at(signatures[form]) == MADE_LONG_AGO


@pytest.mark.parametrize(
    "options",
    [
        ["--comment=a: b: c"],
        ["--comment=one", "--comment=two", "--emit-version"],
        ["--default-sig-expire=10y"],
        ["--sig-notation=!a@example.org=" + "x" * 300],
        ["--textmode"],
        ["--sig-policy-url=https://example.org/" + "x" * 200],
    ],
)
def test_what_else_gpg_may_write_into_it(keys: Keys, options: list[str]) -> None:
    for armour in ([], ["--armor"]):
        assert signed_at(keys.aged.sign(b"data", "SHA256", *options, *armour)) == MADE_LONG_AGO


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"signed by us:\n" + text + b"the end\n",
        lambda text: text.rstrip(b"\n"),
        lambda text: b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(b"=")),
    ],
    ids=["CRLF", "text around it", "no newline at its end", "no checksum"],
)
def test_armour_as_it_may_be_published(signatures: dict[str, bytes], change) -> None:
    assert signed_at(change(signatures["armoured"])) == MADE_LONG_AGO


def test_of_two_signatures_the_first(keys: Keys, signatures: dict[str, bytes]) -> None:
    assert signed_at(armoured(signatures["binary"], keys.ed25519.sign(b"data"))) == MADE_LONG_AGO


def test_the_time_of_version_6() -> None:
    """gpg makes none yet."""
    hashed = b"\x05" + created(7)
    assert signed_at(packet(b"\x06\x00\x1b\x08" + len(hashed).to_bytes(4, "big") + hashed)) == 7


@pytest.mark.parametrize("length", [b"\x05", b"\xff\0\0\0\x05"])
@pytest.mark.parametrize("type_", [b"\x02", b"\x82"], ids=["plain", "critical"])
def test_the_time_among_other_subpackets(length: bytes, type_: bytes) -> None:
    """Before it stands one with a length of each form."""
    others = b"\x02\x14x", b"\xc0\x00\x14" + b"x" * 191, b"\xff\0\0\0\x02\x14x"
    assert signed_at(version_4(*others, length + type_ + (9).to_bytes(4, "big"))) == 9


# What is none


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x88",
        b"\xc2",
        b"\0",
        b"<html>not found</html>",
        b"\xff" * 100,
        BEGIN,
        BEGIN + END,
        BEGIN + b"\n" + END,
        BEGIN + b"\nA\n" + END,
        BEGIN + b"\n=\n" + END,
        BEGIN + b"\n" + b64encode(b"\0\0\0") + b"\n" + END,
        version_4(),
        version_4(b"\x02\x14x"),
        version_4(b"\x05\x02\0\0"),
        version_4(b"\xff"),
        packet(b"\x05" + bytes(20)),
    ],
)
def test_what_tells_no_time(data: bytes) -> None:
    assert signed_at(data) in (None, 0)


def test_a_key_is_no_signature(keys: Keys) -> None:
    assert signed_at(keys.rsa.public()) is None
    assert signed_at(keys.rsa.public(armour=False)) is None


@pytest.mark.parametrize("form", ["binary", "armoured", "version 3"])
def test_cut_at_every_byte(signatures: dict[str, bytes], form: str) -> None:
    whole = signatures[form]
    for end in range(len(whole)):
        assert signed_at(whole[:end]) is None or isinstance(signed_at(whole[:end]), int)


@pytest.mark.parametrize("form", ["binary", "armoured", "version 3"])
def test_every_byte_changed(signatures: dict[str, bytes], form: str) -> None:
    whole = signatures[form]
    for place in range(min(len(whole), 120)):
        for value in (0, 0x7F, 0x80, 0xC0, 0xFF, whole[place] ^ 1):
            made = signed_at(whole[:place] + bytes([value]) + whole[place + 1 :])
            assert made is None or isinstance(made, int)


@steady
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    assert isinstance(signed_at(data), int | None)


@steady
@given(st.sampled_from([b"\x88", b"\x89", b"\x8a", b"\x8b", b"\xc2"]), st.binary(max_size=12), st.binary(max_size=300))
def test_any_packet(tag: bytes, length: bytes, body: bytes) -> None:
    assert isinstance(signed_at(tag + length + body), int | None)


@steady
@given(st.sampled_from([2, 3, 4, 5, 6]), st.binary(max_size=300))
def test_any_body(version: int, body: bytes) -> None:
    assert isinstance(signed_at(packet(bytes([version]) + body)), int | None)


@steady
@given(st.text("aA=+/: \r\n\t-é", max_size=200))
def test_any_armour(text: str) -> None:
    assert isinstance(signed_at(BEGIN + text.encode() + END), int | None)


@steady
@given(st.integers(0, 2**32 - 1), st.lists(st.binary(min_size=1, max_size=50).filter(lambda b: b[0] & 0x7F != 2)))
def test_any_time_is_found(seconds: int, others: list[bytes]) -> None:
    """Whatever stands before it."""
    subpackets = [bytes([len(other)]) + other for other in others]
    assert signed_at(version_4(*subpackets, b"\x05" + created(seconds))) == seconds


# What is made to keep us busy

HEADERS = b"a: b: c: d: \n" * 40
BUSY = {
    "headers that can be read in many ways": BEGIN + HEADERS,
    "headers, and then a body": BEGIN + HEADERS + b"!\n" + END,
    "one long header": BEGIN + b": " * (LARGE // 2) + b"\n",
    "a long header without a value": BEGIN + b"x" * LARGE,
    "empty lines": BEGIN + b"\n" * LARGE,
    "spaces": BEGIN + b"\n" + b" " * LARGE + b"!",
    "spaces and an end": BEGIN + b"\n" + b" " * LARGE + b"!\n" + END,
    "base64 without an end": BEGIN + b"\n" + b"A" * LARGE,
    "many beginnings": BEGIN * (LARGE // len(BEGIN)),
    "many beginnings with a header": (BEGIN + b"a: b\n") * (LARGE // len(BEGIN + b"a: b\n")),
    "many beginnings with a body": (BEGIN + b"\nAAAA\n") * (LARGE // len(BEGIN + b"\nAAAA\n")),
    "empty subpackets": packet(b"\x06\x00\x01\x08" + LARGE.to_bytes(4, "big") + bytes(LARGE)),
    "small subpackets": packet(b"\x06\x00\x01\x08" + LARGE.to_bytes(4, "big") + b"\x01\x14" * (LARGE // 2)),
    "empty subpackets of version 4": version_4(bytes(65_535)),
    "noise": b"\x88" + bytes(LARGE),
}


@pytest.mark.timeout(5)
@pytest.mark.parametrize("name", BUSY)
def test_it_takes_no_time(name: str) -> None:
    """A mirror chooses what it hands out."""
    began = time.monotonic()
    assert signed_at(BUSY[name]) in (None, 0)
    assert time.monotonic() - began < PROMPTLY
