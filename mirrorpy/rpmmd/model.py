"""The values that RPM-MD documents hold: checksums, files, records, repomd, lists of mirrors."""

from __future__ import annotations

import binascii
import enum
import hashlib
import sys
from typing import TYPE_CHECKING

import msgspec

from mirrorpy.errors import RepodataError

if TYPE_CHECKING:
    from hashlib import _Hash

DIGEST_BYTES = {"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}
STRONG = frozenset({"sha224", "sha256", "sha384", "sha512"})
MAX_SIZE = 2**53
"""Bytes; no real file is larger, and every tool on the way can count so far."""


class Checksum(msgspec.Struct, frozen=True, gc=False):
    """An algorithm and a digest in lower-case hex, both valid."""

    algorithm: str
    value: str

    @classmethod
    def parse(cls, algorithm: str | None, value: str | None) -> Checksum:
        """Read a checksum as repomd and primary write it; `sha` is yum's name for sha1.

        White space around the value is not taken: librepo compares it too, so dnf refuses such a repository.

        Raises:
            RepodataError: The type is unknown, or the value is not hex of its length.
        """
        name = algorithm or ""
        if name not in DIGEST_BYTES:
            name = name.strip().lower().replace("-", "")
            name = "sha1" if name == "sha" else name
        if name not in DIGEST_BYTES:
            raise RepodataError(f"unknown checksum type {algorithm!r}")
        digits = (value or "").lower()
        try:
            length = len(binascii.unhexlify(digits))
        except ValueError:
            raise RepodataError(f"checksum {digits[:140]!r} is not hexadecimal") from None
        if length != DIGEST_BYTES[name]:
            raise RepodataError(f"{name} checksum {digits[:140]!r} has {length} bytes instead of {DIGEST_BYTES[name]}")
        return cls(sys.intern(name), digits)

    @classmethod
    def of(cls, algorithm: str, data: bytes | memoryview) -> Checksum:
        """Return the checksum of these bytes."""
        digest = new_hash(algorithm)
        digest.update(data)
        return cls(algorithm, digest.hexdigest())

    @property
    def strong(self) -> bool:
        """Whether nobody can make two files of this checksum."""
        return self.algorithm in STRONG

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


def new_hash(algorithm: str) -> _Hash:
    """Return a hash object; FIPS builds block md5 and sha1 unless told that this is no security use."""
    return hashlib.new(algorithm, usedforsecurity=False)


class Kind(enum.Enum):
    """What part of a repository a file is; the value is its letter in manifests."""

    RECORD = "r"
    PACKAGE = "p"
    DELTA = "d"
    TREE = "t"
    """What .treeinfo or extra_files.json promises: images, kernels, keys."""
    EXTRA = "x"
    """What nobody promises: .treeinfo itself, repomd.xml of a repository inside, what only a listing shows."""
    INDEX = "i"
    """repomd.xml itself, its signature and its key."""


class RemoteFile(msgspec.Struct, frozen=True, gc=False):
    """A file upstream promises: where it is and what it must be."""

    href: str
    """Path below the repository's base, as upstream wrote it."""
    checksum: Checksum
    size: int | None
    """Bytes; None where the metadata does not say."""
    kind: Kind
    location_base: str | None = None
    """`xml:base`, where upstream says that the file lies elsewhere."""

    @property
    def path(self) -> str:
        """Where the file lies below the published path."""
        return (
            self.href if "/." not in self.href and "//" not in self.href and self.href[0] != "." else plain(self.href)
        )


def plain(href: str) -> str:
    """Drop empty and `.` segments, as a filesystem does."""
    return "/".join(part for part in href.split("/") if part not in ("", "."))


class Nevra(msgspec.Struct, frozen=True, gc=False):
    """What a package calls itself."""

    name: str
    epoch: str
    version: str
    release: str
    arch: str

    def __str__(self) -> str:
        """Return it as dnf prints it."""
        epoch = "" if self.epoch in ("", "0") else f"{self.epoch}:"
        return f"{self.name}-{epoch}{self.version}-{self.release}.{self.arch}"


class Record(msgspec.Struct, frozen=True, gc=False):
    """One `<data>` of repomd.xml."""

    type: str
    file: RemoteFile
    open_checksum: Checksum | None
    open_size: int | None
    timestamp: int
    """Seconds since the epoch; 0 where repomd does not say."""


class Repomd(msgspec.Struct, frozen=True, gc=False):
    """What repomd.xml says."""

    revision: str | None
    records: tuple[Record, ...]

    def record(self, kind: str) -> Record | None:
        """Return the first record of this type."""
        return next((record for record in self.records if record.type == kind), None)

    @property
    def timestamp(self) -> int:
        """Age of the packages' list: primary's timestamp, or a revision that is one (as createrepo writes it).

        Not the newest of all records, as librepo has it: modifyrepo_c --remove would make a repository older.
        """
        primary = self.record("primary")
        if primary is not None and primary.timestamp:
            return primary.timestamp
        revision = self.revision or ""
        return int(revision) if revision.isascii() and revision.isdigit() and 9 <= len(revision) <= 11 else 0


class Pin(msgspec.Struct, frozen=True, gc=False):
    """One state of repomd.xml that a metalink vouches for."""

    checksum: Checksum
    timestamp: int

    def matches(self, data: bytes) -> bool:
        """Tell whether these are the bytes that were meant."""
        return Checksum.of(self.checksum.algorithm, data) == self.checksum


class MirrorList(msgspec.Struct, frozen=True, gc=False):
    """Where a repository can be had, best first, and which states of it are good."""

    baseurls: tuple[str, ...]
    pins: tuple[Pin, ...] = ()
    """The current repomd.xml and the older ones that are still acceptable; none where the list has no hashes."""
