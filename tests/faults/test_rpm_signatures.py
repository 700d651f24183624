"""Faults 104, 106 to 108 again: packages are published only if a key of the user's own signed them."""

import struct
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.integration.signing import (
    ENTRY_BYTES,
    HEADER_MAGIC,
    INTRO_BYTES,
    RSA_HEADER,
    Keys,
    Rpm,
    made_keys,
    sign_as_centos_5,
    sign_as_fedora,
)
from tests.integration.upstream import build_rpm

from .catalogue import fault
from .publisher import KEY, Publisher, let_sign, trust
from .world import World

HREF = "Packages/evil.rpm"
HEADER_TAG = 1006
"""The build time, which becomes something else."""


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with made_keys() as made:
        yield made


@pytest.fixture
def publisher(fresh: World, keys: Keys) -> Publisher:
    """Of `base`, whose first state is mirrored with `gpgcheck`; it has published a second one."""
    return let_sign(fresh, keys, gpgcheck=True)


@pytest.fixture
def signed(publisher: Publisher, fresh: World) -> World:
    """The world that this publisher is in."""
    return fresh


def evil() -> Rpm:
    return Rpm.of(build_rpm("evil")).digested()


def header_signed(rpm: Rpm, keys: Keys) -> Rpm:
    return rpm.signed(RSA_HEADER, keys.rsa.sign(rpm.header))


def flipped(package: bytes) -> bytes:
    """With another payload."""
    return package[:-1] + bytes([package[-1] ^ 1])


def tagged_in_header(rpm: Rpm) -> Rpm:
    """Call a tag of the main header a signature."""
    header = bytearray(rpm.header)
    (count,) = struct.unpack_from(">I", header, 8)
    places = range(INTRO_BYTES, INTRO_BYTES + ENTRY_BYTES * count, ENTRY_BYTES)
    (place,) = (place for place in places if struct.unpack_from(">I", header, place)[0] == HEADER_TAG)
    struct.pack_into(">I", header, place, RSA_HEADER)
    return replace(rpm, header=bytes(header), signature=()).digested()


def claiming(package: bytes, at: int, entries: int, size: int) -> bytes:
    """Let a header say that it has so many entries and bytes."""
    assert package[at : at + 8] == HEADER_MAGIC
    return package[: at + 8] + struct.pack(">II", entries, size) + package[at + INTRO_BYTES :]


def of_main_header(package: bytes) -> int:
    return package.index(HEADER_MAGIC, len(Rpm.of(package).lead) + 1)


@fault(107, "gpgcheck, and a package is not signed", "5; the others are not published either")
def test_fault_107_unsigned(signed: World, publisher: Publisher) -> None:
    publisher.bring(**{HREF: build_rpm("evil")})
    signed.refused(5, HREF, "is not signed")


@fault(107, "a package is signed by a key that the user does not have", "5; the key's id is named")
def test_fault_107_unknown_key(signed: World, publisher: Publisher, keys: Keys) -> None:
    publisher.bring(**{HREF: sign_as_fedora(build_rpm("evil"), keys.stranger)})
    signed.refused(5, HREF, keys.stranger.id)


WRONG_DIGESTS: dict[str, tuple[Callable[[Keys], bytes], str]] = {
    "payload": (lambda keys: flipped(header_signed(evil(), keys).bytes), "payload"),
    "header's SHA-1": (
        lambda keys: header_signed(Rpm.of(build_rpm("evil")).digested(sha1="0" * 40), keys).bytes,
        "sha1",
    ),
    "header's SHA-256": (
        lambda keys: header_signed(Rpm.of(build_rpm("evil")).digested(sha256="0" * 64), keys).bytes,
        "sha256",
    ),
    "MD5 of all": (
        lambda keys: header_signed(Rpm.of(build_rpm("evil")).digested(md5=bytes(16)), keys).bytes,
        "md5",
    ),
}


