"""OpenPGP's outer forms (RFC 9580): ASCII armour, undone without its optional checksum, and the lengths of packets."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def iter_blocks(data: bytes, kind: bytes) -> Iterator[bytes]:
    """Yield what each armoured block of a kind, such as `SIGNATURE`, holds; nothing for a block that is damaged."""
    begin, end = b"-----BEGIN PGP " + kind + b"-----", b"-----END PGP " + kind + b"-----"
    at = data.find(begin)
    while at >= 0:
        stop = data.find(end, at)
        if stop < 0:
            return
        yield _body(data[at + len(begin) : stop])
        at = data.find(begin, stop)


def _body(block: bytes) -> bytes:
    lines = [line.strip() for line in block.strip(b" \t\r\n").splitlines()]
    # Headers such as `Version: GnuPG` end with an empty line, which some lack when they have none.
    start = next((number for number, line in enumerate(lines) if not line), -1) + 1
    if not start and lines and b":" in lines[0]:
        return b""
    try:
        return base64.b64decode(b"".join(line for line in lines[start:] if line[:1] != b"="), validate=True)
    except binascii.Error:
        return b""


def packet_type(first: int) -> int:
    """Return the type of the packet that begins with this byte (RFC 9580, 4.2)."""
    return first & 0x3F if first & 0x40 else (first & 0x3C) >> 2


def packet_length(data: bytes, at: int) -> int:
    """Return the bytes of the packet that begins there, more than there are where it is cut (RFC 9580, 4.2)."""
    head = data[at : at + 6].ljust(6, b"\xff")
    if head[0] < 0x80:
        return len(data) + 1
    if head[0] & 0x40:
        if head[1] < 192:
            return 2 + head[1]
        if head[1] < 224:
            return 3 + (head[1] - 192 << 8) + head[2] + 192
        return 6 + int.from_bytes(head[2:6], "big") if head[1] == 255 else len(data) + 1
    size = (1, 2, 4, 0)[head[0] & 3]
    return 1 + size + int.from_bytes(head[1 : 1 + size], "big") if size else len(data) - at
