"""Faults 101 to 106 and 108: repomd.xml is published only if a key of the user's own signed it."""

from collections.abc import Callable, Iterator

import pytest

from tests.integration.listing import REPOMD
from tests.integration.signing import Key, Keys, armoured, made_keys

from .catalogue import fault
from .publisher import ASC, KEY, Publisher, let_sign, trust
from .world import World

MAX_ASKED = 8
"""Requests for a signature that stays bad: the pair is read again, and not for ever."""
SIGNED_REPOMD = f"base/{REPOMD}"


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with made_keys() as made:
        yield made


@pytest.fixture
def publisher(fresh: World, keys: Keys) -> Publisher:
    """Of `base`, whose first state is mirrored with `repo_gpgcheck`; it has published a second one."""
    return let_sign(fresh, keys, repo_gpgcheck=True)


@pytest.fixture
def signed(publisher: Publisher, fresh: World) -> World:
    """The world that this publisher is in."""
    return fresh


def refused(world: World, *says: str) -> str:
    """Sync, which has to refuse repomd.xml at its URL, and to ask for no package and for few signatures."""
    message = world.refused(5, f"{world.server.url}{SIGNED_REPOMD}", *says)
    asked = [path for path in world.server.taken() if path.startswith("base/")]
    assert asked.count(f"base/{ASC}") <= MAX_ASKED
    assert set(asked) <= {SIGNED_REPOMD, f"base/{ASC}", f"base/{KEY}"}
    return message


@fault(101, "repo_gpgcheck, and there is no repomd.xml.asc", "5; no record and no package is asked for")
def test_fault_101_no_signature(signed: World, publisher: Publisher) -> None:
    publisher.remove(ASC)
    refused(signed, "no signature", "repo_gpgcheck")


NO_SIGNATURES: dict[str, tuple[Callable[[Key, bytes], bytes], str]] = {
    "over other bytes": (lambda key, data: key.sign(data + b"\n"), "not made over these bytes"),
    "cut short": (lambda key, data: key.sign(data)[:-9], "no signature"),
    "empty": (lambda _key, _data: b"", "no signature"),
    "a page": (lambda _key, _data: b"<html>not found</html>", "no signature"),
    "a key": (lambda key, _data: key.public(), "no signature"),
    "status lines": (lambda _key, _data: b"[GNUPG:] GOODSIG\n[GNUPG:] VALIDSIG 1 2 3 4 5 6 7 8\n", "no signature"),
}


@fault(101, "repomd.xml.asc is over other bytes, cut short, empty, or something else", "5")
@pytest.mark.parametrize("name", NO_SIGNATURES)
def test_fault_101_no_good_signature(signed: World, publisher: Publisher, name: str) -> None:
    make, said = NO_SIGNATURES[name]
    publisher.put(ASC, make(publisher.key, publisher.repomd))
    refused(signed, said)


@fault(101, "repomd.xml.asc is by a key that the user does not have", "5; the key's id is named")
def test_fault_101_unknown_key(signed: World, publisher: Publisher, keys: Keys) -> None:
    publisher.sign(keys.stranger)
    refused(signed, keys.stranger.id, "gpgkey")


@fault(102, "the key that signed has expired by now", "5; the key's id is named")
def test_fault_102_expired_key(signed: World, publisher: Publisher, keys: Keys) -> None:
    publisher.sign(keys.expired)
    refused(signed, keys.expired.id, "expired")


@fault(102, "the key was revoked, and the user has its revocation", "5; the key's id is named")
def test_fault_102_revoked_key(signed: World, publisher: Publisher, keys: Keys) -> None:
    trust(signed, keys.rsa.revoked(), keys.ed25519.public(), repo_gpgcheck=True)
    refused(signed, keys.rsa.id, "revoked")

    def sign_by_another() -> None:
        publisher.key = keys.ed25519

    signed.heal = sign_by_another


TWO = {
    "unknown and good": lambda keys, data: (keys.stranger.sign(data), keys.rsa.sign(data)),
    "good and unknown": lambda keys, data: (keys.rsa.sign(data), keys.stranger.sign(data)),
    "bad and good": lambda keys, data: (keys.rsa.sign(data + b"\n"), keys.ed25519.sign(data)),
    "good and expired": lambda keys, data: (keys.rsa.sign(data), keys.expired.sign(data)),
}


