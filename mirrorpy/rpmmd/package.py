"""RPM packages: lead, signature header and header, read from the front of a file; the payload is never touched.

The format is that of rpm's manual (`docs/manual/format_*.md`), the limits those of `lib/header.cc` and
`lib/package.cc`: what rpm would refuse is refused here, before anything is allocated for it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.model import Nevra

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

LEAD_MAGIC = b"\xed\xab\xee\xdb"
LEAD_BYTES = 96
HEADER_MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"
INTRO_BYTES = 16
ENTRY_BYTES = 16
PIECE = 256 * 1024
MAX_ENTRIES = 0xFFFF
MAX_DATA = 256 * 1024**2
MAX_SIGNATURE_ENTRIES = 256
MAX_SIGNATURE_DATA = 64 * 1024**2

REGION, SIGNATURE_REGION = 63, 62
NAME, VERSION, RELEASE, EPOCH, ARCH, SOURCE_RPM, SOURCE_PACKAGE = 1000, 1001, 1002, 1003, 1022, 1044, 1106
PAYLOAD_DIGEST, PAYLOAD_DIGEST_ALGORITHM = 5092, 5093
DSA_HEADER, RSA_HEADER, SHA1_HEADER, SHA256_HEADER = 267, 268, 269, 273
PGP, MD5, GPG = 1002, 1004, 1005
OPENPGP = 278
SIGNATURE_TAGS = frozenset({257, 259, 261, 262, DSA_HEADER, RSA_HEADER, SHA1_HEADER, 270, SHA256_HEADER, OPENPGP})
"""Tags that only a signature header has; in the main header rpm took them for proved ones (CVE-2021-3421)."""
_INT32, _STRING, _BINARY, _STRINGS, _I18N = 4, 6, 7, 8, 9
_SIZES = {1: 1, 2: 1, 3: 2, _INT32: 4, 5: 8, _BINARY: 1}
_ALIGN = {3: 2, _INT32: 4, 5: 8}


@dataclass(frozen=True, slots=True)
class Header:
    """One header: entries by tag, and the data that they point into."""

    entries: dict[int, tuple[int, int, int]]
    """Tag → type, offset, count."""
    data: bytes
    region: bytes
    """What digests and signatures of the header cover."""
    whole: bool
    """Whether the region is all of the header."""

    def string(self, tag: int) -> str | None:
        """Return a string, the first of several; None where the tag is not there."""
        return next(self.strings(tag), None)

    def strings(self, tag: int) -> Iterator[str]:
        """Yield every string; none where the tag is not there."""
        kind, offset, count = self.entries.get(tag, (0, 0, 0))
        for _ in range(count if kind in (_STRING, _STRINGS, _I18N) else 0):
            end = self.data.find(b"\0", offset)
            if end < 0:
                raise RepodataError(f"header's tag {tag} has no end")
            yield self.data[offset:end].decode("utf-8", "replace")
            offset = end + 1

    def number(self, tag: int) -> int | None:
        """Return the first 32-bit number; None where the tag is not there."""
        kind, offset, count = self.entries.get(tag, (0, 0, 0))
        return int.from_bytes(self.data[offset : offset + 4], "big") if kind == _INT32 and count else None

    def binary(self, tag: int) -> bytes | None:
        """Return bytes; None where the tag is not there."""
        kind, offset, count = self.entries.get(tag, (0, 0, 0))
        return self.data[offset : offset + count] if kind == _BINARY else None


@dataclass(frozen=True, slots=True)
class Package:
    """The front of an RPM."""

    signature: Header
    header: Header
    header_at: int
    """Where the header begins, in bytes; old signatures cover everything from there."""
    payload_at: int

    @property
    def nevra(self) -> Nevra:
        """What the header says that the package is; the architecture of a source package is `src`, as in primary."""
        text = self.header.string
        is_source = SOURCE_PACKAGE in self.header.entries or SOURCE_RPM not in self.header.entries
        return Nevra(
            text(NAME) or "",
            str(self.header.number(EPOCH) or 0),
            text(VERSION) or "",
            text(RELEASE) or "",
            "src" if is_source else text(ARCH) or "",
        )


def read_package(file: BinaryIO, *, strict: bool = True) -> Package:
    """Read the front of an RPM, from the file's current position, which has to be its beginning.

    Not strict, the data of entries is looked at only where it is asked for: enough to know what it is called.

    Raises:
        RepodataError: It is no RPM, or one that rpm would refuse.
    """
    lead = file.read(LEAD_BYTES)
    if len(lead) < LEAD_BYTES or not lead.startswith(LEAD_MAGIC):
        raise RepodataError("is no RPM")
    signature, length = _read_header(
        file, "signature header", MAX_SIGNATURE_ENTRIES, MAX_SIGNATURE_DATA, SIGNATURE_REGION, strict=strict
    )
    padding = -length % 8
    _exactly(file, padding, "signature header")
    header_at = LEAD_BYTES + length + padding
    header, length = _read_header(file, "header", MAX_ENTRIES, MAX_DATA, REGION, strict=strict)
    if stray := SIGNATURE_TAGS & header.entries.keys():
        raise RepodataError(f"header has the tag {min(stray)}, which only a signature header may have")
    return Package(signature, header, header_at, header_at + length)


def _exactly(file: BinaryIO, size: int, what: str) -> bytes:
    """Read so many bytes, in pieces, so that a false claim allocates nothing."""
    data = bytearray()
    while len(data) < size:
        piece = file.read(min(size - len(data), PIECE))
        if not piece:
            raise RepodataError(f"{what} is cut short")
        data += piece
    return bytes(data)


def _read_header(
    file: BinaryIO, what: str, max_entries: int, max_data: int, region: int, *, strict: bool
) -> tuple[Header, int]:
    """Return a header and its length in bytes."""
    intro = _exactly(file, INTRO_BYTES, what)
    if not intro.startswith(HEADER_MAGIC[:4]):
        raise RepodataError(f"{what} does not begin with its magic")
    count, size = struct.unpack(">II", intro[8:])
    if not 0 < count <= max_entries or not 0 < size <= max_data:
        raise RepodataError(f"{what} claims {count} entries and {size} bytes")
    index = _exactly(file, count * ENTRY_BYTES, what)
    data = _exactly(file, size, what)
    rows = list(struct.iter_unpack(">iIiI", index))
    entries: dict[int, tuple[int, int, int]] = {}
    end = 0
    for tag, kind, offset, number in rows[1:] if rows[0][0] == region else rows:
        if strict:
            lies = offset < end or (end := offset + _length(kind, data, offset, number)) > size
            lies = lies or bool(offset % _ALIGN.get(kind, 1))
        else:
            lies = not 0 <= offset < size
        if lies:
            raise RepodataError(f"{what} has an entry that lies wrongly, tag {tag}")
        if tag in entries or tag in (REGION, SIGNATURE_REGION):
            raise RepodataError(f"{what} has the tag {tag} twice, or where it has no place")
        entries[tag] = (kind, offset, number)
    covered, whole = _region(rows, index, data, what, region)
    return Header(entries, data, covered, whole), INTRO_BYTES + len(index) + size


def _length(kind: int, data: bytes, offset: int, number: int) -> int:
    """Return the bytes that an entry's data takes; more than there are, where it has no end or is of no kind."""
    if not 0 < number <= len(data) or (kind == _STRING and number != 1):
        return len(data) + 1
    if kind in _SIZES:
        return _SIZES[kind] * number
    end = offset
    for _ in range(number if kind in (_STRING, _STRINGS, _I18N) else 0):
        end = data.find(b"\0", end) + 1
        if not end:
            return len(data) + 1
    return end - offset if end > offset else len(data) + 1


