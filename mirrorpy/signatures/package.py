"""RPM's own proofs: the digests that a package carries, and the signatures over its header, and over all of it.

The policy is rpm's with `_pkgverify_level all`: every digest that is there holds, and a good signature covers the
payload, be it itself or through the payload's digest in the header that it covers.
"""

from __future__ import annotations

import binascii
import itertools
import os
from typing import TYPE_CHECKING

from mirrorpy.errors import LocalError, RepodataError, SignatureError
from mirrorpy.rpmmd.digest import hash_from
from mirrorpy.rpmmd.model import new_hash
from mirrorpy.rpmmd.package import (
    DSA_HEADER,
    GPG,
    MD5,
    OPENPGP,
    PAYLOAD_DIGEST,
    PAYLOAD_DIGEST_ALGORITHM,
    PGP,
    RSA_HEADER,
    SHA1_HEADER,
    SHA256_HEADER,
    Package,
    read_package,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from mirrorpy.signatures.gpgv import Gpgv

ALGORITHMS = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
"""Hashes by their OpenPGP numbers, which rpm uses too."""
SHA256 = 8
MAX_SIGNATURES = 8
"""Of one package that are tried; each costs a process."""
STRONG_PAYLOAD = frozenset({8, 9, 10, 11})


def check_package(path: str, gpgv: Gpgv | None) -> None:
    """Prove a package's digests and, with gpgv, one of its signatures.

    Raises:
        SignatureError: A digest is wrong, or no signature is good.
        LocalError: The file cannot be read.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            check_open_package(file, gpgv)
    except OSError as error:
        raise LocalError(f"{path}: cannot be read: {error.strerror}") from error


def check_open_package(file: BinaryIO, gpgv: Gpgv | None) -> None:
    """Do the same for a file that is open, from its beginning.

    Raises:
        SignatureError: As of check_package.
        OSError: The file cannot be read.
    """
    file.seek(0)
    try:
        package = read_package(file)
        if gpgv is not None and not package.header.whole:
            raise SignatureError("a part of its header is covered by no signature")
        _check_header_digests(package)
        covered = _check_payload(file, package)
        if gpgv is not None:
            _check_signatures(file, package, gpgv, covered=covered)
    except RepodataError as error:
        raise SignatureError(f"is no good RPM: {error.cause}") from error


def _check_header_digests(package: Package) -> None:
    for tag, algorithm in ((SHA256_HEADER, "sha256"), (SHA1_HEADER, "sha1")):
        promised = package.signature.string(tag)
        if promised is not None and _digest(package.header.region, algorithm) != promised:
            raise SignatureError(f"its header has another {algorithm} than it says")


def _digest(data: bytes, algorithm: str) -> str:
    digest = new_hash(algorithm)
    digest.update(data)
    return digest.hexdigest()


def _check_payload(file: BinaryIO, package: Package) -> bool:
    """Prove the payload, and tell whether by the header's digest, which signatures cover, and not just by MD5."""
    promised = package.header.string(PAYLOAD_DIGEST)
    # Packages of format 6 do not say; rpm takes it for SHA-256.
    number = package.header.number(PAYLOAD_DIGEST_ALGORITHM) or SHA256
    algorithm = ALGORITHMS.get(number) if promised is not None else None
    if algorithm is not None and hash_from(file.fileno(), package.payload_at, algorithm) != [promised]:
        raise SignatureError("its payload has another digest than its header says")
    md5 = package.signature.binary(MD5)
    if md5 is not None and hash_from(file.fileno(), package.header_at, "md5") != [md5.hex()]:
        raise SignatureError("it has another md5 than it says")
    return promised is not None and number in STRONG_PAYLOAD


def _check_signatures(file: BinaryIO, package: Package, gpgv: Gpgv, *, covered: bool) -> None:
    failures: list[SignatureError] = []
    for signature, data in itertools.islice(_signed_parts(file, package, covered=covered), MAX_SIGNATURES):
        try:
            gpgv.check(signature, data)
        except SignatureError as error:
            failures.append(error)
        else:
            return
    if failures:
        raise failures[0]
    unsigned = next(_header_signatures(package), None) is None
    raise SignatureError("is not signed" if unsigned else "its signature does not cover its payload")


def _signed_parts(file: BinaryIO, package: Package, *, covered: bool) -> Iterator[tuple[bytes, bytes | BinaryIO]]:
    """Yield each signature that covers the payload too, and what it is made over."""
    if covered:
        for signature in _header_signatures(package):
            yield signature, package.header.region
    for tag in (PGP, GPG):
        whole = package.signature.binary(tag)
        if whole is not None:
            os.lseek(file.fileno(), package.header_at, os.SEEK_SET)
            yield whole, file


def _header_signatures(package: Package) -> Iterator[bytes]:
    for tag in (RSA_HEADER, DSA_HEADER):
        signature = package.signature.binary(tag)
        if signature is not None:
            yield signature
    for text in package.signature.strings(OPENPGP):
        try:
            yield binascii.a2b_base64(text)
        except ValueError as error:
            raise SignatureError("its signature is no base64") from error
