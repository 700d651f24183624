"""The user's keys: read as rpm and gpg write them, and nothing taken for a key that is none."""

from base64 import b64encode
from collections.abc import Iterator

import pytest

from mirrorpy.errors import ConfigError
from mirrorpy.signatures import Gpgv, load_keyring
from tests.integration.signing import Keys, armoured, made_keys

BLOCK = "PUBLIC KEY BLOCK"
PACKET = b"\x99\x00\x03abc"
"""What begins as a public key does: gpg judges the rest."""
NEW_PACKET = b"\xc6\x03abc"


def block(data: bytes = PACKET, head: str = "\n", tail: str = "") -> bytes:
    """An armoured key."""
    return f"-----BEGIN PGP {BLOCK}-----\n{head}{b64encode(data).decode()}\n{tail}-----END PGP {BLOCK}-----\n".encode()


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with made_keys() as made:
        yield made


@pytest.fixture
def load(tmp_path):
    """Load files of these contents."""

    def load(*contents: bytes) -> bytes:
        names = []
        for number, content in enumerate(contents):
            (tmp_path / f"key{number}").write_bytes(content)
            names.append(str(tmp_path / f"key{number}"))
        return load_keyring(names).data

    return load


@pytest.mark.parametrize("packet", [PACKET, NEW_PACKET, b"\x98\x03abc", b"\x9a\x00\x00\x00\x03abc"])
def test_binary(load, packet):
    """Old packets have two bits of their length's length in the first byte, new ones have not."""
    assert load(packet) == packet


@pytest.mark.parametrize(
    "text",
    [
        block(),
        block(tail="=AbC1\n"),
        block(head="Version: GnuPG v1.4.5 (GNU/Linux)\nComment: with: colons\n\n"),
        block(head=" \t\n"),
        block(head=""),
        block().replace(b"\n", b"\r\n"),
        block(tail="\n"),
        b"\n\n# The key of the project\n" + block() + b"that was it\n",
        block().rstrip(b"\n"),
        block().replace(b"\n", b"  \n"),
        b"\xef\xbb\xbf" + block(),
    ],
    ids=[
        "plain",
        "checksum",
        "headers",
        "blank",
        "no empty line",
        "CR LF",
        "empty line at the end",
        "words around",
        "no newline at the end",
        "spaces at ends",
        "byte order mark",
    ],
)
def test_ascii(load, text):
    assert load(text) == PACKET


def test_several_in_one_file(load):
    assert load(block(PACKET) + b"\nand\n" + block(NEW_PACKET)) == PACKET + NEW_PACKET


def test_several_files(load):
    assert load(block(PACKET), NEW_PACKET, block(NEW_PACKET)) == PACKET + NEW_PACKET + NEW_PACKET


def test_no_files():
    assert load_keyring([]).data == b""


@pytest.mark.parametrize("length", [1, 2, 3, 4, 47, 48, 49, 100, 10_000])
def test_any_length(load, length):
    data = b"\x9a" + length.to_bytes(4, "big") + bytes(length)
    assert load(armoured(data, kind=BLOCK)) == data


def test_the_keyring_has_a_name_by_what_it_holds(tmp_path):
    """So that verdicts under other keys are not taken for its own; how the file is written does not matter."""
    for name, content in {"a": PACKET, "b": block(), "c": NEW_PACKET}.items():
        (tmp_path / name).write_bytes(content)
    one, same, other = (load_keyring([str(tmp_path / name)]).id for name in "abc")
    assert one == same != other
    assert one.isalnum()


@pytest.mark.parametrize("form", ["ASCII", "binary"])
def test_what_gpg_exports(load, keys, form):
    assert load(keys.rsa.public(armour=form == "ASCII")) == keys.rsa.public(armour=False)


def test_several_keys_that_gpg_exports(load, keys):
    whole = keys.rsa.public(armour=False) + keys.with_subkey.public(armour=False)
    assert load(keys.rsa.public() + keys.with_subkey.public()) == whole
    assert load(armoured(whole, kind=BLOCK)) == whole


NONE = {
    "empty": b"",
    "text": b"key\n",
    "high text": "Schlüssel\n".encode(),
    "signature": armoured(PACKET),
    "private": armoured(PACKET, kind="PRIVATE KEY BLOCK"),
    "private packet": b"\x95\x00\x03abc",
    "new private packet": b"\xc5\x03abc",
    "signature packet": b"\x88\x03abc",
    "private packet in a public block": block(b"\x95\x00\x03abc"),
    "subkey": b"\xb9\x00\x03abc",
    "user's name": b"\xb4\x03abc",
    "empty block": block(b""),
    "no base64": block().replace(b"mQ", b"m*"),
    "base64 cut": block().replace(b"YWJj", b"YWJ"),
    "padding in the midst": block().replace(b"mQ", b"m="),
    "no end": block()[:-10],
    "no beginning": block()[5:],
    "high bytes": bytes(range(128, 256)),
    "zeros": bytes(100),
    "HTML": b"<!DOCTYPE html><html></html>",
    "gzip": b"\x1f\x8b\x08\0" + bytes(100),
    "keybox": b"\0\0\0 \x01\x01\0\x02KBXf" + bytes(20),
}


@pytest.mark.parametrize("name", NONE)
def test_no_keys(load, name, tmp_path):
    """The file is named, and that it holds no key."""
    with pytest.raises(ConfigError, match="no public key") as raised:
        load(NONE[name])
    assert str(tmp_path / "key0") in raised.value.message
    assert raised.value.exit_status == 2
    assert raised.value.message.isprintable()


@pytest.mark.parametrize("name", NONE)
def test_no_keys_beside_some(load, name, tmp_path):
    with pytest.raises(ConfigError, match="key1"):
        load(PACKET, NONE[name], block())


def test_a_private_key_that_gpg_exports(load, keys):
    for armour in (True, False):
        with pytest.raises(ConfigError, match="no public key"):
            load(keys.rsa.secret(armour=armour))


def test_a_huge_file_is_none(load):
    """And is not read to its end: /dev/zero has none."""
    with pytest.raises(ConfigError):
        load(PACKET + bytes(17 * 1024**2))
    with pytest.raises(ConfigError):
        load_keyring(["/dev/zero"])


@pytest.mark.parametrize("name", ["none", "folder", "loop", "nu\0l", ""])
def test_what_cannot_be_read(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    path = f"{tmp_path}/{name}" if name else ""
    with pytest.raises(ConfigError, match="cannot be read") as raised:
        load_keyring([path])
    assert raised.value.message.isprintable()


def test_a_bad_file_among_many_blocks(load):
    """One block that is damaged is not left out in silence: the user means that key too."""
    with pytest.raises(ConfigError):
        load(block(PACKET) + block(NEW_PACKET).replace(b"xg", b"x*"))


def test_a_key_that_is_cut_does_not_take_the_next_with_it(tmp_path, keys):
    """The second file's key is good, whatever became of the first's; or the first is refused."""
    (tmp_path / "one").write_bytes(keys.ed25519.public(armour=False)[:-20])
    (tmp_path / "two").write_bytes(keys.rsa.public())
    try:
        keyring = load_keyring([str(tmp_path / "one"), str(tmp_path / "two")])
    except ConfigError as error:
        assert str(tmp_path / "one") in error.message  # noqa: PT017
    else:
        Gpgv(keyring).check(keys.rsa.sign(b"data"), b"data")