def _region(
    rows: list[tuple[int, int, int, int]], index: bytes, data: bytes, what: str, region: int
) -> tuple[bytes, bool]:
    """Return what signatures cover: the region that the first entry marks, else, as of rpm 3, everything."""
    tag, kind, offset, number = rows[0]
    length, size = len(index), len(data)
    if tag == region:
        trailer = data[offset : offset + ENTRY_BYTES] if offset >= 0 else b""
        if kind != _BINARY or number != ENTRY_BYTES or len(trailer) < ENTRY_BYTES:
            raise RepodataError(f"{what} has a bad region")
        inner, inner_kind, back, inner_number = struct.unpack(">iIiI", trailer)
        # rpm's signature headers once called their region by the name of another, HEADERIMAGE.
        if inner not in (region, *((61,) if region == SIGNATURE_REGION else ())):
            raise RepodataError(f"{what} has a bad region")
        if inner_kind != _BINARY or inner_number != ENTRY_BYTES:
            raise RepodataError(f"{what} has a bad region")
        length, size = -back, offset + ENTRY_BYTES
        if not ENTRY_BYTES <= length <= len(index) or length % ENTRY_BYTES:
            raise RepodataError(f"{what} has a bad region")
    counts = struct.pack(">II", length // ENTRY_BYTES, size)
    whole = length == len(index) and size == len(data)
    return HEADER_MAGIC + counts + index[:length] + data[:size], whole
