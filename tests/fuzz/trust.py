"""How the readers of keys, signatures and signed packages are called. Nothing that was damaged is ever found good."""

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO

from mirrorpy.errors import SignatureError
from mirrorpy.signatures import Gpgv, check_open_package, load_keyring, signed_at
from mirrorpy.signatures.armour import iter_blocks, packet_length, packet_type
from mirrorpy.signatures.gpgv import STRONG

from .files import named
from .seeds import KEY, SIGNATURES, SIGNED


def keyring(data: bytes) -> None:
    with named(data) as name:
        assert load_keyring([name, name]).data


def armour(data: bytes) -> None:
    for kind in (b"SIGNATURE", b"PUBLIC KEY BLOCK"):
        for block in iter_blocks(data, kind):
            assert len(block) <= len(data)
    at = 0
    while at < len(data):
        assert 0 <= packet_type(data[at]) < 64
        length = packet_length(data, at)
        assert length > 0
        at += length


def age(data: bytes) -> None:
    for signature in (data, b"\x88" + data, b"\xc2" + data):
        assert 0 <= (signed_at(signature) or 0) < 2**32


class Said(Gpgv):
    """A gpgv that has said this already."""

    def __init__(self, status: str) -> None:
        self._status, self._allow_sha1 = status, False

    def _run(self, signature: bytes, data: bytes | BinaryIO) -> str:
        return self._status


def status(data: bytes) -> None:
    """Good is only what gpgv calls good and valid, by a strong digest, on lines of their own."""
    text = data.decode("utf-8", "replace")
    Said(text).check(SIGNATURES[0], SIGNED)
    words = [line.split() for line in text.split("\n") if line.startswith("[GNUPG:] ")]
    assert any(word[1:2] == ["GOODSIG"] for word in words)
    assert any(word[1:2] == ["VALIDSIG"] and word[9:10] and word[9] in STRONG for word in words)


class Deaf(Gpgv):
    """A gpgv that no signature pleases."""

    def __init__(self) -> None:
        pass

    def check(self, signature: bytes, data: bytes | BinaryIO) -> None:
        raise SignatureError("its signature does not please")


def package(data: bytes) -> None:
    """What passes without signatures is refused where one is demanded."""
    with named(data) as name, open(name, "rb") as file, readable():
        check_open_package(file, None)
        try:
            check_open_package(file, Deaf())
        except SignatureError:
            return
    raise AssertionError("found good by a gpgv that finds nothing good")


def signature(data: bytes) -> None:
    """By the real gpgv, over what was signed and over something else, which is never good."""
    with named(KEY) as name:
        gpgv = Gpgv(load_keyring([name]))
    try:
        gpgv.check(data, SIGNED + b"!")
    except SignatureError:
        gpgv.check(data, SIGNED)
        return
    raise AssertionError("a signature over other bytes is good")


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """The documented OSError is for disks, and these bytes are in memory."""
    try:
        yield
    except OSError as error:
        raise AssertionError(f"{os.strerror(error.errno or 0)}: {error}") from error