@fault(107, "a well signed package has another payload, or another digest than it says", "5; the digest is named")
@pytest.mark.parametrize("name", WRONG_DIGESTS)
def test_fault_107_wrong_digest(signed: World, publisher: Publisher, keys: Keys, name: str) -> None:
    build, said = WRONG_DIGESTS[name]
    publisher.bring(**{HREF: build(keys)})
    signed.refused(5, HREF, said)


@fault(107, "a package has a signature's tag in its main header", "5; the tag is named")
def test_fault_107_signature_in_the_main_header(signed: World, publisher: Publisher, keys: Keys) -> None:
    publisher.bring(**{HREF: header_signed(tagged_in_header(evil()), keys).bytes})
    signed.refused(5, HREF, str(RSA_HEADER))


MANY = 0x7FFFFFFF
MEMORY = 50_000_000
COUNTS: dict[str, Callable[[bytes], bytes]] = {
    "entries": lambda package: claiming(package, of_main_header(package), MANY, 100),
    "bytes": lambda package: claiming(package, of_main_header(package), 1, MANY),
    "entries of signatures": lambda package: claiming(package, len(Rpm.of(package).lead), MANY, 100),
    "bytes of signatures": lambda package: claiming(package, len(Rpm.of(package).lead), 1, MANY),
    "none": lambda package: claiming(package, of_main_header(package), 0, 0),
}


@fault(107, "a package's header says to have 2,147,483,647 entries or bytes, or none", "5; no memory is taken for them")
@pytest.mark.parametrize("name", COUNTS)
def test_fault_107_absurd_counts(signed: World, publisher: Publisher, keys: Keys, name: str) -> None:
    publisher.bring(**{HREF: COUNTS[name](header_signed(evil(), keys).bytes)})
    tracemalloc.start()
    try:
        signed.refused(5, HREF, *([str(MANY)] if name != "none" else []))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY


@fault(104, "a package is signed over SHA-1, as those of CentOS 5", "5; the message names allow_sha1")
def test_fault_104_sha1_package(signed: World, publisher: Publisher, keys: Keys) -> None:
    publisher.bring(**{HREF: sign_as_centos_5(build_rpm("evil"), keys.dsa)})
    trust(signed, keys.rsa.public(), keys.dsa.public(), gpgcheck=True)
    signed.refused(5, HREF, "SHA-1", "allow_sha1")


@fault(104, "a package is signed over SHA-1, with allow_sha1", "0")
def test_fault_104_sha1_package_is_allowed(signed: World, publisher: Publisher, keys: Keys) -> None:
    publisher.bring(**{HREF: sign_as_centos_5(build_rpm("evil"), keys.dsa)})
    trust(signed, keys.rsa.public(), keys.dsa.public(), gpgcheck=True, allow_sha1=True)
    signed.accepted()


@fault(106, "gpgcheck, and upstream offers the package's key as repomd.xml.key", "5; it is not trusted")
def test_fault_106_offered_key_of_a_package(signed: World, publisher: Publisher, keys: Keys) -> None:
    publisher.bring(**{HREF: sign_as_fedora(build_rpm("evil"), keys.stranger)})
    publisher.put(KEY, keys.stranger.public())
    signed.refused(5, HREF, keys.stranger.id)


@fault(108, "gpgcheck, and gpgv is not installed", "2; nothing is asked")
def test_fault_108_no_gpgv_for_packages(signed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setenv("PATH", str(signed.folder / "nowhere"))
        signed.refused(2, "gpgv is not installed", "install")
    assert not [path for path in signed.server.taken() if path.startswith("base/")]


@fault(108, "an unsigned package is here already, from a repository without checks", "5; it is checked all the same")
def test_fault_108_reused_unchecked(signed: World, publisher: Publisher) -> None:
    publisher.bring(**{HREF: signed.other.packages["Packages/kept.rpm"]})
    signed.refused(5, HREF, "is not signed")
    assert f"base/{HREF}" not in signed.server.taken(), "it was not reused"
