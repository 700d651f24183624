"""What a repository's metadata promises and whether a folder keeps it, without any of mirrorpy's code."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard
from lxml import etree

REPOMD = "repodata/repomd.xml"
BESIDE_REPOMD = frozenset({REPOMD, f"{REPOMD}.asc", f"{REPOMD}.key"})
"""The files of a published repository that no record lists."""

Snapshot = dict[str, tuple[str | int, ...]]


@dataclass(frozen=True, slots=True)
class Promise:
    """A file that the metadata lists."""

    href: str
    algorithm: str
    digest: str
    size: int | None

    def fault(self, body: bytes) -> str | None:
        """Say what is wrong with the bytes that were got for it."""
        if self.size is not None and len(body) != self.size:
            return f"{self.href}: {len(body)} bytes, {self.size} promised"
        if hashlib.new(self.algorithm, body, usedforsecurity=False).hexdigest() != self.digest:
            return f"{self.href}: not the {self.algorithm} that was promised"
        return None


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that one repomd.xml promises, directly or through its records."""

    revision: str
    records: tuple[Promise, ...]
    packages: tuple[Promise, ...]
    deltas: tuple[Promise, ...]

    @property
    def promises(self) -> tuple[Promise, ...]:
        """All of them."""
        return self.records + self.packages + self.deltas

    @property
    def hrefs(self) -> frozenset[str]:
        """Their paths below the repository."""
        return frozenset(promise.href for promise in self.promises)


def opened(body: bytes) -> bytes:
    """Decompress by magic."""
    if body.startswith(b"\x1f\x8b"):
        return gzip.decompress(body)
    if body.startswith(b"BZh"):
        return bz2.decompress(body)
    if body.startswith(b"\xfd7zXZ\x00"):
        return lzma.decompress(body)
    if body.startswith(b"\x28\xb5\x2f\xfd"):
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body), read_across_frames=True) as reader:
            return reader.read()
    return body


def parse_repomd(body: bytes) -> tuple[str, dict[str, Promise]]:
    """The revision and, by type, the records."""
    root = etree.fromstring(body)
    records = {
        record.get("type", ""): Promise(
            href=_location(record),
            algorithm=algorithm,
            digest=digest,
            size=_number(record.findtext("{*}size")),
        )
        for record in root.findall("{*}data")
        for algorithm, digest in [_checksum(record)]
    }
    return root.findtext("{*}revision", ""), records


def parse_primary(body: bytes) -> tuple[Promise, ...]:
    """The packages of a primary, compressed or not."""
    return tuple(
        Promise(href=_location(package), algorithm=algorithm, digest=digest, size=_package_size(package))
        for package in etree.fromstring(opened(body)).findall("{*}package")
        for algorithm, digest in [_checksum(package)]
    )


def parse_deltas(body: bytes) -> tuple[Promise, ...]:
    """The drpms of a prestodelta or deltainfo."""
    return tuple(
        Promise(
            href=delta.findtext("{*}filename", ""),
            algorithm=algorithm,
            digest=digest,
            size=_number(delta.findtext("{*}size")),
        )
        for delta in etree.fromstring(opened(body)).iter("{*}delta")
        for algorithm, digest in [_checksum(delta)]
    )


def read_listing(read: Callable[[str], bytes]) -> Listing:
    """Follow repomd.xml to everything that it promises; `read` takes an href."""
    revision, records = parse_repomd(read(REPOMD))
    deltas: list[Promise] = []
    for kind in ("prestodelta", "deltainfo"):
        if kind in records:
            deltas += parse_deltas(read(records[kind].href))
    return Listing(
        revision=revision,
        records=tuple(records.values()),
        packages=parse_primary(read(records["primary"].href)),
        deltas=tuple(deltas),
    )


def listing_of(base: Path) -> Listing:
    """The listing of a repository on disk."""
    return read_listing(lambda href: (base / href).read_bytes())


def faults(base: Path) -> list[str]:
    """What a repository on disk promises but does not hold, or holds with other bytes; drpms aside."""
    listing = listing_of(base)
    found = []
    for promise in listing.records + listing.packages:
        path = base / promise.href
        fault = promise.fault(path.read_bytes()) if path.is_file() else f"{promise.href}: not there"
        if fault:
            found.append(fault)
    return found


def files_below(base: Path) -> frozenset[str]:
    """The relative paths of everything below a folder but folders, hidden names included."""
    return frozenset(str(Path(folder, name).relative_to(base)) for folder, _, names in os.walk(base) for name in names)


def differing(hrefs: Iterable[str], one: Path, other: Path) -> list[str]:
    """Those hrefs whose bytes are not the same in both folders, or that one lacks."""
    return sorted(href for href in hrefs if _body(one / href) != _body(other / href))


def snapshot(folder: Path) -> Snapshot:
    """All that can be told of a tree: mode, inode, mtime, content, link targets; {} where there is none."""
    return dict(_entries(folder)) if folder.is_dir() else {}


def _entries(folder: Path) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    for parent, folders, names in os.walk(folder):
        for name in [".", *folders, *names]:
            path = Path(parent, name)
            info = path.lstat()
            content = ""
            if stat.S_ISLNK(info.st_mode):
                content = str(path.readlink())
            elif stat.S_ISREG(info.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            yield str(path.relative_to(folder)), (info.st_mode, info.st_ino, info.st_mtime_ns, content)


def _body(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _location(element: etree._Element) -> str:
    location = element.find("{*}location")
    assert location is not None
    return str(location.get("href"))


def _checksum(element: etree._Element) -> tuple[str, str]:
    checksum = element.find("{*}checksum")
    assert checksum is not None
    algorithm = str(checksum.get("type"))
    return ("sha1" if algorithm == "sha" else algorithm), str(checksum.text).strip()


def _package_size(package: etree._Element) -> int | None:
    size = package.find("{*}size")
    return None if size is None else _number(size.get("package"))


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