@fault(103, "two signatures, of which one is by an unknown or an expired key, or bad", "0; one good one is enough")
@pytest.mark.parametrize("name", TWO)
def test_fault_103_one_of_two_is_good(signed: World, publisher: Publisher, keys: Keys, name: str) -> None:
    both = armoured(*TWO[name](keys, publisher.repomd))
    publisher.put(ASC, both)
    signed.accepted()
    assert (signed.root / "base" / ASC).read_bytes() == both


@fault(103, "two signatures, of which none is good", "5")
def test_fault_103_none_of_two_is_good(signed: World, publisher: Publisher, keys: Keys) -> None:
    data = publisher.repomd
    publisher.put(ASC, armoured(keys.stranger.sign(data), keys.rsa.sign(data + b"\n")))
    refused(signed, keys.stranger.id)


@fault(104, "a signature over SHA-1", "5; the message names allow_sha1")
def test_fault_104_sha1(signed: World, publisher: Publisher, keys: Keys) -> None:
    publisher.sign(keys.rsa, "SHA1")
    refused(signed, "SHA-1", "allow_sha1")


@fault(104, "a signature over SHA-1, with allow_sha1", "0")
def test_fault_104_sha1_is_allowed(signed: World, publisher: Publisher, keys: Keys) -> None:
    trust(signed, keys.rsa.public(), repo_gpgcheck=True, allow_sha1=True)
    publisher.sign(keys.rsa, "SHA1")
    signed.accepted()


@fault(104, "a signature over MD5, with and without allow_sha1", "5")
@pytest.mark.parametrize("allowed", [False, True])
def test_fault_104_md5(signed: World, publisher: Publisher, keys: Keys, allowed: bool) -> None:
    trust(signed, keys.rsa.public(), repo_gpgcheck=True, allow_sha1=allowed)
    publisher.sign(keys.rsa, "MD5")
    refused(signed, "MD5")


NO_KEYS: dict[str, Callable[[Key], bytes]] = {
    "empty": lambda _key: b"",
    "text": lambda _key: b"my key\n",
    "noise": lambda _key: bytes(range(256)),
    "a page": lambda _key: b"<html>not found</html>",
    "a private key": lambda key: key.secret(),
    "cut short": lambda key: key.public()[:-30],
}


@fault(105, "a file of gpgkey is empty, garbage, cut short, or a private key", "2; the file is named, nothing is asked")
@pytest.mark.parametrize("name", NO_KEYS)
def test_fault_105_no_key_file(signed: World, publisher: Publisher, keys: Keys, name: str) -> None:
    good, bad = trust(signed, keys.rsa.public(), NO_KEYS[name](keys.rsa), repo_gpgcheck=True)
    message = signed.refused(2, bad, "public key")
    assert good not in message
    assert not [path for path in signed.server.taken() if path.startswith("base/")]
    signed.heal = lambda: trust(signed, keys.rsa.public(), repo_gpgcheck=True)


@fault(106, "upstream offers the key that signed, as repomd.xml.key", "5; it is not trusted")
def test_fault_106_offered_key(signed: World, publisher: Publisher, keys: Keys) -> None:
    publisher.put(KEY, keys.stranger.public())
    publisher.sign(keys.stranger)
    refused(signed, keys.stranger.id)


@fault(106, "upstream offers another key than the one that signed", "0; it is mirrored for clients to judge")
def test_fault_106_offered_key_is_mirrored(signed: World, publisher: Publisher, keys: Keys) -> None:
    publisher.put(KEY, keys.stranger.public())
    signed.accepted()
    assert (signed.root / "base" / KEY).read_bytes() == keys.stranger.public()


@fault(108, "repo_gpgcheck, and gpgv is not installed", "2; nothing is asked")
def test_fault_108_no_gpgv(signed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setenv("PATH", str(signed.folder / "nowhere"))
        signed.refused(2, "gpgv is not installed", "install")
    assert not [path for path in signed.server.taken() if path.startswith("base/")]
